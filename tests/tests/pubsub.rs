//! Publish and subscribe, on one shard and over two, beside redis-server where the bytes must be the same.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests"
)]

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use ringstone_tests::resp::{Conn, Value, encode};
use ringstone_tests::server::{Home, Launch, Server};

fn ringstone(shards: usize) -> (Home, Server) {
    let home = Home::new();
    let server = Launch::ringstone().shards(shards).start(&home);
    (home, server)
}

/// A server of each kind, redis-server last.
fn all() -> Vec<(Home, Server)> {
    Launch::all()
        .into_iter()
        .map(|launch| {
            let home = Home::new();
            let server = launch.start(&home);
            (home, server)
        })
        .collect()
}

/// The words of a push or of an array.
fn words(value: &Value) -> Vec<String> {
    value.items().iter().map(Value::text).collect()
}

fn next(conn: &mut Conn) -> Vec<String> {
    words(&conn.read().expect("a message"))
}

/// Connections until one of them is on each shard: the kernel chooses, so many are made.
fn spread(server: &Server) -> Vec<Conn> {
    (0..16).map(|_| server.conn()).collect()
}

/// Raw bytes of what `lines` are answered with, `@n` before a line naming the connection, `@n<` reading one more message of it.
fn transcript(server: &Server, lines: &[&str]) -> Vec<String> {
    let mut conns: Vec<Conn> = (0..3).map(|_| server.conn()).collect();
    lines
        .iter()
        .map(|line| {
            let (at, line) = line.split_once(' ').unwrap_or((line, ""));
            let conn = &mut conns[usize::from(at.as_bytes()[1] - b'0')];
            if !line.is_empty() {
                let args: Vec<&str> = line.split(' ').collect();
                conn.send_raw(&encode(&args)).unwrap();
            }
            let reply = conn.read_raw().unwrap_or_else(|e| format!("{e}").into_bytes());
            let reply = String::from_utf8_lossy(&reply).into_owned();
            // The greeting tells versions and numbers.
            if line.starts_with("HELLO") { reply[..2].to_owned() } else { reply }
        })
        .collect()
}

#[test]
fn confirmations_messages_and_errors_equal_those_of_redis_to_the_byte() {
    let lines = [
        "@0 SUBSCRIBE a b a",
        "@0<",
        "@0<",
        "@0 PSUBSCRIBE a* ?",
        "@0<",
        "@0 SSUBSCRIBE a",
        "@0 GET x",
        "@0 CLIENT LIST",
        "@0 NOSUCH x",
        "@0 PUBLISH a x",
        "@0 PING",
        "@0 PING there",
        "@0 PING a b",
        "@0 SUBSCRIBE",
        "@0 PUNSUBSCRIBE none",
        "@1 PUBLISH b one",
        "@0<",
        "@0<",
        "@1 PUBLISH abc two",
        "@0<",
        "@1 SPUBLISH a three",
        "@0<",
        "@1 SPUBLISH b nobody",
        "@1 PUBLISH nobody nothing",
        "@1 PUBLISH a",
        "@1 PUBSUB NUMSUB",
        "@1 PUBSUB NUMSUB a b c",
        "@1 PUBSUB NUMPAT",
        "@1 PUBSUB SHARDCHANNELS",
        "@1 PUBSUB SHARDNUMSUB a b",
        "@1 PUBSUB CHANNELS b*",
        "@1 PUBSUB CHANNELS x*",
        "@1 PUBSUB CHANNELS a b",
        "@1 PUBSUB NUMPAT x",
        "@1 PUBSUB NOSUCH",
        "@1 PUBSUB",
        "@1 PUBSUB HELP",
        "@1 UNSUBSCRIBE",
        "@1 UNSUBSCRIBE a b",
        "@1<",
        "@1 PUNSUBSCRIBE",
        "@1 SUNSUBSCRIBE",
        "@0 SUNSUBSCRIBE",
        "@0 UNSUBSCRIBE b",
        "@0 UNSUBSCRIBE",
        "@0 GET x",
        "@0 PUNSUBSCRIBE",
        "@0<",
        "@0 GET x",
        "@0 PING",
        // RESP3: everything may be done, and a push comes before the reply of whoever publishes to itself.
        "@2 HELLO 3",
        "@2 SUBSCRIBE c",
        "@2 PUBLISH c self",
        "@2<",
        "@2 PING",
        "@2 SET k v",
        "@2 GET k",
        "@2 UNSUBSCRIBE none",
        "@2 PSUBSCRIBE c*",
        "@1 PUBLISH c both",
        "@2<",
        "@2<",
        "@2 HELLO 2",
        "@2 GET k",
        "@2 RESET",
        "@2 GET k",
        "@1 PUBLISH c gone",
        "@2 SUBSCRIBE c",
        "@2 QUIT",
    ];
    let seen: Vec<Vec<String>> =
        all().iter().map(|(_, server)| transcript(server, &lines)).collect();
    for (at, line) in lines.iter().enumerate() {
        assert_eq!(seen[0][at], seen[2][at], "one shard: {line}");
        assert_eq!(seen[1][at], seen[2][at], "two shards: {line}");
    }
}

