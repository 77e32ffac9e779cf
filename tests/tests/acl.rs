//! Users and what they may do: beside redis-server where replies must be the same, on one shard and over two.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use std::collections::BTreeSet;
use std::fs;

use ringstone_tests::resp::{Conn, Value, encode};
use ringstone_tests::server::{Home, Launch, Server};

/// A server of each kind, redis-server last.
fn all() -> Vec<(Home, Server)> {
    [Launch::ringstone().shards(1), Launch::ringstone().shards(2), Launch::redis()]
        .into_iter()
        .map(|launch| {
            let home = Home::new();
            let server = launch.start(&home);
            (home, server)
        })
        .collect()
}

fn on_shards(test: impl Fn(usize, &Server)) {
    for shards in [1, 2] {
        let home = Home::new();
        let server = Launch::ringstone().shards(shards).start(&home);
        test(shards, &server);
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.items().iter().map(Value::text).collect()
}

/// The reply as text, aggregates in brackets.
fn shown(value: &Value) -> String {
    match value {
        Value::Error(text) => format!("-{text}"),
        Value::Null => "null".to_owned(),
        Value::Array(items) | Value::Map(items) | Value::Set(items) | Value::Push(items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Simple(_)
        | Value::Int(_)
        | Value::Bulk(_)
        | Value::Double(_)
        | Value::Bool(_)
        | Value::Verbatim(_)
        | Value::Big(_) => value.text(),
    }
}

/// `shown`, the words within each text in one order: Redis lists single commands in the order of a hash table.
fn sorted_words(value: &Value) -> String {
    let shown = shown(value);
    let mut words: Vec<&str> = shown.split([' ', ',', '[', ']', '(', ')']).collect();
    words.sort_unstable();
    words.join(" ")
}

const HASH: &str = "#9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

const RULES: &[&str] = &[
    "",
    "on nopass",
    "on off on",
    ">test >test >other",
    ">test <other",
    ">test <test",
    HASH,
    "#12",
    "!12",
    "nopass >test",
    "nopass resetpass",
    "reset",
    "on nopass ~a (+get) reset",
    "skip-sanitize-payload",
    "SANITIZE-payload",
    "~*",
    "~a ~a ~b",
    "~a allkeys",
    "allkeys ~a",
    "~* resetkeys ~b",
    "%R~a %W~b %RW~c %wr~d",
    "%R~a %W~a",
    "%RR~a",
    "%X~a",
    "%R",
    "~",
    "&*",
    "&a &b &a",
    "allchannels &a",
    "&* resetchannels &b",
    "+@all",
    "allcommands nocommands",
    "+@all -get -set",
    "+get +SET -get",
    "+nosuch",
    "-nosuch",
    "+@nosuch",
    "+",
    "-@",
    "+get|a|b",
    "+get|",
    "-get|a",
    "+config|get|x",
    "+config|",
    "-config|nosuch",
    "+config|get +config|set",
    "+config -config|set",
    "+@all -config +config|get",
    "+@all -config|set",
    "+@all -client|kill -client|list",
    "+select|0 +select|1 +SELECT|0",
    "+select|0 +select",
    "+select|0 -select",
    "+@all -select +select|0",
    "+@string -incr",
    "+@all -@string +incr",
    "+@hash +@list +@set",
    "+@all -@hash -@list +hget",
    "+@all -@dangerous",
    "+@Transaction",
    "(+get ~a)",
    "( +get ~a ) (%R~b &c -@all)",
    "(+get) clearselectors",
    "(+get",
    "(",
    ")",
    "()",
    "(on)",
    "(&* &a)",
    "(~\"a b\")",
    "nosuch",
    "onx",
];

#[test]
fn rules_mean_what_they_mean_to_redis() {
    let servers = all();
    let mut conns: Vec<Conn> = servers.iter().map(|(_, server)| server.conn()).collect();
    for rules in RULES {
        for before in ["", "+@all", "on >x ~x &y +get (+set)"] {
            let mut told = Vec::new();
            for conn in &mut conns {
                conn.line("ACL DELUSER u");
                let line = format!("ACL SETUSER u {before} {rules}");
                let set = shown(&conn.line(&line));
                let got = ["ACL GETUSER u", "ACL LIST"].map(|line| sorted_words(&conn.line(line)));
                told.push((set, got));
            }
            let redis = told.pop().unwrap();
            for ours in told {
                assert_eq!(ours, redis, "`{before} {rules}`");
            }
        }
    }
    for conn in &mut conns {
        conn.line("HELLO 3");
        conn.line("ACL SETUSER u reset on +get ~a (+set %R~b)");
    }
    let maps: Vec<Value> = conns.iter_mut().map(|conn| conn.line("ACL GETUSER u")).collect();
    assert!(matches!(maps[0], Value::Map(_)));
    assert_eq!(maps[0], maps[2]);
    assert_eq!(conns[0].line("ACL GETUSER nosuch"), Value::Null);
}

#[test]
fn categories_hold_what_they_hold_in_redis() {
    let servers = all();
    let (mut ours, mut redis) = (servers[0].1.conn(), servers[2].1.conn());
    let list = |conn: &mut Conn, category: &str| -> BTreeSet<String> {
        texts(&conn.line(&format!("ACL CAT {category}"))).into_iter().collect()
    };
    let categories = texts(&ours.line("ACL CAT"));
    assert_eq!(categories, texts(&redis.line("ACL CAT")));
    let commands = |conn: &mut Conn| -> BTreeSet<String> {
        list(conn, "fast").union(&list(conn, "SLOW")).cloned().collect()
    };
    let (have, known) = (commands(&mut ours), commands(&mut redis));
    for category in &categories {
        let mine: BTreeSet<_> = list(&mut ours, category).intersection(&known).cloned().collect();
        let theirs: BTreeSet<_> = list(&mut redis, category).intersection(&have).cloned().collect();
        assert_eq!(mine, theirs, "@{category}");
        ours.line(&format!("ACL SETUSER a reset -@all +@{category}"));
        ours.line(&format!("ACL SETUSER s reset +@all -@{category}"));
        if !mine.is_empty() {
            let commands = |user: &Value| user.items()[5].text();
            let added = ours.line("ACL GETUSER a");
            assert_eq!(commands(&added), format!("-@all +@{category}"));
            let taken = ours.line("ACL GETUSER s");
            assert_eq!(commands(&taken), format!("+@all -@{category}"));
        }
    }
}

/// What each server answers; `@n` before a line names one of three connections. All have to agree.
fn compare(lines: &[&str]) {
    let told: Vec<Vec<String>> = all()
        .iter()
        .map(|(_, server)| {
            let mut conns: Vec<Conn> = (0..3).map(|_| server.conn()).collect();
            lines
                .iter()
                .map(|line| {
                    let (at, line) = line.split_once(' ').unwrap();
                    let conn = &mut conns[usize::from(at.as_bytes()[1] - b'0')];
                    let args: Vec<&str> =
                        line.split(' ').map(|w| if w == "''" { "" } else { w }).collect();
                    let describes = line.contains("ACL LIST") || line.contains("ACL GETUSER");
                    let show = if describes { sorted_words } else { shown };
                    let reply = conn.call(&args).map_or("closed".to_owned(), |v| show(&v));
                    format!("{line} -> {reply}")
                })
                .collect()
        })
        .collect();
    for ours in &told[..2] {
        ours.iter().zip(&told[2]).for_each(|(ours, redis)| assert_eq!(ours, redis));
    }
}

#[test]
fn dry_runs_end_as_in_redis() {
    let users = [
        "@0 ACL SETUSER rw +@all %R~read* %W~write* %RW~rw*",
        "@0 ACL SETUSER none -@all ~*",
        "@0 ACL SETUSER two (+get ~a) (+get +set ~b)",
        "@0 ACL SETUSER chan +@all resetchannels &channel &p:*",
        "@0 ACL SETUSER word +select|0 +config|get +client -client|kill",
    ];
    let commands = [
        "GET read",
        "GET write",
        "GET rw",
        "GET x",
        "SET write 1",
        "SET read 1",
        "SET write 1 GET",
        "SET rw 1 GET",
        "SET write 1 EX get",
        "MGET read read1 x write",
        "MSET write 1 read 2",
        "COPY read write",
        "COPY write read",
        "RENAME rw1 rw2",
        "RENAME read write",
        "DEL write read",
        "EXISTS read write x",
        "TYPE read",
        "TYPE x",
        "TOUCH write",
        "STRLEN write",
        "HLEN x",
        "HEXISTS write f",
        "SISMEMBER read m",
        "LPUSH write 1",
        "LPUSH read 1",
        "RPOPLPUSH rw write",
        "LMOVE read write LEFT LEFT",
        "SINTERCARD 2 read write",
        "SINTERCARD 2 read read",
        "SINTERSTORE write read read",
        "SINTERSTORE read read",
        "ZUNIONSTORE write 2 read read1",
        "ZUNIONSTORE write 2 read write",
        "ZUNIONSTORE write 9 read",
        "ZCOUNT write 0 1",
        "SORT read STORE write",
        "SORT read STORE read",
        "SORT write",
        "SORT read BY w*",
        "BITFIELD read GET u4 0",
        "BITFIELD read SET u4 0 1",
        "BITFIELD write SET u4 0 1",
        "BITFIELD rw OVERFLOW SAT INCRBY u4 0 1",
        "BITOP AND write read read",
        "XADD write * a b",
        "XREAD COUNT 1 STREAMS read read2 0 0",
        "XREAD STREAMS read write 0 0",
        "OBJECT ENCODING x",
        "OBJECT ENCODING write",
        "GETDEL rw",
        "GETDEL write",
        "GETEX rw",
        "EXPIRE write 1",
        "PUBLISH channel m",
        "PUBLISH other m",
        "SPUBLISH p:1 m",
        "SUBSCRIBE channel p:2",
        "SUBSCRIBE channel other",
        "SSUBSCRIBE other",
        "PSUBSCRIBE p:*",
        "PSUBSCRIBE channel p:1",
        "UNSUBSCRIBE other",
        "PUNSUBSCRIBE *",
        "SUNSUBSCRIBE",
        "SELECT 0",
        "SELECT 1",
        "CONFIG GET x",
        "CONFIG SET a b",
        "CLIENT ID",
        "CLIENT KILL x",
        "CLIENT",
        "CLIENT NOSUCH",
        "AUTH x",
        "PING",
        "GET",
        "SET a",
        "NOSUCH a",
        "KEYS *",
        "FLUSHALL",
        "GET a",
        "GET b",
        "SET a 1",
        "SET b 1",
    ];
    let mut lines: Vec<String> = users.map(str::to_owned).to_vec();
    for user in ["rw", "none", "two", "chan", "word", "default", "nosuch"] {
        lines.extend(commands.iter().map(|command| format!("@1 ACL DRYRUN {user} {command}")));
    }
    compare(&lines.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn denials_and_odd_calls_are_answered_as_by_redis() {
    compare(&[
        "@0 ACL WHOAMI",
        "@0 AUTH x",
        "@0 AUTH a b c",
        "@0 AUTH nosuch x",
        "@0 ACL SETUSER ann",
        "@1 AUTH ann x",
        "@0 ACL SETUSER ann on >one >two +get +set ~a*",
        "@1 AUTH ann x",
        "@1 AUTH ann one",
        "@1 AUTH ann two",
        "@1 SET ab 1",
        "@1 GET ab",
        "@1 GET b",
        "@1 GET",
        "@1 NOSUCH",
        "@1 DEL ab",
        "@1 CONFIG GET x",
        "@1 CONFIG NOSUCH",
        "@1 CLIENT",
        "@1 ACL WHOAMI",
        "@1 RESET",
        "@1 ACL WHOAMI",
        "@1 HELLO 3 AUTH ann x",
        "@1 HELLO 9 AUTH ann one",
        "@1 HELLO 2 NOSUCH",
        "@0 ACL SETUSER ann +publish +subscribe +psubscribe +multi +exec &news",
        "@1 AUTH ann one",
        "@1 PUBLISH news x",
        "@1 PUBLISH other x",
        "@1 PSUBSCRIBE news*",
        "@1 MULTI",
        "@1 SET a 1",
        "@1 SET b 1",
        "@1 EXEC",
        "@1 MULTI",
        "@1 SET a1 1",
        "@1 GET a1",
        "@1 PUBLISH news x",
        "@1 SET a2 1",
        "@0 ACL SETUSER ann -get resetkeys ~a1 resetchannels",
        "@1 EXEC",
        "@0 GET a2",
        "@0 ACL SETUSER ann +sort ~*",
        "@0 RPUSH l 1",
        "@1 SORT l BY w*",
        "@0 ACL SETUSER ann resetkeys ~l ~w*",
        "@1 SORT l BY w*",
        "@1 SORT l GET w*",
        "@1 SORT l GET #",
        "@1 SORT l BY nosort LIMIT 0 1",
        "@0 ACL SETUSER ann %R~*",
        "@1 SORT l BY w* GET #",
        "@0 ACL SETUSER default off",
        "@2 PING",
        "@0 ACL SETUSER default on",
        "@0 CONFIG SET requirepass secret",
        "@0 CONFIG GET requirepass",
        "@2 PING",
        "@2 AUTH default x",
        "@2 AUTH secret",
        "@0 ACL LIST",
        "@0 CONFIG SET requirepass ''",
        "@0 ACL GETUSER default",
        "@0 ACL DELUSER default ann",
        "@0 ACL DELUSER nosuch ann ann",
        "@1 PING",
        "@0 ACL USERS",
        "@0 ACL SETUSER",
        "@0 ACL SETUSER a\tb on",
        "@0 ACL SETUSER x nosuch",
        "@0 ACL CAT nosuch",
        "@0 ACL CAT a b",
        "@0 ACL GENPASS 0",
        "@0 ACL GENPASS 4097",
        "@0 ACL GENPASS x",
        "@0 ACL GENPASS 5 6",
        "@0 ACL LOG x",
        "@0 ACL LOG 1 2",
        "@0 ACL LOG RESET",
        "@0 ACL LOG",
        "@0 ACL DRYRUN x",
        "@0 ACL HELP",
        "@0 ACL HELP x",
        "@0 ACL LOAD",
        "@0 ACL SAVE",
        "@0 ACL NOSUCH",
        "@0 CLIENT KILL USER nosuch",
        "@0 CONFIG GET aclfile",
        "@0 CONFIG GET acl-pubsub-default",
        "@0 CONFIG GET acllog-max-len",
        "@0 CONFIG SET acl-pubsub-default allchannels acllog-max-len 3",
        "@0 ACL SETUSER new",
        "@0 ACL GETUSER new",
        "@0 ACL SETUSER new &a",
        "@0 ACL SETUSER new reset (+get)",
        "@0 ACL LIST",
        "@0 CONFIG SET acl-pubsub-default x",
    ]);
}

/// An entry of ACL LOG without what differs from run to run.
fn log_of(conn: &mut Conn) -> Vec<Vec<String>> {
    let entries = conn.line("ACL LOG 100");
    let fields = ["count", "reason", "context", "object", "username"];
    let field = |entry: &Value, name: &str| {
        let pairs = entry.items().chunks(2);
        pairs.filter(|pair| pair[0].text() == name).map(|pair| pair[1].text()).next().unwrap()
    };
    entries.items().iter().map(|e| fields.iter().map(|name| field(e, name)).collect()).collect()
}

#[test]
fn the_log_tells_what_was_denied_as_in_redis() {
    let mut told = Vec::new();
    for (_, server) in all() {
        let (mut admin, mut ann) = (server.conn(), server.conn());
        admin.line("ACL SETUSER ann on >one +set +publish +multi +exec +mget ~a* (+mget ~b)");
        for line in [
            "AUTH ann x",
            "AUTH ann one",
            "GET a",
            "get a",
            "GET a",
            "SET b 1",
            "SET c 1",
            "SET b 1",
            "CONFIG GET x",
            "PUBLISH news x",
            "MGET a b c",
            "MGET c b a",
            "MULTI",
            "GET a",
            "SET b 1",
            "EXEC",
            "HELLO 3 AUTH ann y",
            "hello 3 auth eve y",
            "MULTI",
            "SET a 1",
        ] {
            ann.line(line);
        }
        admin.line("ACL SETUSER ann -set");
        ann.line("EXEC");
        let first = log_of(&mut admin);
        admin.line("CONFIG SET acllog-max-len 2");
        ann.line("SET z 1");
        ann.line("GET a");
        told.push((first, log_of(&mut admin)));
    }
    assert_eq!(told[0], told[2]);
    assert_eq!(told[1], told[2]);
}

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
