//! Client-side caching: who is told of which change, on one shard and over two.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests"
)]

use std::time::{Duration, Instant};

use ringstone_tests::resp::{Conn, Value, encode};
use ringstone_tests::server::{Home, Launch, Server};

fn resp3(server: &Server) -> Conn {
    let mut conn = server.conn();
    conn.line("HELLO 3");
    conn
}

/// The keys of the pushes that are there by now, sorted; `*` for all keys. CLIENT LIST asks all shards, so what they have sent
/// before is here by then.
fn told(conn: &mut Conn) -> Vec<String> {
    conn.send_raw(&encode(&["CLIENT", "LIST"])).unwrap();
    let mut keys = Vec::new();
    loop {
        match conn.read().unwrap() {
            Value::Push(push) => match push[0].text().as_str() {
                "invalidate" if push[1] == Value::Null => keys.push("*".to_owned()),
                "invalidate" => keys.extend(push[1].items().iter().map(Value::text)),
                other => keys.push(format!("{other} {}", push[1].text())),
            },
            Value::Verbatim(_) => break,
            // The reply of a command that was sent before.
            _ => {}
        }
    }
    keys.sort();
    keys
}

/// The keys of each push that is there by now.
fn messages(conn: &mut Conn) -> Vec<String> {
    conn.send_raw(&encode(&["CLIENT", "LIST"])).unwrap();
    let mut messages = Vec::new();
    loop {
        match conn.read().unwrap() {
            Value::Push(push) => {
                let keys: Vec<_> = push[1].items().iter().map(Value::text).collect();
                messages.push(keys.join(" "));
            }
            Value::Verbatim(_) => return messages,
            other => panic!("neither a push nor a list of clients: {other:?}"),
        }
    }
}

/// Redis gathers what was changed until its next round; so does the shard of the client that changed it, whoever owns the keys.
#[test]
fn keys_that_one_client_changes_at_once_are_told_in_one_message_to_who_wants_prefixes() {
    for launch in Launch::all() {
        let (_home, server) = launch.start_alone();
        let (mut reader, mut writer) = (resp3(&server), server.conn());
        reader.line("CLIENT TRACKING ON BCAST PREFIX k");
        for (lines, keys) in [
            (&["MSET k0 1 k1 1 k2 1 k3 1 other 1"][..], "k0 k1 k2 k3"),
            (&["RENAME k0 k4"], "k0 k4"),
            (&["RENAME k1 k5"], "k1 k5"),
            (&["COPY k4 k6"], "k6"),
            (&["DEL k2 k3 k4"], "k2 k3 k4"),
            (&["MULTI", "SET k7 1", "SET k0 1", "APPEND k0 1", "EXEC"], "k0 k7"),
            (&["EVAL redis.call('set',KEYS[1],1)redis.call('set',KEYS[2],1) 2 k1 k3"], "k1 k3"),
        ] {
            lines.iter().for_each(|line| drop(writer.line(line)));
            assert_eq!(messages(&mut reader), [keys], "{lines:?}");
        }
    }
}

/// Keys of both shards, when there are two.
const KEYS: [&str; 8] = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"];

fn call(conn: &mut Conn, command: &str, args: &[&str]) -> Value {
    let words: Vec<&str> = std::iter::once(command).chain(args.iter().copied()).collect();
    conn.send_raw(&encode(&words)).unwrap();
    loop {
        match conn.read().unwrap() {
            Value::Push(_) => {}
            reply => return reply,
        }
    }
}

#[test]
fn a_reader_is_told_once_of_each_key_that_another_client_changes() {
    for launch in Launch::all() {
        let (_home, server) = launch.start_alone();
        let (mut reader, mut writer) = (resp3(&server), server.conn());
        writer.line("SELECT 3");
        assert_eq!(reader.line("CLIENT TRACKING ON").text(), "OK");
        reader.line("SELECT 3");
        for key in KEYS {
            reader.line(&format!("GET {key}"));
        }
        assert_eq!(told(&mut reader), [""; 0]);
        for key in ["k1", "k2", "other"] {
            writer.line(&format!("SET {key} v"));
        }
        assert_eq!(told(&mut reader), ["k1", "k2"]);
        writer.line("SET k1 again");
        assert_eq!(told(&mut reader), [""; 0], "told once, until it reads again");
        // Several keys at once, read and changed, over all shards.
        call(&mut reader, "MGET", &KEYS);
        writer.line("MSET k0 1 k3 1 k4 1");
        assert_eq!(told(&mut reader), ["k0", "k3", "k4"]);
        for line in ["MULTI", "GET k5", "GET k6", "EXEC", "STRLEN k7"] {
            reader.line(line);
        }
        for line in ["MULTI", "DEL k0 k1 k2 k3 k4 k5 k6 k7", "SET k5 v", "SET k7 v", "EXEC"] {
            writer.line(line);
        }
        assert_eq!(told(&mut reader), ["k1", "k2", "k5", "k7"], "k6 was never there");
        // Its own changes as well, without NOLOOP.
        reader.line("GET k5");
        call(&mut reader, "SET", &["k5", "mine"]);
        reader.line("CLIENT TRACKING OFF");
        writer.line("SET k7 v");
        assert_eq!(told(&mut reader), [""; 0]);
    }
}

