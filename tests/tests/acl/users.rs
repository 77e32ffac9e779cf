//! Users over their life: changes on every shard, the log, files and the configuration.

use std::fs;

use ringstone_tests::resp::{Conn, Value, encode};
use ringstone_tests::server::{Home, Launch};

use crate::{on_shards, shown, texts};

#[test]
fn log_entries_have_numbers_times_and_the_client() {
    on_shards(|_, server| {
        let mut admin = server.conn();
        admin.line("HELLO 3");
        admin.line("ACL SETUSER ann on nopass +eval");
        let mut ann = server.conn();
        ann.line("AUTH ann x");
        let denied = ann.call(&["EVAL", "return redis.call('get', 'x')", "0"]).unwrap().text();
        assert!(
            denied.contains("The user executing the script can't run this command"),
            "{denied}"
        );
        let log = shown(&admin.line("ACL LOG 1"));
        assert!(log.contains("context, lua, object, get, username, ann"), "{log}");
        assert!(log.contains(" addr=127.0.0.1:") && log.contains(" cmd=eval user=ann "), "{log}");
        admin.line("ACL LOG RESET");
        ann.line("GET x");
        assert!(admin.line("INFO stats").text().contains("acl_access_denied_cmd:2\r\n"));
        admin.line("ACL LOG RESET");
        for conn in &mut (0..8).map(|_| server.conn()).collect::<Vec<_>>() {
            conn.line("CLIENT SETNAME someone");
            conn.line("AUTH eve x");
        }
        let log = admin.line("ACL LOG");
        let [Value::Map(entry)] = log.items() else { panic!("one entry: {log:?}") };
        let field = |name: &str| {
            let at = entry.iter().step_by(2).position(|v| v.text() == name).unwrap();
            entry[at * 2 + 1].clone()
        };
        assert_eq!(field("count"), Value::Int(8), "those of all shards are one");
        assert!(matches!(field("age-seconds"), Value::Double(_)));
        let info = field("client-info").text();
        assert!(info.contains(" name=someone ") && info.contains(" user=default "), "{info}");
        assert!(field("timestamp-created").int() <= field("timestamp-last-updated").int());
        assert_eq!(field("entry-id"), Value::Int(2), "numbers go on after RESET");
        let info = admin.line("INFO stats").text();
        assert!(info.contains("acl_access_denied_auth:8\r\n"), "{info}");
    });
}

#[test]
fn a_change_is_in_force_on_every_shard_when_it_is_answered() {
    on_shards(|_, server| {
        let mut admin = server.conn();
        admin.line("ACL SETUSER ann on nopass +@all ~*");
        let mut conns: Vec<Conn> = (0..16).map(|_| server.conn()).collect();
        for conn in &mut conns {
            assert_eq!(conn.line("AUTH ann x").text(), "OK");
            assert_eq!(conn.line("GET a").text(), "");
        }
        let list = admin.line("CLIENT LIST").text();
        assert_eq!(list.matches(" user=ann ").count(), 16);
        admin.line("ACL SETUSER ann -get");
        for conn in &mut conns {
            assert!(conn.line("GET a").text().starts_with("NOPERM "));
        }
        admin.line("ACL SETUSER eve on nopass +@all ~*");
        assert_eq!(conns[0].line("AUTH eve x").text(), "OK");
        assert_eq!(admin.line("CLIENT KILL USER eve").int(), Some(1));
        assert!(conns[0].call(&["PING"]).is_err());
        assert_eq!(admin.line("ACL DELUSER ann").int(), Some(1));
        for conn in &mut conns[1..] {
            assert!(conn.call(&["PING"]).is_err(), "its user is gone");
        }
        assert!(!admin.line("CLIENT LIST").text().contains("user=ann"));
    });
}

#[test]
fn who_deletes_its_own_user_is_answered_and_then_disconnected() {
    on_shards(|_, server| {
        let mut conn = server.conn();
        conn.line("ACL SETUSER ann on nopass +acl");
        conn.line("AUTH ann x");
        conn.send_raw(&[encode(&["ACL", "DELUSER", "ann"]), encode(&["ACL", "WHOAMI"])].concat())
            .unwrap();
        assert_eq!(conn.read_to_end().unwrap(), b":1\r\n");
    });
}

