//! Files of all kinds, made by servers.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{Outcome, log, rdb};
use crate::resp::Conn;
use crate::server::{Home, Launch};
use crate::sim::rng::Rng;

/// The files, and the directories that they stand in.
pub(super) struct Files {
    logs: Vec<log::Subject>,
    snapshots: Vec<rdb::Subject>,
    imports: Vec<rdb::Subject>,
    scratch: Home,
    /// Data directories, as their servers left them.
    pub(super) homes: Vec<Home>,
}

/// All types, a rewrite in between, then some more.
pub(super) fn fill(conn: &mut Conn) {
    for n in 0..40 {
        for line in [
            format!("SET key-{n} value-{n}"),
            format!("RPUSH list-{n} a b {n}"),
            format!("HSET hash-{} f{n} {n}", n % 5),
            format!("ZADD zset-{} {n} m{n}", n % 5),
            format!("SADD set-{} {n} x{n}", n % 5),
            format!("XADD stream-{} {}-1 f v", n % 3, n + 1),
            format!("SET ttl-{n} v EXAT 4102444800"),
        ] {
            assert!(!conn.line(&line).is_error(), "{line}");
        }
        if n == 20 {
            conn.line("BGREWRITEAOF");
            wait(conn, "aof_rewrite_in_progress:0");
        }
    }
    conn.line("MSET a 1 b 2 c 3 d 4");
    let code = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
    assert!(!conn.call(&["FUNCTION", "LOAD", code]).expect("a reply").is_error());
}

fn wait(conn: &mut Conn, state: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !conn.line("INFO persistence").text().contains(state) {
        assert!(Instant::now() < deadline, "{state} does not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Files {
    /// Starts servers, and keeps what they leave.
    pub(super) fn make() -> Files {
        let mut files = Files {
            logs: Vec::new(),
            snapshots: Vec::new(),
            imports: Vec::new(),
            scratch: Home::new(),
            homes: Vec::new(),
        };
        let kinds = [
            ("log, always, killed", "always", false),
            ("log, everysec, killed", "everysec", false),
            ("log, everysec, stopped", "everysec", true),
        ];
        // All at once, since what is idle takes its time to say so.
        let running = kinds.map(|(name, fsync, stops)| {
            let home = Home::new();
            let launch = Launch::ringstone().shards(2).log(fsync).set("log-segment-size", "1mb");
            let server = launch.start(&home);
            fill(&mut server.conn());
            server.conn().line("SAVE");
            (name, stops, home, server)
        });
        for (name, stops, home, server) in running {
            let dir = home.data().join("appendonly");
            let deadline = Instant::now() + Duration::from_secs(90);
            while !log::all_shards_vouch(&dir) {
                assert!(Instant::now() < deadline, "{name}: nobody says that all is durable");
                std::thread::sleep(Duration::from_millis(200));
            }
            if stops {
                assert!(server.stop().success());
            } else {
                server.kill();
            }
            files.logs.push(log::Subject::new(name, &dir));
            files.snapshots.push(rdb::Subject::snapshot("dump.rdb", &home.data().join("dump.rdb")));
            files.homes.push(home);
        }
        files.of_redis();
        files
    }

    fn of_redis(&mut self) {
        let home = Home::new();
        let server = Launch::redis().set("appendonly", "yes").start(&home);
        fill(&mut server.conn());
        server.conn().line("SAVE");
        assert!(server.stop().success());
        let path = |name: &str| home.data().join(name);
        self.snapshots.push(rdb::Subject::snapshot("dump.rdb of Redis", &path("dump.rdb")));
        let parts = fs::read_dir(path("appendonlydir")).expect("a directory of Redis");
        for part in parts {
            let path = part.expect("an entry").path();
            // The manifest names its parts, which must stand beside its damaged copy.
            let beside = self.scratch.data().join(path.file_name().expect("a name"));
            fs::copy(&path, beside).expect("space");
            match path.extension().and_then(|end| end.to_str()) {
                Some("rdb") => {
                    self.snapshots.push(rdb::Subject::snapshot("base of Redis", &path));
                }
                Some("aof") => self.imports.push(rdb::Subject::log("AOF of Redis", &path)),
                _ => self.imports.push(rdb::Subject::log("AOF manifest of Redis", &path)),
            }
        }
        self.homes.push(home);
    }

    /// A random damage of a random file.
    pub(super) fn damage(&self, rng: &mut Rng) -> (&'static str, String, Outcome) {
        let scratch = |name: &str| -> PathBuf { self.scratch.data().join(name) };
        match rng.below(10) {
            0..7 => {
                let (at, other) = (rng.index(self.logs.len()), rng.index(self.logs.len() - 1));
                let subject = &self.logs[at];
                let other = &self.logs[(at + 1 + other) % self.logs.len()];
                let (what, outcome) = subject.damage(rng, other, &scratch("base.rdb"));
                (subject.name, what, outcome)
            }
            7..9 => self.one_of(&self.snapshots, rng, &scratch("dump.rdb")),
            _ => {
                let at = rng.index(self.imports.len());
                let name =
                    if self.imports[at].name.contains("manifest") { "x.manifest" } else { "x.aof" };
                let other = &self.imports[rng.index(self.imports.len())];
                let (what, outcome) = self.imports[at].damage(rng, other, &scratch(name));
                (self.imports[at].name, what, outcome)
            }
        }
    }

    fn one_of(
        &self,
        subjects: &[rdb::Subject],
        rng: &mut Rng,
        scratch: &std::path::Path,
    ) -> (&'static str, String, Outcome) {
        let subject = &subjects[rng.index(subjects.len())];
        let other = &subjects[rng.index(subjects.len())];
        let (what, outcome) = subject.damage(rng, other, scratch);
        (subject.name, what, outcome)
    }
}