#[test]
fn own_changes_are_told_unless_noloop() {
    for launch in Launch::all() {
        let (_home, server) = launch.start_alone();
        for (options, expected) in [("", vec!["k0", "k1", "k2"]), (" NOLOOP", vec![])] {
            let mut conn = resp3(&server);
            conn.line(&format!("CLIENT TRACKING ON{options}"));
            for key in ["k0", "k1", "k2"] {
                conn.line(&format!("GET {key}"));
            }
            let mut seen: Vec<String> = Vec::new();
            for command in [vec!["SET", "k0", "x"], vec!["MSET", "k1", "x", "k2", "y"]] {
                conn.send_raw(&encode(&command)).unwrap();
                seen.extend(told(&mut conn));
            }
            assert_eq!(seen, expected, "{options}");
        }
    }
}

#[test]
fn broadcasting_tells_of_every_change_with_a_prefix_whoever_read_it() {
    for launch in Launch::all() {
        let (_home, server) = launch.start_alone();
        let (mut all, mut some, mut writer) = (resp3(&server), resp3(&server), resp3(&server));
        all.line("CLIENT TRACKING ON BCAST");
        some.line("CLIENT TRACKING ON BCAST PREFIX k1 PREFIX user: NOLOOP");
        writer.line("CLIENT TRACKING ON BCAST PREFIX k NOLOOP");
        for key in KEYS {
            call(&mut writer, "SET", &[key, "v"]);
        }
        call(&mut writer, "MSET", &["user:1", "v", "user:2", "v", "x", "v"]);
        assert_eq!(told(&mut some), ["k1", "user:1", "user:2"]);
        some.line("SET user:3 v");
        assert_eq!(told(&mut some), [""; 0], "its own change");
        let mut everything: Vec<String> = KEYS.iter().map(|key| (*key).to_owned()).collect();
        everything.extend(["user:1", "user:2", "user:3", "x"].map(str::to_owned));
        assert_eq!(told(&mut all), everything);
        assert_eq!(told(&mut writer), [""; 0]);
        // Prefixes add up; off is off at once.
        some.line("CLIENT TRACKING ON BCAST PREFIX z");
        writer.line("SET z1 v");
        assert_eq!(told(&mut some), ["z1"]);
        let info = writer.line("INFO").text();
        assert!(info.contains("tracking_total_prefixes:5"), "{info}");
        some.line("CLIENT TRACKING OFF");
        drop(all);
        writer.line("SET z1 again");
        assert_eq!(told(&mut some), [""; 0]);
        let deadline = Instant::now() + Duration::from_secs(10);
        while !writer.line("INFO").text().contains("tracking_total_prefixes:1\r") {
            assert!(Instant::now() < deadline, "a prefix of the dead is left");
        }
        assert!(writer.line("INFO clients").text().contains("tracking_clients:1\r"));
    }
}

#[test]
fn opt_in_and_opt_out_follow_client_caching() {
    for launch in Launch::all() {
        let (_home, server) = launch.start_alone();
        let (mut conn, mut writer) = (resp3(&server), server.conn());
        let change = |writer: &mut Conn| {
            writer.line("MSET k0 v k1 v k2 v k3 v k4 v k5 v k6 v k7 v");
        };
        conn.line("CLIENT TRACKING ON OPTIN");
        for line in [
            "GET k0",
            "CLIENT CACHING YES",
            "GET k1",
            "GET k2",
            "CLIENT CACHING YES",
            "CLIENT ID",
            "MGET k3 k4",
            "CLIENT CACHING YES",
            "MULTI",
            "GET k5",
            "GET k6",
            "EXEC",
            "GET k7",
        ] {
            assert!(!conn.line(line).is_error(), "{line}");
        }
        change(&mut writer);
        assert_eq!(told(&mut conn), ["k1", "k3", "k4", "k5", "k6"]);
        conn.line("CLIENT TRACKING OFF");
        conn.line("CLIENT TRACKING ON OPTOUT");
        for line in ["GET k0", "CLIENT CACHING NO", "GET k1", "GET k2"] {
            assert!(!conn.line(line).is_error(), "{line}");
        }
        change(&mut writer);
        assert_eq!(told(&mut conn), ["k0", "k2"]);
    }
}