#[test]
fn every_subscriber_on_every_shard_hears_each_message_once_and_in_order() {
    let (_home, server) = ringstone(2);
    let mut listeners = spread(&server);
    for (n, conn) in listeners.iter_mut().enumerate() {
        conn.line(if n % 2 == 0 { "SUBSCRIBE news" } else { "PSUBSCRIBE n*s" });
    }
    let mut publishers = spread(&server);
    for (n, publisher) in publishers.iter_mut().enumerate() {
        let commands: Vec<Vec<String>> = (0..50)
            .map(|i| ["PUBLISH", "news", &format!("{n}-{i}")].map(str::to_owned).to_vec())
            .collect();
        for reply in publisher.pipeline(&commands).unwrap() {
            assert_eq!(reply.int(), Some(16));
        }
    }
    for conn in &mut listeners {
        let mut seen = [0; 16];
        for _ in 0..16 * 50 {
            let last = next(conn).pop().unwrap();
            let (publisher, number) = last.split_once('-').unwrap();
            let (publisher, number): (usize, usize) =
                (publisher.parse().unwrap(), number.parse().unwrap());
            assert_eq!(seen[publisher], number, "messages of publisher {publisher}");
            seen[publisher] += 1;
        }
    }
    // Whoever goes is no longer counted.
    drop(listeners);
    let deadline = Instant::now() + Duration::from_secs(10);
    while publishers[0].line("PUBLISH news x").int() != Some(0) {
        assert!(Instant::now() < deadline, "the dead are still counted");
    }
    assert_eq!(publishers[0].line("PUBSUB NUMPAT").int(), Some(0));
}

#[test]
fn a_flood_of_messages_to_another_shard_is_delivered_whole() {
    let (_home, server) = ringstone(2);
    let mut listeners: Vec<Conn> = spread(&server).into_iter().take(4).collect();
    listeners.iter_mut().for_each(|conn| drop(conn.line("SUBSCRIBE c")));
    let mut publisher = server.conn();
    let count = 20_000;
    let flood = encode(&["PUBLISH", "c", "x"]).repeat(count);
    publisher.send_raw(&flood).unwrap();
    for _ in 0..count {
        assert_eq!(publisher.read().unwrap().int(), Some(4));
    }
    for conn in &mut listeners {
        for _ in 0..count {
            assert_eq!(next(conn), ["message", "c", "x"]);
        }
    }
}

#[test]
fn a_push_never_breaks_into_a_reply() {
    for (shards, fsync) in [(1, "always"), (2, "always"), (2, "everysec")] {
        let home = Home::new();
        let server = Launch::ringstone().shards(shards).log(fsync).start(&home);
        let mut conn = server.conn();
        conn.line("HELLO 3");
        conn.line("SUBSCRIBE c");
        let mut publisher = server.conn();
        for round in 0..20 {
            // Keys of all shards, written and read: replies that wait for the log, for hops and for transactions.
            let mut commands: Vec<Vec<String>> = Vec::new();
            for n in 0..20 {
                for line in
                    [format!("SET k{n} {round}"), format!("GET k{n}"), format!("MGET k{n} k7 k8")]
                {
                    commands.push(line.split(' ').map(str::to_owned).collect());
                }
            }
            let mut bytes = Vec::new();
            commands.iter().for_each(|c| ringstone_tests::resp::encode_into(&mut bytes, c));
            conn.send_raw(&bytes).unwrap();
            publisher.send_raw(&encode(&["PUBLISH", "c", "m"]).repeat(30)).unwrap();
            let (mut replies, mut pushes) = (Vec::new(), 0);
            while replies.len() < commands.len() || pushes < 30 {
                match conn.read().unwrap() {
                    Value::Push(_) => pushes += 1,
                    reply => replies.push(reply),
                }
            }
            for (reply, command) in replies.iter().zip(&commands) {
                match command[0].as_str() {
                    "SET" => assert_eq!(reply.text(), "OK"),
                    "GET" => assert_eq!(reply.int(), Some(round), "{command:?}"),
                    _ => assert_eq!(reply.items().len(), 3, "{command:?} {reply:?}"),
                }
            }
            for _ in 0..30 {
                assert_eq!(publisher.read().unwrap().int(), Some(1));
            }
        }
    }
}