#[test]
fn subscribers_that_lose_a_channel_are_disconnected() {
    on_shards(|_, server| {
        let mut admin = server.conn();
        for (subscribe, rules, stays) in [
            ("SUBSCRIBE foo:1", "resetchannels", false),
            ("SSUBSCRIBE foo:1", "resetchannels &other", false),
            ("PSUBSCRIBE foo:*", "resetchannels &foo:1", false),
            ("SUBSCRIBE foo:1", "resetchannels &foo:1", true),
            ("PSUBSCRIBE foo:*", "resetchannels &foo:* &bar", true),
            ("SUBSCRIBE foo:1", "allchannels", true),
        ] {
            admin.line("ACL SETUSER ann reset on nopass +@all &foo:1 &foo:* &bar");
            let mut conns: Vec<Conn> = (0..8).map(|_| server.conn()).collect();
            for conn in &mut conns {
                conn.line("AUTH ann x");
                conn.line("CLIENT SETNAME listener");
                conn.line(subscribe);
            }
            admin.line(&format!("ACL SETUSER ann {rules}"));
            for conn in &mut conns {
                assert_eq!(conn.call(&["PING"]).is_ok(), stays, "{subscribe}, {rules}");
            }
        }
    });
}

#[test]
fn passwords_made_up_are_random_hexadecimal_digits() {
    on_shards(|_, server| {
        let mut conn = server.conn();
        for (bits, digits) in [("", 64), ("1", 1), ("5", 2), ("32", 8), ("4096", 1024)] {
            let (one, other) =
                (conn.line(&format!("ACL GENPASS {bits}")).text(), conn.line("ACL GENPASS").text());
            assert_eq!(one.len(), digits);
            assert!(one.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
            assert_ne!(one, other);
        }
    });
}

#[test]
fn users_come_from_the_file_and_go_back_into_it() {
    let home = Home::new();
    let path = home.data().join("users.acl");
    fs::write(&path, "user default on nopass ~* &* +@all\n\nuser ann on >one +@all -@dangerous ~a* (+get %R~r*)\n").unwrap();
    let launch = Launch::ringstone().shards(2).set("aclfile", "users.acl");
    let server = launch.start(&home);
    let (mut admin, mut ann) = (server.conn(), server.conn());
    assert_eq!(ann.line("AUTH ann one").text(), "OK");
    assert_eq!(ann.line("GET r1").text(), "");
    assert!(ann.line("SET r1 x").text().contains("NOPERM"));
    admin.line("ACL SETUSER eve on >two +acl");
    assert_eq!(admin.line("ACL SAVE").text(), "OK");
    let saved = fs::read_to_string(&path).unwrap();
    let lines = texts(&admin.line("ACL LIST"));
    assert_eq!(saved.lines().collect::<Vec<_>>(), lines);
    assert!(!saved.contains("two"));
    let left: Vec<_> = fs::read_dir(home.data()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("tmp")), "{left:?}");

    // Connections of the file's users end, the default user's stay, and so does everything if a line is wrong.
    fs::write(&path, format!("{saved}user bob nosuch\nuser ann off\n")).unwrap();
    let error = admin.line("ACL LOAD").text();
    assert!(
        error.starts_with(
            "ERR users.acl:4: Syntax error. WARNING: Duplicate user 'ann' found on line 5. "
        ),
        "{error}"
    );
    assert_eq!(texts(&admin.line("ACL LIST")), lines);
    assert_eq!(ann.line("PING").text(), "PONG");
    fs::write(&path, format!("{saved}user bob on nopass +acl\n")).unwrap();
    let mut eve = server.conn();
    eve.line("AUTH eve two");
    eve.send_raw(&[encode(&["ACL", "LOAD"]), encode(&["ACL", "WHOAMI"])].concat()).unwrap();
    assert_eq!(eve.read_to_end().unwrap(), b"+OK\r\n");
    assert!(ann.call(&["PING"]).is_err());
    assert_eq!(texts(&admin.line("ACL USERS")), ["ann", "bob", "default", "eve"]);
    fs::remove_file(&path).unwrap();
    let error = admin.line("ACL LOAD").text();
    assert_eq!(
        error,
        "ERR Error loading ACLs, opening file 'users.acl': No such file or directory"
    );
    assert_eq!(admin.line("ACL SAVE").text(), "OK");
    let lines = texts(&admin.line("ACL LIST"));
    drop((admin, ann, eve));
    let server = launch.restart(&home, server).unwrap();
    assert_eq!(texts(&server.conn().line("ACL LIST")), lines);
}

