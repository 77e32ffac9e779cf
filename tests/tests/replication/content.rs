//! A real replica holds what the primary holds, whatever was written, and whenever it came.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ringstone_tests::crash::Random;
use ringstone_tests::resp::Conn;
use ringstone_tests::server::Home;

use super::{primary, replica_of, until, until_online, until_the_same};

/// Commands for one or several of a dozen keys of each type: `#` is a number, `@` a member, `!` a short time, behind a type's
/// letter it makes a key.
const COMMANDS: &str = "\
SET s# @|SET s# @ PX !|SET s# @ NX GET|SETEX s# 1 @|GETEX s# PX !|GETEX s# PERSIST|GETDEL s#|GETSET s# @|APPEND s# @|GET s#
SETRANGE s# # @|INCR i#|DECRBY i# 3|INCRBYFLOAT i# 1.1|MSET s# @ s# @ s# @|MSETNX s# @ s# @|SETNX s# @|MGET s# s# s#
SETBIT b# # 1|BITOP OR b# b# b#|BITFIELD b# INCRBY u5 # 1|DEL s# l# h#|UNLINK z# x#|PEXPIRE l# !|PEXPIRE h# !|PEXPIRE z# !
EXPIRE e# 1|PERSIST e#|EXPIRE h# -1|RENAME s# s#|RENAMENX l# l#|COPY h# h# REPLACE|COPY z# z# DB 1|MOVE s# 2|SELECT 0|SELECT 1
LPUSH l# @ @|RPUSH l# @ @ @|LPUSHX l# @|LPOP l#|RPOP l# 3|LMOVE l# l# LEFT RIGHT|RPOPLPUSH l# l#|LMPOP 2 l# l# LEFT COUNT 2
BLPOP l# l# 0.01|BRPOPLPUSH l# l# 0.01|BLMOVE l# l# RIGHT LEFT 0.01|BLMPOP 0.01 2 l# l# RIGHT|LINSERT l# BEFORE a @|LREM l# 1 a
LSET l# 0 @|LTRIM l# 0 40|SORT l# ALPHA STORE l#|SADD e# @ @ #|SREM e# @|SPOP e#|SPOP e# 3|SMOVE e# e# a|SINTERSTORE e# e# e#
SUNIONSTORE e# e# e#|SDIFFSTORE e# e# e#|HSET h# @ @ f #|HMSET h# @ @|HSETNX h# @ @|HDEL h# @ f|HINCRBY h# n 2|HINCRBYFLOAT h# n 0.7
ZADD z# # @ # @|ZADD z# GT CH # @|ZADD z# INCR 1.5 @|ZINCRBY z# 1.1 @|ZREM z# @|ZPOPMIN z#|ZPOPMAX z# 2|ZMPOP 2 z# z# MAX COUNT 2
BZPOPMIN z# z# 0.01|BZMPOP 0.01 1 z# MIN COUNT 3|ZUNIONSTORE z# 2 z# z#|ZINTERSTORE z# 2 z# z#|ZDIFFSTORE z# 2 z# z#
ZRANGESTORE z# z# 0 5|ZREMRANGEBYRANK z# 0 0|GEOADD g# # # @|GEOSEARCHSTORE g# g# FROMLONLAT 0 0 BYRADIUS 9000 km|PFADD p# @ #
PFMERGE p# p# p#|PFCOUNT p#|XADD x# * f @|XADD x# MAXLEN ~ 20 * f @|XTRIM x# MAXLEN 15|XGROUP CREATE x# g 0 MKSTREAM
XREADGROUP GROUP g a COUNT 3 STREAMS x# >|XREADGROUP GROUP g c NOACK COUNT 1 STREAMS x# >|XAUTOCLAIM x# g b 0 0 COUNT 2|RANDOMKEY
XGROUP DELCONSUMER x# g a|PUBLISH c @|SWAPDB 0 1|DBSIZE|SCAN 0|FUNCTION FLUSH|EVAL return(redis.call('incr',KEYS[1])) 1 i#
EVAL redis.call('rpush',KEYS[1],ARGV[1])redis.call('spop',KEYS[2])return(1) 2 l# e# @|EVAL return(redis.call('set','s5','1','px',50)) 0";

/// Something random; errors are part of the game.
fn write(conn: &mut Conn, random: &mut Random) {
    if random.one_in(10) {
        conn.line("MULTI");
        (0..=random.below(4)).for_each(|_| drop(conn.line(&command(random))));
        conn.line("EXEC");
    } else {
        conn.line(&command(random));
    }
}

fn command(random: &mut Random) -> String {
    let mut pick =
        |words: &[&'static str]| words[usize::try_from(random.below(words.len() as u64)).unwrap()];
    let pattern = pick(&COMMANDS.split(['\n', '|']).collect::<Vec<_>>());
    let mut line = String::new();
    for letter in pattern.chars() {
        match letter {
            '#' => line += &random.below(12).to_string(),
            '!' => line += &random.below(300).to_string(),
            '@' => {
                let members = ["a", "b", "12", "3.5", "longer-than-that"];
                line += members[usize::try_from(random.below(5)).unwrap()];
            }
            other => line.push(other),
        }
    }
    line
}

/// Writes from several connections until told to stop, while `meanwhile` runs.
fn while_writing(server: &ringstone_tests::server::Server, seed: u64, meanwhile: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for writer in 0..3 {
            let (stop, mut conn) = (&stop, server.conn());
            scope.spawn(move || {
                let mut random = Random::new(seed * 10 + writer);
                while !stop.load(Ordering::Relaxed) {
                    write(&mut conn, &mut random);
                }
            });
        }
        meanwhile();
        stop.store(true, Ordering::Relaxed);
    });
}