#[test]
fn another_connection_is_told_instead() {
    for launch in Launch::all() {
        let (_home, server) = launch.start_alone();
        // Several, so that reader and listener are on different shards for some.
        for round in 0..6 {
            let (mut reader, mut listener) = (server.conn(), server.conn());
            let mut writer = server.conn();
            let id = listener.line("CLIENT ID").int().unwrap();
            listener.line("SUBSCRIBE __redis__:invalidate");
            assert_eq!(reader.line(&format!("CLIENT TRACKING ON REDIRECT {id}")).text(), "OK");
            assert_eq!(reader.line("CLIENT GETREDIR").int(), Some(id));
            call(&mut reader, "MGET", &KEYS);
            writer.line("SET k3 v");
            let message = listener.read().unwrap();
            assert_eq!(message.items()[0].text(), "message");
            assert_eq!(message.items()[1].text(), "__redis__:invalidate");
            assert_eq!(message.items()[2], Value::Array(vec![Value::Bulk(b"k3".to_vec())]));
            writer.line("FLUSHALL");
            assert_eq!(listener.read().unwrap().items()[2], Value::Null, "round {round}");
            let list = writer.line("CLIENT LIST").text();
            assert!(list.contains(&format!("redir={id} ")), "{list}");
            assert!(list.contains("flags=t "), "{list}");
        }
    }
}

#[test]
fn a_broken_redirection_is_told_to_whoever_redirects() {
    for launch in Launch::all() {
        let (_home, server) = launch.start_alone();
        let (mut reader, listener, mut writer) = (resp3(&server), server.conn(), server.conn());
        let mut listener = listener;
        let id = listener.line("CLIENT ID").int().unwrap();
        reader.line(&format!("CLIENT TRACKING ON REDIRECT {id}"));
        reader.line("GET k0");
        writer.line(&format!("CLIENT KILL ID {id}"));
        writer.line("SET k0 v");
        assert_eq!(told(&mut reader), [format!("tracking-redir-broken {id}")]);
        let info = reader.line("CLIENT TRACKINGINFO");
        assert!(
            format!("{info:?}").contains("broken_redirect") || {
                let flags: Vec<String> = info.items()[1].items().iter().map(Value::text).collect();
                flags.contains(&"broken_redirect".to_owned())
            }
        );
        assert!(writer.line("CLIENT LIST").text().contains("flags=tR "));
    }
}

#[test]
fn expired_and_flushed_keys_are_told() {
    for launch in Launch::all() {
        let (_home, server) = launch.start_alone();
        let (mut reader, mut writer) = (resp3(&server), server.conn());
        for key in KEYS {
            writer.line(&format!("SET {key} v PX 300"));
        }
        reader.line("CLIENT TRACKING ON");
        call(&mut reader, "MGET", &KEYS);
        let mut gone: Vec<String> =
            KEYS.iter().map(|_| reader.read().unwrap().items()[1].items()[0].text()).collect();
        gone.sort();
        assert_eq!(gone, KEYS);
        for flush in ["FLUSHALL", "FLUSHDB"] {
            writer.line("SET k0 v");
            told(&mut reader);
            reader.line("GET k0");
            writer.line(flush);
            assert_eq!(told(&mut reader), ["*"], "{flush}");
            writer.line("SET k0 v");
            assert_eq!(told(&mut reader), [""; 0], "all was forgotten");
        }
    }
}

#[test]
fn the_table_forgets_keys_beyond_its_limit_and_says_so() {
    for (shards, left) in [(1, 4), (2, 4)] {
        let home = Home::new();
        let launch = Launch::ringstone().shards(shards).set("tracking-table-max-keys", 4);
        let server = launch.start(&home);
        let (mut reader, mut writer) = (resp3(&server), server.conn());
        reader.line("CLIENT TRACKING ON");
        let mut forgotten = Vec::new();
        for n in 0..100 {
            call(&mut reader, "GET", &[&format!("k{n}")]);
        }
        forgotten.extend(told(&mut reader));
        let info = writer.line("INFO stats").text();
        assert!(info.contains(&format!("tracking_total_keys:{left}\r")), "{info}");
        assert!(info.contains(&format!("tracking_total_items:{left}\r")), "{info}");
        assert!(forgotten.len() <= 100 - left);
        // What is left is told of when it changes.
        for n in 0..100 {
            writer.line(&format!("SET k{n} v"));
        }
        assert_eq!(told(&mut reader).len(), left);
    }
}

