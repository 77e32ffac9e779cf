//! The words in which replicas are told.

use ringstone_tests::server::{Home, Server};

use super::{Stream, primary};

/// Runs these lines, and gives what replicas are told, up to a last command that is told for sure.
fn told(server: &Server, lines: &[&str]) -> Vec<String> {
    let mut stream = Stream::attach(server);
    let mut conn = server.conn();
    for line in lines {
        let reply = conn.line(line);
        assert!(!reply.is_error(), "{line}: {}", reply.text());
    }
    server.conn().line("PUBLISH the end");
    let mut told = Vec::new();
    loop {
        match stream.command() {
            command if command == "PUBLISH the end" => return told,
            command => told.push(command),
        }
    }
}

/// Whether a command is told as a pattern says, in which `*` stands for a word.
fn fits(pattern: &str, command: &str) -> bool {
    let (pattern, command): (Vec<&str>, Vec<&str>) =
        (pattern.split(' ').collect(), command.split(' ').collect());
    pattern.len() == command.len()
        && pattern.iter().zip(&command).all(|(a, b)| *a == "*" || a.eq_ignore_ascii_case(b))
}

fn assert_told(lines: &[&str], wanted: &[&str]) {
    for shards in [1, 2] {
        let home = Home::new();
        let server = primary(shards).start(&home);
        let told = told(&server, lines);
        let same = told.len() == wanted.len() && wanted.iter().zip(&told).all(|(a, b)| fits(a, b));
        assert!(same, "{shards} shards\nwanted {wanted:#?}\ntold {told:#?}");
    }
}

#[test]
fn what_depends_on_time_or_chance_is_told_as_what_came_of_it() {
    assert_told(
        &[
            "SET a v EX 100",
            "GETEX a PERSIST",
            "GETEX a",
            "GETEX a EXAT 1",
            "SET b v",
            "EXPIRE b 100",
            "GETDEL b",
            "SET c 1 NX GET",
            "INCRBYFLOAT c 1.5",
            "SADD d x",
            "SPOP d",
            "SETEX e 10 v",
            "XADD f * k v",
            "SET g v",
            "EXPIRE g -1",
            "GET nothing",
        ],
        &[
            "SELECT 0",
            "SET a v PXAT *",
            "PERSIST a",
            "DEL a",
            "SET b v",
            "PEXPIREAT b *",
            "DEL b",
            "SET c 1 NX",
            "SET c 2.5 KEEPTTL",
            "SADD d x",
            "SREM d x",
            "SET e v PXAT *",
            "XADD f * k v",
            "SET g v",
            "DEL g",
        ],
    );
}

#[test]
fn several_keys_stay_one_command() {
    let commands = [
        "MSET a 1 b 2 c 3",
        "DEL a b x",
        "SADD s 1 2",
        "SADD t 2 3",
        "SINTERSTORE u s t",
        "RPUSH l 1 2",
        "RPOPLPUSH l m",
        "SMOVE s t 1",
    ];
    let told: Vec<&str> = ["SELECT 0"].into_iter().chain(commands).collect();
    assert_told(&commands, &told);
}

#[test]
fn pops_are_told_with_their_counts() {
    assert_told(
        &[
            "RPUSH l a b c",
            "LMPOP 1 l LEFT",
            "BLMPOP 0 1 l RIGHT COUNT 9",
            "ZADD z 1 a 2 b 3 c",
            "ZMPOP 1 z MIN",
            "BZMPOP 0 1 z MAX COUNT 9",
            "RPUSH l a b",
            "BLPOP l 0",
            "BLMOVE l m LEFT RIGHT 0",
            "ZADD z 1 a",
            "BZPOPMIN z 0",
        ],
        &[
            "SELECT 0",
            "RPUSH l a b c",
            "LPOP l 1",
            "RPOP l 2",
            "ZADD z 1 a 2 b 3 c",
            "ZPOPMIN z 1",
            "ZPOPMAX z 2",
            "RPUSH l a b",
            "LPOP l",
            "LMOVE l m LEFT RIGHT",
            "ZADD z 1 a",
            "ZPOPMIN z",
        ],
    );
}

#[test]
fn a_unit_of_several_commands_is_a_transaction() {
    assert_told(
        &[
            "MULTI",
            "SET a 1",
            "GET a",
            "SET b 2",
            "PUBLISH c m",
            "EXEC",
            "MULTI",
            "INCR a",
            "EXEC",
            "MULTI",
            "GET a",
            "EXEC",
            "EVAL redis.call('incr',KEYS[1])redis.call('del','none')return(redis.call('set',KEYS[2],'v','ex',9)) 2 a b",
            "MULTI",
            "SELECT 3",
            "SET c 1",
            "SELECT 4",
            "SET d 1",
            "EXEC",
        ],
        &[
            "SELECT 0",
            "MULTI",
            "SET a 1",
            "SET b 2",
            "PUBLISH c m",
            "EXEC",
            "INCR a",
            "MULTI",
            "INCR a",
            "SET b v PXAT *",
            "EXEC",
            "SELECT 3",
            "MULTI",
            "SET c 1",
            "SELECT 4",
            "SET d 1",
            "EXEC",
            "SELECT 0",
        ],
    );
}

#[test]
fn consumers_are_told_as_claims() {
    assert_told(
        &[
            "XADD s 1-1 k v",
            "XADD s 1-2 k v",
            "XGROUP CREATE s g 0",
            "XREADGROUP GROUP g me STREAMS s >",
            "XACK s g 1-1",
        ],
        &[
            "SELECT 0",
            "XADD s 1-1 k v",
            "XADD s 1-2 k v",
            "XGROUP CREATE s g 0",
            "MULTI",
            "XCLAIM s g me 0 1-1 TIME * RETRYCOUNT 1 FORCE JUSTID LASTID 1-2",
            "XCLAIM s g me 0 1-2 TIME * RETRYCOUNT 1 FORCE JUSTID LASTID 1-2",
            "EXEC",
            "XACK s g 1-1",
        ],
    );
}

#[test]
fn flushes_are_told_even_when_nothing_is_there_and_scripts_are_not() {
    assert_told(
        &[
            "FLUSHDB",
            "FLUSHALL ASYNC",
            "SCRIPT LOAD return(1)",
            "SCRIPT FLUSH",
            "SPUBLISH c m",
            "FUNCTION FLUSH",
        ],
        &["SELECT 0", "FLUSHDB", "FLUSHALL ASYNC", "SPUBLISH c m", "FUNCTION FLUSH"],
    );
}

#[test]
fn changes_of_libraries_within_a_transaction_stand_where_they_were_made() {
    assert_told(
        &["MULTI", "SET a 1", "FUNCTION FLUSH", "SET b 2", "GET a", "EXEC"],
        &["SELECT 0", "MULTI", "SET a 1", "FUNCTION FLUSH", "SET b 2", "EXEC"],
    );
}
