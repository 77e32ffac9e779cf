//! Command scripts run against redis-server and Ringstone: every reply equal to the byte, in RESP2 and RESP3.
//!
//! A script is a file of `tests/tests/compat/`: a command a line, words quoted as in redis-cli, `#` begins a comment.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests"
)]

use std::fs;
use std::process::Command;

use ringstone_tests::resp::{Conn, encode};
use ringstone_tests::script::words;
use ringstone_tests::server::{Home, Launch, workspace};

/// Commands of the scripts that Ringstone need not know yet: their lines are left out as long as it does not.
const NOT_YET: &[&str] = &["wait"];

fn raw(conn: &mut Conn, args: &[Vec<u8>]) -> String {
    conn.send_raw(&encode(args)).expect("the server takes a command");
    let reply = conn.read_raw().unwrap_or_else(|e| format!("no reply: {e}").into_bytes());
    reply.escape_ascii().to_string()
}

/// Runs a script on both servers in both protocols, and shows every difference.
fn same_replies(script: &str) {
    let path = workspace().join("tests/tests/compat").join(format!("{script}.txt"));
    let text = fs::read_to_string(&path).unwrap();
    let homes = [Home::new(), Home::new()];
    let ours = Launch::ringstone().shards(2).set("enable-debug-command", "yes").start(&homes[0]);
    let theirs = Launch::redis().set("enable-debug-command", "yes").start(&homes[1]);
    let mut differences = Vec::new();
    for protocol in ["2", "3"] {
        let (mut a, mut b) = (ours.conn(), theirs.conn());
        for conn in [&mut a, &mut b] {
            conn.line(&format!("HELLO {protocol}"));
            conn.line("FLUSHALL");
            conn.line("SCRIPT FLUSH");
            conn.line("FUNCTION FLUSH");
        }
        for (number, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let args = words(line);
            let x = raw(&mut a, &args);
            let name = String::from_utf8_lossy(&args[0]).to_lowercase();
            if NOT_YET.contains(&name.as_str()) && x.starts_with("-ERR unknown command") {
                continue;
            }
            let y = raw(&mut b, &args);
            if x != y {
                let line = format!("{script}:{} RESP{protocol} {line}", number + 1);
                differences.push(format!("{line}\n    ringstone {x:?}\n    redis     {y:?}"));
            }
        }
    }
    let count = differences.len();
    assert!(differences.is_empty(), "{count} replies differ:\n{}", differences.join("\n"));
}

#[test]
fn scripting() {
    same_replies("scripting");
}

#[test]
fn scripting_libraries() {
    same_replies("scripting_libraries");
}

#[test]
fn functions() {
    same_replies("functions");
}

#[test]
fn strings() {
    same_replies("strings");
}

#[test]
fn keys() {
    same_replies("keys");
}

#[test]
fn lists() {
    same_replies("lists");
}

#[test]
fn sets() {
    same_replies("sets");
}

#[test]
fn hashes() {
    same_replies("hashes");
}

#[test]
fn sorted_sets() {
    same_replies("sorted_sets");
}

#[test]
fn streams() {
    same_replies("streams");
}

#[test]
fn bits_and_hyperloglogs() {
    same_replies("bits");
}

#[test]
fn geo() {
    same_replies("geo");
}

#[test]
fn connection_and_transactions() {
    same_replies("connection");
}

#[test]
fn administration() {
    same_replies("administration");
}

#[test]
fn errors() {
    same_replies("errors");
}

#[test]
fn a_python_client_works() {
    let script = "
import redis, sys
for protocol in (2, 3):
    r = redis.Redis(port=int(sys.argv[1]), protocol=protocol, decode_responses=True)
    r.flushall()
    assert r.set('k', 'v', ex=100) and r.get('k') == 'v' and 0 < r.ttl('k') <= 100
    assert r.hset('h', mapping={'a': '1', 'b': '2'}) == 2 and r.hgetall('h') == {'a': '1', 'b': '2'}
    assert r.zadd('z', {'x': 1, 'y': 2.5}) == 2
    assert [(m, float(s)) for m, s in r.zrange('z', 0, -1, withscores=True)] == [('x', 1.0), ('y', 2.5)]
    with r.pipeline(transaction=False) as p:
        for i in range(100): p.incr('n')
        assert p.execute() == list(range(1, 101))
    assert sorted(r.scan_iter(count=3)) == ['h', 'k', 'n', 'z']
    assert r.info('server')['redis_version']
";
    if !Command::new("python3")
        .args(["-c", "import redis"])
        .output()
        .is_ok_and(|o| o.status.success())
    {
        eprintln!("redis-py is not installed (`pip install redis`): its part is left out");
        return;
    }
    let home = Home::new();
    let server = Launch::ringstone().shards(2).start(&home);
    let output =
        Command::new("python3").args(["-c", script, &server.port().to_string()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