#[test]
fn options_and_errors_equal_those_of_redis() {
    let lines = [
        "CLIENT TRACKING maybe",
        "CLIENT TRACKING",
        "CLIENT TRACKING ON NOSUCH",
        "CLIENT TRACKING ON REDIRECT",
        "CLIENT TRACKING ON REDIRECT x",
        "CLIENT TRACKING ON REDIRECT 999999",
        "CLIENT TRACKING ON REDIRECT 999999 NOSUCH",
        "CLIENT TRACKING ON REDIRECT -1",
        "CLIENT TRACKING ON PREFIX a",
        "CLIENT TRACKING ON OPTIN OPTOUT",
        "CLIENT TRACKING ON OPTIN BCAST",
        "CLIENT TRACKING ON BCAST PREFIX foo PREFIX foobar",
        "CLIENT CACHING YES",
        "CLIENT GETREDIR",
        "CLIENT TRACKINGINFO",
        "CLIENT TRACKINGINFO x",
        "CLIENT TRACKING ON OPTIN NOLOOP",
        "CLIENT TRACKINGINFO",
        "CLIENT CACHING NO",
        "CLIENT CACHING maybe",
        "CLIENT CACHING YES",
        "CLIENT TRACKINGINFO",
        "CLIENT TRACKINGINFO",
        "GET k",
        "CLIENT TRACKINGINFO",
        "CLIENT TRACKING ON OPTOUT",
        "CLIENT TRACKING ON BCAST",
        "CLIENT GETREDIR",
        "CLIENT TRACKING OFF",
        "CLIENT TRACKING OFF",
        "CLIENT TRACKING ON OPTOUT",
        "CLIENT CACHING YES",
        "CLIENT CACHING NO",
        "CLIENT TRACKINGINFO",
        "CLIENT TRACKING OFF",
        "CLIENT TRACKING ON BCAST PREFIX foo PREFIX bar",
        "CLIENT TRACKING ON BCAST PREFIX foo",
        "CLIENT TRACKING ON BCAST PREFIX fo",
        "CLIENT TRACKING ON BCAST PREFIX x NOLOOP",
        "CLIENT TRACKINGINFO",
        "CLIENT TRACKING ON",
        "RESET",
        "CLIENT TRACKINGINFO",
        "CLIENT TRACKING ON",
        "CLIENT TRACKINGINFO",
    ];
    for protocol in ["2", "3"] {
        let [one, two, redis] = Launch::all().map(|launch| {
            let (_home, server) = launch.start_alone();
            let mut conn = server.conn();
            conn.line(&format!("HELLO {protocol}"));
            let answer = |line: &&str| {
                let args: Vec<&str> = line.split(' ').collect();
                conn.send_raw(&encode(&args)).unwrap();
                String::from_utf8_lossy(&conn.read_raw().unwrap()).into_owned()
            };
            lines.iter().map(answer).collect::<Vec<_>>()
        });
        for (at, line) in lines.iter().enumerate() {
            assert_eq!(one[at], redis[at], "one shard: {line}");
            assert_eq!(two[at], redis[at], "two shards: {line}");
        }
    }
}

#[test]
fn scripts_read_and_change_keys_as_their_clients_do() {
    for launch in Launch::all() {
        let (_home, server) = launch.start_alone();
        let (mut reader, mut writer) = (resp3(&server), resp3(&server));
        reader.line("CLIENT TRACKING ON");
        let read = "return redis.call('GET', KEYS[1])";
        // Both named keys are remembered, whichever was read.
        for keys in [["k0", "k1"], ["k2", "k3"]] {
            call(&mut reader, "EVAL", &[read, "2", keys[0], keys[1]]);
        }
        let write = "redis.call('SET', KEYS[1], 'v') return redis.call('SET', KEYS[2], 'v')";
        call(&mut writer, "EVAL", &[write, "2", "k1", "k2"]);
        assert_eq!(told(&mut reader), ["k1", "k2"]);
        // What a script reads before it changes it is told to its own client, unless NOLOOP.
        let swap =
            "local old = redis.call('GET', KEYS[1]) redis.call('SET', KEYS[1], 'x') return old";
        reader.send_raw(&encode(&["EVAL", swap, "1", "k5"])).unwrap();
        assert_eq!(told(&mut reader), ["k5"]);
        reader.line("CLIENT TRACKING ON NOLOOP");
        reader.send_raw(&encode(&["EVAL", swap, "1", "k6"])).unwrap();
        assert_eq!(told(&mut reader), [""; 0]);
    }
}
