//! Nothing is lost or doubled, in a crash or a crowd.

use std::thread;
use std::time::{Duration, Instant};

use ringstone_tests::resp::Value;
use ringstone_tests::server::{Home, Launch};

use crate::{call, read, until_blocked, waiting};

#[test]
fn served_pops_are_in_the_log() {
    for shards in [1, 2] {
        let home = Home::new();
        let launch = Launch::ringstone().shards(shards).log("everysec");
        let server = launch.start(&home);
        let mut conn = server.conn();
        let mut pop = waiting(&server, "BLPOP a x y 0", 0);
        let mut mover = waiting(&server, "BLMOVE b c LEFT LEFT 0", 1);
        let mut moved = waiting(&server, "BLMOVE b d LEFT LEFT 0", 2);
        conn.line("RPUSH a 1 2");
        conn.line("RPUSH b 3 4");
        assert_eq!(read(&mut pop), "[a, 1]");
        assert_eq!((read(&mut mover), read(&mut moved)), ("3".into(), "4".into()));
        drop(server);
        let server = launch.start(&home);
        let mut conn = server.conn();
        assert_eq!(call(&mut conn, "LRANGE a 0 -1"), "[2]");
        assert_eq!(call(&mut conn, "LRANGE c 0 -1"), "[3]");
        assert_eq!(call(&mut conn, "LRANGE d 0 -1"), "[4]");
        assert_eq!(call(&mut conn, "EXISTS b"), "0");
    }
}

/// Every element that was pushed is popped exactly once, or is still there.
#[test]
fn pushers_and_poppers_lose_and_double_nothing() {
    const EACH: usize = 1500;
    for (shards, log) in [(1, false), (2, false), (2, true)] {
        let home = Home::new();
        let launch = Launch::ringstone().shards(shards);
        let launch = if log { launch.log("everysec") } else { launch };
        let server = launch.start(&home);
        let pops = [
            "BLPOP k0 k1 k2 k3 0.05",
            "BRPOP k3 k2 0.05",
            "BLPOP k1 0.05",
            "BLMPOP 0.05 3 k2 k0 k3 LEFT COUNT 3",
            "BLMOVE k0 k1 LEFT RIGHT 0.02",
            "BLMOVE k1 k2 RIGHT LEFT 0.02",
            "BRPOPLPUSH k3 k3 0.02",
        ];
        let mut got: Vec<String> = thread::scope(|scope| {
            let pushers: Vec<_> = (0..3)
                .map(|pusher| {
                    let mut conn = server.conn();
                    scope.spawn(move || {
                        for n in 0..EACH {
                            let key = (n + pusher) % 4;
                            let line = format!("RPUSH k{key} {pusher}-{n}");
                            if n % 7 == 0 {
                                conn.line("MULTI");
                                conn.line(&line);
                                conn.line("EXEC");
                            } else {
                                conn.line(&line);
                            }
                        }
                    })
                })
                .collect();
            let poppers: Vec<_> = pops
                .iter()
                .map(|line| {
                    let (mut conn, begin) = (server.conn(), Instant::now());
                    scope.spawn(move || {
                        let (mut got, mut idle) = (Vec::new(), 0);
                        while idle < 10 && begin.elapsed() < Duration::from_secs(60) {
                            let reply = conn.line(line);
                            assert!(!reply.is_error(), "{line}: {reply:?}");
                            idle = if reply == Value::Null { idle + 1 } else { 0 };
                            match reply.items() {
                                // A move takes nothing out.
                                [] => {}
                                [_, Value::Array(many)] => got.extend(many.iter().map(Value::text)),
                                [_, one] => got.push(one.text()),
                                other => panic!("{line}: {other:?}"),
                            }
                            if got.len() >= 3 * EACH {
                                break;
                            }
                        }
                        got
                    })
                })
                .collect();
            pushers.into_iter().for_each(|pusher| pusher.join().unwrap());
            poppers.into_iter().flat_map(|popper| popper.join().unwrap()).collect()
        });
        let mut conn = server.conn();
        for key in ["k0", "k1", "k2", "k3"] {
            let left = conn.line(&format!("LRANGE {key} 0 -1"));
            got.extend(left.items().iter().map(Value::text));
        }
        got.sort();
        let mut expected: Vec<String> =
            (0..3).flat_map(|p| (0..EACH).map(move |n| format!("{p}-{n}"))).collect();
        expected.sort();
        assert_eq!(got.len(), expected.len(), "{shards} shards");
        assert!(got == expected, "{shards} shards: other elements");
        until_blocked(&server, 0);
    }
}

/// Although the keys are on different shards, and the writes in one pipeline.
#[test]
fn the_first_of_a_client_s_writes_serves_who_waits_for_several_keys() {
    crate::on_servers(|server| {
        let mut writers: Vec<_> = (0..4).map(|_| server.conn()).collect();
        for round in 0..8 {
            for (n, writer) in writers.iter_mut().enumerate() {
                let (first, second) = if (round + n) % 2 == 0 { ("a", "b") } else { ("b", "a") };
                let mut popper = waiting(server, "BLPOP a b 0", 0);
                let pushes = [vec!["RPUSH", first, "1"], vec!["RPUSH", second, "2"]];
                writer.pipeline(&pushes).unwrap();
                assert_eq!(read(&mut popper), format!("[{first}, 1]"));
                assert_eq!(call(writer, "DEL a b"), "1");
            }
        }
    });
}