fn for_a_moment() {
    thread::sleep(std::time::Duration::from_millis(700));
}

#[test]
fn a_replica_that_comes_while_others_write_holds_the_same() {
    for shards in [1, 2] {
        for log in ["no", "yes"] {
            let (home, there) = (Home::new(), Home::new());
            let server = primary(shards).set("appendonly", log).start(&home);
            let mut replica = None;
            while_writing(&server, shards as u64, || {
                for_a_moment();
                let started = replica.insert(replica_of(&server, &there));
                let mut conn = started.conn();
                until("the link is up", || conn.info("replication", "master_link_status") == "up");
                for_a_moment();
            });
            let replica = replica.unwrap();
            until_the_same(&mut server.conn(), &mut replica.conn());
            assert_eq!(server.conn().info("stats", "sync_full"), "1");
        }
    }
}

#[test]
fn a_replica_that_is_cut_off_goes_on_where_it_was() {
    for shards in [1, 2] {
        let (home, there) = (Home::new(), Home::new());
        let server = primary(shards).set("repl-backlog-size", "64mb").start(&home);
        let replica = replica_of(&server, &there);
        let mut conn = server.conn();
        until_online(&mut conn, 1);
        while_writing(&server, 7, || {
            for _ in 0..3 {
                for_a_moment();
                assert_eq!(conn.line("CLIENT KILL TYPE replica").int(), Some(1));
                until_online(&mut conn, 1);
            }
        });
        until_the_same(&mut conn, &mut replica.conn());
        assert_eq!(conn.info("stats", "sync_full"), "1");
        assert_eq!(conn.info("stats", "sync_partial_ok"), "3");
    }
}

#[test]
fn a_replica_that_missed_more_than_is_kept_gets_everything_again() {
    let (home, there) = (Home::new(), Home::new());
    let server = primary(2).set("repl-backlog-size", "16kb").start(&home);
    let replica = replica_of(&server, &there);
    let mut conn = server.conn();
    until_online(&mut conn, 1);
    let value = "x".repeat(40_000);
    let count = |conn: &mut Conn, name: &str| conn.info("stats", name).parse::<u32>().unwrap();
    // With its connection on another shard it may get the value before it is cut off: then it goes on, and is cut off again.
    while count(&mut conn, "sync_full") < 2 {
        let went_on = count(&mut conn, "sync_partial_ok");
        conn.call(&["MULTI"]).unwrap();
        conn.call(&["CLIENT", "KILL", "TYPE", "replica"]).unwrap();
        conn.call(&["SET", "large", &value]).unwrap();
        conn.call(&["EXEC"]).unwrap();
        until("it came back", || {
            count(&mut conn, "sync_full") == 2 || count(&mut conn, "sync_partial_ok") > went_on
        });
    }
    until_online(&mut conn, 1);
    until_the_same(&mut conn, &mut replica.conn());
    assert_eq!(conn.info("stats", "sync_partial_err"), "1");
}

#[test]
fn a_replica_never_sees_a_library_without_the_keys_of_its_transaction() {
    for shards in [1, 2] {
        let (home, there) = (Home::new(), Home::new());
        let server = primary(shards).set("appendonly", "yes").start(&home);
        let replica = replica_of(&server, &there);
        let (mut conn, mut reader) = (server.conn(), replica.conn());
        until_online(&mut conn, 1);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let (stop, mut writer) = (&stop, server.conn());
            scope.spawn(move || {
                let mut version = 0;
                while !stop.load(Ordering::Relaxed) {
                    version += 1;
                    let code = format!(
                        "#!lua name=l\nredis.register_function{{function_name='f', flags={{'no-writes'}}, \
                         callback=function() return {version} end}}"
                    );
                    writer.line("MULTI");
                    writer.line(&format!("SET a {version}"));
                    writer.call(&["FUNCTION", "LOAD", "REPLACE", &code]).unwrap();
                    writer.line(&format!("SET b {version}"));
                    assert_eq!(writer.line("EXEC").items().len(), 3);
                }
            });
            let mut seen = std::collections::BTreeSet::new();
            until("the replica has seen several", || {
                ["MULTI", "GET a", "FCALL_RO f 0", "GET b"]
                    .iter()
                    .for_each(|l| drop(reader.line(l)));
                let reply = reader.line("EXEC");
                let texts: Vec<String> = reply.items().iter().map(|item| item.text()).collect();
                assert!(texts[0] == texts[2], "{texts:?}");
                // Before the first one nothing is there.
                assert!(texts[0] == texts[1] || texts[0].is_empty(), "{texts:?}");
                seen.insert(texts[0].clone());
                seen.len() > 50
            });
            stop.store(true, Ordering::Relaxed);
        });
        until_the_same(&mut conn, &mut reader);
        let list =
            |conn: &mut Conn| conn.line("FUNCTION LIST WITHCODE").items()[0].items()[7].text();
        assert_eq!(list(&mut conn), list(&mut reader));
    }
}