#[test]
fn a_subscriber_that_does_not_read_is_dropped_at_the_limit_of_its_class() {
    for shards in [1, 2] {
        let home = Home::new();
        let server = Launch::ringstone()
            .shards(shards)
            .set("client-output-buffer-limit", "pubsub 1mb 0 0")
            .start(&home);
        let mut slow = server.conn();
        slow.line("SUBSCRIBE c");
        let mut publisher = server.conn();
        let message = "x".repeat(100_000);
        let deadline = Instant::now() + Duration::from_secs(20);
        while publisher.call(&["PUBLISH", "c", &message]).unwrap().int() == Some(1) {
            assert!(Instant::now() < deadline, "the subscriber is still there");
        }
        let info = publisher.line("INFO stats").text();
        assert!(info.contains("client_output_buffer_limit_disconnections:1"), "{info}");
        assert!(info.contains("pubsub_channels:0"), "{info}");
        slow.stream().set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let end = std::iter::repeat_with(|| slow.read()).find_map(Result::err).unwrap();
        assert_ne!(end.kind(), ErrorKind::WouldBlock, "closed by the server");
    }
}

#[test]
fn client_list_and_kill_and_info_know_subscribers() {
    for shards in [1, 2] {
        let (_home, server) = ringstone(shards);
        let mut subscriber = server.conn();
        subscriber.line("SUBSCRIBE a");
        subscriber.line("SUBSCRIBE b");
        subscriber.line("PSUBSCRIBE p*");
        subscriber.line("SSUBSCRIBE s");
        let mut conn = server.conn();
        let list = conn.line("CLIENT LIST TYPE pubsub").text();
        assert_eq!(list.lines().count(), 1, "{list}");
        assert!(list.contains(" flags=P ") && list.contains(" sub=2 psub=1 ssub=1 "), "{list}");
        assert!(!conn.line("CLIENT LIST TYPE normal").text().contains("flags=P"));
        let info = conn.line("INFO stats").text();
        for line in ["pubsub_channels:2", "pubsub_patterns:1", "pubsubshard_channels:1"] {
            assert!(info.contains(line), "{line} in {info}");
        }
        assert_eq!(conn.line("CLIENT KILL TYPE pubsub").int(), Some(1));
        assert!(subscriber.read().is_err());
        assert_eq!(conn.line("PUBSUB NUMSUB a").items()[1].int(), Some(0));
        assert_eq!(conn.line("PUBSUB NUMPAT").int(), Some(0));
    }
}

#[test]
fn client_reply_off_does_not_keep_pushes_back() {
    for (_home, server) in all() {
        let mut conn = server.conn();
        conn.line("HELLO 3");
        conn.send_raw(&encode(&["CLIENT", "REPLY", "OFF"])).unwrap();
        conn.send_raw(&encode(&["SUBSCRIBE", "c"])).unwrap();
        assert_eq!(next(&mut conn), ["subscribe", "c", "1"]);
        conn.send_raw(&encode(&["PUBLISH", "c", "m"])).unwrap();
        assert_eq!(next(&mut conn), ["message", "c", "m"]);
        conn.send_raw(&encode(&["CLIENT", "REPLY", "ON"])).unwrap();
        assert_eq!(conn.read().unwrap(), Value::Simple("OK".into()));
        conn.send_raw(&encode(&["CLIENT", "REPLY", "SKIP"])).unwrap();
        conn.send_raw(&encode(&["PUBLISH", "c", "m"])).unwrap();
        assert_eq!(next(&mut conn), ["message", "c", "m"]);
        assert_eq!(conn.line("ECHO x").text(), "x");
    }
}

#[test]
fn what_was_published_comes_before_the_reply_to_a_later_unsubscribe() {
    for (_home, server) in all() {
        let (mut publisher, mut subscribers) = (server.conn(), spread(&server));
        for round in 0..12 {
            for conn in &mut subscribers {
                conn.line("SUBSCRIBE news");
                let message = round.to_string();
                assert_eq!(publisher.line(&format!("PUBLISH news {message}")).int(), Some(1));
                conn.send_raw(&encode(&["UNSUBSCRIBE", "news"])).unwrap();
                assert_eq!(next(conn), ["message", "news", &message]);
                assert_eq!(next(conn)[0], "unsubscribe");
            }
        }
    }
}