#[test]
fn a_wrong_line_of_users_stops_the_start_and_is_named() {
    let refused = |launch: Launch, home: &Home, expected: &str| {
        let error = launch.try_start(home).unwrap_err();
        assert!(
            error.status.is_some() && error.log.contains(expected),
            "{expected}: {}",
            error.log
        );
    };
    let launch = || Launch::ringstone().shards(1);
    for (text, expected) in [
        (
            "user ann on\nuser bob +nosuch",
            "users.acl:2: Error in applying operation '+nosuch': Unknown command",
        ),
        ("usr ann", "users.acl:1 should start with user keyword"),
        ("user ann on\nuser ann on", "Duplicate user 'ann' found on line 2"),
        ("user ann (+get", "users.acl:1: Unmatched parenthesis"),
    ] {
        let home = Home::new();
        fs::write(home.data().join("users.acl"), text).unwrap();
        refused(launch().set("aclfile", "users.acl"), &home, expected);
    }
    let home = Home::new();
    refused(launch().set("aclfile", "nosuch"), &home, "opening file 'nosuch': No such file");
    for (text, expected) in [
        (
            "hz 10\nuser ann on >secret #12",
            "test.conf, line 2: Error in user declaration '(hidden)': The password hash",
        ),
        (
            "user ann on\nuser ann off",
            "test.conf, line 2: Error in user declaration 'ann': Duplicate user found",
        ),
        ("user ann ~a\nuser bob on (+get", "Error in user declaration '(+get': Unmatched"),
        (
            "user ann on\naclfile users.acl",
            "test.conf, line 1: users are defined here and in the file",
        ),
    ] {
        let home = Home::new();
        let conf = home.file("test.conf");
        fs::write(&conf, text).unwrap();
        refused(launch().conf(&conf), &home, expected);
    }
}

#[test]
fn users_of_the_configuration_are_rewritten_into_it() {
    let home = Home::new();
    let conf = home.file("test.conf");
    let before = "# mine\nuser ann on >one +@all ~*\nrequirepass secret\nuser eve on nopass +get ~e\nbind 127.0.0.1\nappendonly no\nsave \"\"\n";
    fs::write(&conf, before).unwrap();
    let launch = Launch::ringstone().bare().conf(&conf).set("shards", 2);
    let server = launch.start(&home);
    let mut ann = server.conn();
    assert!(ann.line("PING").text().starts_with("NOAUTH"));
    assert_eq!(ann.line("AUTH secret").text(), "OK");
    assert_eq!(ann.line("CONFIG REWRITE").text(), "OK");
    let text = fs::read_to_string(&conf).unwrap();
    assert!(
        text.contains("user ann on >one +@all ~*\n"),
        "what is in force stays as written: {text}"
    );
    assert_eq!(ann.line("AUTH ann one").text(), "OK");
    ann.line("ACL SETUSER eve -get +set (~x*y +get)");
    ann.line("ACL DELUSER ann");
    let mut admin = server.conn();
    admin.line("AUTH secret");
    let lines = texts(&admin.line("ACL LIST"));
    assert_eq!(lines.len(), 2);
    assert_eq!(admin.line("CONFIG REWRITE").text(), "OK");
    let text = fs::read_to_string(&conf).unwrap();
    assert!(text.starts_with("# mine\nuser default on #") && !text.contains("user ann"), "{text}");
    drop((ann, admin));
    let server = launch.restart(&home, server).unwrap();
    let mut admin = server.conn();
    assert_eq!(admin.line("AUTH secret").text(), "OK");
    // A line about the default user begins with `reset`, which says this.
    let again = texts(&admin.line("ACL LIST")).join("|").replace(" sanitize-payload", "");
    assert_eq!(again, lines.join("|"));
}

#[test]
fn the_password_of_the_default_user_is_requirepass() {
    let home = Home::new();
    let server = Launch::ringstone().shards(2).set("requirepass", "secret").start(&home);
    for _ in 0..8 {
        let mut conn = server.conn();
        assert!(conn.line("GET a").text().starts_with("NOAUTH"));
        assert!(conn.line("AUTH wrong").text().starts_with("WRONGPASS"));
        assert_eq!(conn.line("AUTH default secret").text(), "OK");
        assert_eq!(conn.line("GET a").text(), "");
    }
    let mut admin = server.conn();
    admin.line("AUTH secret");
    assert_eq!(admin.call(&["CONFIG", "SET", "requirepass", "a\0b"]).unwrap().text(), "OK");
    let mut conn = server.conn();
    assert!(conn.line("AUTH a").text().starts_with("WRONGPASS"));
    assert_eq!(conn.call(&["AUTH", "a\0b"]).unwrap().text(), "OK");
    let mut early = server.conn();
    assert!(early.line("GET a").text().starts_with("NOAUTH"));
    admin.call(&["CONFIG", "SET", "requirepass", ""]).unwrap();
    assert_eq!(early.line("GET a").text(), "", "who had not logged in needs not any more");
    let error = early.line("HELLO 3");
    assert!(error.text().starts_with("NOAUTH HELLO must be called"), "{error:?}");
}
