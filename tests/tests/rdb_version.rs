//! `rdb-version-max`: snapshots that Redis 7.0 loads, or none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests"
)]

use std::fs;
use std::time::{Duration, Instant};

use ringstone_tests::resp::Conn;
use ringstone_tests::server::{Home, Launch};

fn say(conn: &mut Conn, line: &str) -> String {
    conn.line(line).text()
}

#[test]
fn a_hash_with_fields_that_expire_keeps_a_snapshot_from_being_one_for_redis_7() {
    for shards in [1, 2] {
        let (home, theirs) = (Home::new(), Home::new());
        let launch = Launch::ringstone().shards(shards).set("rdb-version-max", 10);
        let server = launch.set("save", "").start(&home);
        let mut conn = server.conn();
        for line in ["MSET a 1 b 2 c 3", "HSET h f v g w", "HEXPIRE h 1000 FIELDS 1 f", "SELECT 3"]
        {
            conn.line(line);
        }
        for line in ["HSET other f v g w", "HEXPIRE other 1000 FIELDS 1 f", "DEL other"] {
            conn.line(line);
        }
        let refused = say(&mut conn, "SAVE");
        let expected = "ERR the hash h in database 0 has fields that expire, which takes an RDB file of version 12; \
                        rdb-version-max is less";
        assert_eq!(refused, expected);
        assert!(!home.data().join("dump.rdb").exists());
        say(&mut conn, "BGSAVE");
        let began = Instant::now();
        loop {
            let info = say(&mut conn, "INFO persistence");
            let is_over = info.contains("rdb_bgsave_in_progress:0");
            if is_over && info.contains("rdb_last_bgsave_status:err") {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "BGSAVE did not fail");
        }
        assert!(server.log_text().contains("the hash h in database 0"));

        for line in ["SELECT 0", "HPERSIST h FIELDS 1 f", "SAVE"] {
            assert!(!conn.line(line).is_error(), "{line}");
        }
        let dump = fs::read(home.data().join("dump.rdb")).unwrap();
        assert!(dump.starts_with(b"REDIS0010"));
        fs::create_dir_all(theirs.data()).unwrap();
        fs::write(theirs.data().join("dump.rdb"), dump).unwrap();
        let redis = Launch::redis().start(&theirs);
        assert_eq!(say(&mut redis.conn(), "HGET h g"), "w");
        assert_eq!(say(&mut redis.conn(), "DBSIZE"), "4");

        for line in ["HEXPIRE h 1000 FIELDS 1 f", "CONFIG SET rdb-version-max 12", "SAVE"] {
            assert!(!conn.line(line).is_error(), "{line}");
        }
        assert!(fs::read(home.data().join("dump.rdb")).unwrap().starts_with(b"REDIS0012"));
    }
}
