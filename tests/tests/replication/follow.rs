//! What a primary and its replicas say of each other.

use std::time::{Duration, Instant};

use ringstone_tests::server::Home;

use super::{Stream, primary, replica_of, until, until_online};

#[test]
fn wait_ends_when_replicas_have_it_or_the_time_is_up() {
    for shards in [1, 2] {
        let (home, there) = (Home::new(), Home::new());
        let server = primary(shards).start(&home);
        let mut conn = server.conn();
        assert_eq!(conn.line("WAIT 1 10").int(), Some(0));
        let replica = replica_of(&server, &there);
        until_online(&mut conn, 1);
        for n in 0..20 {
            conn.line(&format!("SET key-{n} {n}"));
            assert_eq!(conn.line("WAIT 1 20000").int(), Some(1));
            assert_eq!(replica.conn().line(&format!("GET key-{n}")).text(), n.to_string());
        }
        let began = Instant::now();
        assert_eq!(conn.line("WAIT 2 100").int(), Some(1));
        assert!(began.elapsed() >= Duration::from_millis(100));
        let mut busy = replica.conn();
        busy.send_raw(b"DEBUG SLEEP 1\r\n").unwrap();
        until("it sleeps", || {
            conn.line("SET late 1");
            conn.line("WAIT 1 50").int() == Some(0)
        });
        assert_eq!(conn.line("WAIT 1 20000").int(), Some(1));
    }
}

#[test]
fn replicas_are_seen_in_info_role_and_client_list() {
    let (home, there) = (Home::new(), Home::new());
    let server = primary(2).start(&home);
    let mut conn = server.conn();
    let replica = replica_of(&server, &there);
    until_online(&mut conn, 1);
    conn.line("SET key value");
    assert_eq!(conn.line("WAIT 1 20000").int(), Some(1));
    assert_eq!(conn.info("replication", "connected_slaves"), "1");
    let slave = conn.info("replication", "slave0");
    let port = replica.port();
    assert!(
        slave.starts_with(&format!("ip=127.0.0.1,port={port},state=online,offset=")),
        "{slave}"
    );
    let role = conn.line("ROLE");
    assert_eq!(role.items()[0].text(), "master");
    let known = &role.items()[2].items()[0];
    assert_eq!(known.items()[0].text(), "127.0.0.1");
    assert_eq!(known.items()[1].text(), port.to_string());
    // What asked for the acknowledgement is of the stream, too.
    let told: i64 = known.items()[2].text().parse().unwrap();
    assert!(told > 0 && told <= role.items()[1].int().unwrap(), "{role:?}");
    let name = conn.info("replication", "master_replid");
    assert_eq!(replica.conn().info("replication", "master_replid"), name);
    let list = conn.line("CLIENT LIST TYPE replica").text();
    assert_eq!(list.lines().count(), 1, "{list}");
    assert!(list.contains(" flags=S "), "{list}");
    assert!(!conn.line("CLIENT LIST TYPE normal").text().contains(" flags=S "));
    assert_eq!(conn.line("CLIENT LIST TYPE master").text(), "");
    replica.stop();
    until("it is gone", || conn.info("replication", "connected_slaves") == "0");
    assert_eq!(conn.line("ROLE").items()[2].items().len(), 0);
}

#[test]
fn writes_are_refused_while_too_few_replicas_are_there() {
    let (home, there) = (Home::new(), Home::new());
    let server = primary(2).start(&home);
    let mut conn = server.conn();
    conn.line("SET key 1");
    conn.line("CONFIG SET min-replicas-to-write 1");
    let refused = "NOREPLICAS Not enough good replicas to write.";
    assert_eq!(conn.line("SET key 2").text(), refused);
    assert_eq!(conn.line("GET key").text(), "1");
    assert!(
        conn.line("EVAL return(redis.call('set','key','2')) 1 key")
            .text()
            .starts_with("NOREPLICAS")
    );
    conn.line("CONFIG SET min-replicas-to-write 0");
    conn.line("MULTI");
    conn.line("INCR key");
    server.conn().line("CONFIG SET min-replicas-to-write 1");
    let aborted = conn.line("EXEC").text();
    assert!(aborted.starts_with("EXECABORT") && aborted.contains("NOREPLICAS"), "{aborted}");
    let replica = replica_of(&server, &there);
    until_online(&mut conn, 1);
    until("writes go on", || !conn.line("INCR key").is_error());
    assert_eq!(conn.info("replication", "min_slaves_good_slaves"), "1");
    replica.stop();
    until("writes are refused again", || conn.line("INCR key").is_error());
}

#[test]
fn a_connection_that_follows_cannot_use_keys() {
    let home = Home::new();
    let server = primary(2).start(&home);
    let mut stream = Stream::attach(&server);
    stream.send("GET key");
    assert_eq!(stream.line(), "-ERR Replica can't interact with the keyspace");
    // Asking again changes nothing.
    stream.send("SYNC");
    server.conn().line("SET key value");
    assert_eq!(stream.commands(2), ["SELECT 0", "SET key value"]);
}

#[test]
fn replconf_says_what_it_does_not_understand() {
    let home = Home::new();
    let server = primary(1).start(&home);
    let mut conn = server.conn();
    assert_eq!(
        conn.line("REPLCONF listening-port 7000 ip-address ::1 capa eof capa psync2").text(),
        "OK"
    );
    assert_eq!(conn.line("REPLCONF listening-port").text(), "ERR syntax error");
    assert_eq!(
        conn.line("REPLCONF nonsense 1").text(),
        "ERR Unrecognized REPLCONF option: nonsense"
    );
    let long = format!("REPLCONF ip-address {}", "a".repeat(256));
    assert!(conn.line(&long).text().contains("is too long: 256 bytes"));
    assert_eq!(conn.line("PSYNC ? x").text(), "ERR value is not an integer or out of range");
    assert_eq!(conn.info("replication", "repl_backlog_active"), "0");
}
