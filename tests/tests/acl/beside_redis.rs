//! What rules mean, what is denied and what is logged, beside redis-server.

use std::collections::BTreeSet;

use ringstone_tests::resp::{Conn, Value};

use crate::{all, shown, sorted_words, texts};

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
