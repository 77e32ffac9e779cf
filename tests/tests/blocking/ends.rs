//! How a wait ends otherwise: by its timeout, from outside, with its connection.

use std::time::{Duration, Instant};

use ringstone_tests::server::{Home, Launch};

use crate::{call, on_servers, read, send, until_blocked, waiting};

#[test]
fn bad_timeouts_are_refused_in_redis_s_words() {
    on_servers(|server| {
        let mut conn = server.conn();
        for timeout in ["-1", "-inf", "inf", "0x7FFFFFFFFFFFFFFF", "9223372036854775807"] {
            for line in [format!("BLPOP a b {timeout}"), format!("BLMPOP {timeout} 1 a LEFT")] {
                assert_eq!(call(&mut conn, &line), "ERR timeout is negative", "{line}");
            }
        }
        let not_float = "ERR timeout is not a float or out of range";
        assert_eq!(call(&mut conn, "BZPOPMIN a nan"), not_float);
        assert_eq!(call(&mut conn, "BRPOPLPUSH a b x"), not_float);
        let not_integer = "ERR timeout is not an integer or out of range";
        assert_eq!(call(&mut conn, "XREAD BLOCK 1.5 STREAMS a 0"), not_integer);
        assert_eq!(call(&mut conn, "XREAD BLOCK -1 STREAMS a 0"), "ERR timeout is negative");
        assert_eq!(call(&mut conn, "BLMOVE a b UP LEFT 0"), "ERR syntax error");
        assert_eq!(call(&mut conn, "BLMPOP 0 2 a LEFT"), "ERR syntax error");
        assert_eq!(
            call(&mut conn, "BZMPOP 0 1 a MIN COUNT 0"),
            "ERR count should be greater than 0"
        );
        // Too far away to be counted: for ever.
        let mut far = waiting(server, "BLPOP a 9223372036854775", 0);
        conn.line("RPUSH a 1");
        assert_eq!(read(&mut far), "[a, 1]");
    });
}

#[test]
fn a_timeout_is_neither_early_nor_much_too_late() {
    for shards in [1, 2] {
        let home = Home::new();
        let server = Launch::ringstone().shards(shards).start(&home);
        let mut conn = server.conn();
        for line in ["BLPOP a 0.1", "BLPOP a b c d 0.1", "XREAD BLOCK 100 STREAMS a $"] {
            let begin = Instant::now();
            assert_eq!(call(&mut conn, line), "nil");
            let took = begin.elapsed();
            assert!(took >= Duration::from_millis(100), "{line}: {took:?}");
            assert!(took < Duration::from_secs(5), "{line}: {took:?}");
        }
        until_blocked(&server, 0);
    }
}

#[test]
fn a_wait_can_be_ended_from_outside() {
    on_servers(|server| {
        let mut conn = server.conn();
        for (end, reply) in [
            ("", "nil"),
            ("TIMEOUT", "nil"),
            ("ERROR", "UNBLOCKED client unblocked via CLIENT UNBLOCK"),
        ] {
            let mut client = server.conn();
            let id = client.line("CLIENT ID").int().unwrap();
            assert_eq!(call(&mut conn, &format!("CLIENT UNBLOCK {id} {end}")), "0");
            send(&mut client, "BLPOP a b c 0");
            until_blocked(server, 1);
            let list = call(&mut conn, &format!("CLIENT LIST ID {id}"));
            assert!(list.contains("flags=b") && list.contains("cmd=blpop"), "{list}");
            assert_eq!(call(&mut conn, &format!("CLIENT UNBLOCK {id} {end}")), "1");
            assert_eq!(read(&mut client), reply);
            assert_eq!(call(&mut client, "PING"), "PONG");
        }
        assert_eq!(
            call(&mut conn, "CLIENT UNBLOCK 1 x"),
            "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"
        );
        assert!(conn.line("CLIENT UNBLOCK x").is_error());
        assert_eq!(call(&mut conn, "CLIENT UNBLOCK 999999"), "0");
        conn.line("RPUSH a 1");
        assert_eq!(call(&mut conn, "LLEN a"), "1");
    });
}

#[test]
fn who_has_gone_takes_nothing_along() {
    on_servers(|server| {
        let mut conn = server.conn();
        let gone = waiting(server, "BLPOP a b c d 0", 0);
        let mut killed = server.conn();
        let id = killed.line("CLIENT ID").int().unwrap();
        send(&mut killed, "BLMOVE a b LEFT LEFT 0");
        until_blocked(server, 2);
        drop(gone);
        until_blocked(server, 1);
        assert_eq!(call(&mut conn, &format!("CLIENT KILL ID {id}")), "1");
        until_blocked(server, 0);
        assert!(killed.read().is_err());
        conn.line("RPUSH a 1");
        assert_eq!(call(&mut conn, "LRANGE a 0 -1"), "[1]");
        assert_eq!(call(&mut conn, "EXISTS b"), "0");
    });
}

#[test]
fn messages_pass_a_subscriber_that_waits() {
    on_servers(|server| {
        let mut conn = server.conn();
        for keys in ["a", "b", "c", "a b c d"] {
            let mut client = server.conn();
            client.line("HELLO 3");
            assert_eq!(call(&mut client, "SUBSCRIBE ch"), "[subscribe, ch, 1]");
            send(&mut client, &format!("BLPOP {keys} 0"));
            until_blocked(server, 1);
            assert_eq!(call(&mut conn, "PUBLISH ch hi"), "1");
            assert_eq!(read(&mut client), "[message, ch, hi]");
            let first = &keys[..1];
            conn.line(&format!("RPUSH {first} 1"));
            assert_eq!(read(&mut client), format!("[{first}, 1]"));
        }
    });
}

#[test]
fn replies_that_nobody_wants_are_left_out() {
    on_servers(|server| {
        let mut conn = server.conn();
        for (mode, key) in [("OFF", "a"), ("OFF", "b"), ("SKIP", "a"), ("SKIP", "b"), ("SKIP", "c")]
        {
            let mut client = server.conn();
            send(&mut client, &format!("CLIENT REPLY {mode}"));
            send(&mut client, &format!("BLPOP {key} 0"));
            until_blocked(server, 1);
            conn.line(&format!("RPUSH {key} 1"));
            until_blocked(server, 0);
            send(&mut client, if mode == "OFF" { "CLIENT REPLY ON" } else { "PING" });
            assert_eq!(read(&mut client), if mode == "OFF" { "OK" } else { "PONG" });
            assert_eq!(call(&mut conn, &format!("EXISTS {key}")), "0");
        }
    });
}

/// Processor time that a process has taken, in hundredths of a second.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn a_wait_whose_time_is_up_takes_no_processor_time() {
    on_servers(|server| {
        let mut conn = server.conn();
        let before = cpu_ticks(server.pid());
        for _ in 0..20 {
            assert_eq!(call(&mut conn, "BLPOP nothing:here 0.01"), "nil");
        }
        let took = cpu_ticks(server.pid()) - before;
        assert!(took <= 15, "20 waits took {took} hundredths of a second");
    });
}
