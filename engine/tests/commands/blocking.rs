//! What commands wait for, and what they get when it is there.

use ringstone_engine::cmd::Command;
use ringstone_engine::cmd::blocking::Block;
use ringstone_engine::keyspace::Mode;
use ringstone_engine::reply::TreeSink;
use ringstone_engine::{ArgBuf, Ctx, Error};

use crate::harness::{NOW_MS, Shard, find, show, split};

/// Runs a command that finds nothing.
fn wait(shard: &mut Shard, line: &str) -> Block {
    let args = ArgBuf::from_parts(split(line));
    let command: &Command = find(args.as_args()).expect("a command");
    let mut sink = TreeSink::new(false);
    let mut ctx = Ctx { db: shard.keyspace.db(0, NOW_MS, Mode::Live), reply: &mut sink };
    match (command.run)(&mut ctx, args.as_args()) {
        Err(Error::WouldBlock(block)) => *block,
        other => panic!("{line} did not wait: {other:?}"),
    }
}

/// What a waiting command gets from one of its keys.
fn serve(shard: &mut Shard, block: &Block, at: usize) -> String {
    let mut sink = TreeSink::new(false);
    let mut ctx = Ctx { db: shard.keyspace.db(0, NOW_MS, Mode::Live), reply: &mut sink };
    if !block.has_something(&mut ctx.db, at) {
        return "waits".into();
    }
    match block.serve(&mut ctx, at) {
        Ok(()) => show(&sink.into_reply()),
        Err(error) => format!("(error) {error}"),
    }
}

#[test]
fn elements_go_to_who_waits_for_them() {
    let mut shard = Shard::new();
    let pop = wait(&mut shard, "BLPOP a b 1.5");
    assert_eq!((pop.timeout_ms, pop.keys.len()), (Some(1500), 2));
    let some = wait(&mut shard, "BLMPOP 0 2 a b RIGHT COUNT 2");
    let moves = wait(&mut shard, "BLMOVE b c LEFT RIGHT 0");
    assert_eq!(serve(&mut shard, &pop, 1), "waits");
    shard.run("ZADD b 1 x");
    assert_eq!(serve(&mut shard, &pop, 1), "waits", "another type");
    shard.run("DEL b");
    shard.run("RPUSH b 1 2 3 4");
    assert_eq!(serve(&mut shard, &pop, 0), "waits");
    assert_eq!(serve(&mut shard, &pop, 1), "1) \"b\" 2) \"1\"");
    assert_eq!(serve(&mut shard, &some, 1), "1) \"b\" 2) 1) \"4\" 2) \"3\"");
    shard.run("SET c x");
    assert!(serve(&mut shard, &moves, 0).contains("WRONGTYPE"));
    shard.run("DEL c");
    assert_eq!(serve(&mut shard, &moves, 0), "\"2\"");
    assert_eq!(show(&shard.run("LRANGE c 0 -1")), "1) \"2\"");
    assert_eq!(show(&shard.run("EXISTS b")), "(integer) 0");
}

#[test]
fn members_go_to_who_waits_for_them() {
    let mut shard = Shard::new();
    let low = wait(&mut shard, "BZPOPMIN z 0");
    let high = wait(&mut shard, "BZMPOP 0 1 z MAX COUNT 5");
    shard.run("ZADD z 1 a 2.5 b");
    assert_eq!(serve(&mut shard, &low, 0), "1) \"z\" 2) \"a\" 3) \"1\"");
    assert_eq!(serve(&mut shard, &high, 0), "1) \"z\" 2) 1) 1) \"b\" 2) \"2.5\"");
    assert_eq!(serve(&mut shard, &low, 0), "waits");
}

#[test]
fn readers_of_a_stream_get_what_comes_after_they_asked() {
    let mut shard = Shard::new();
    shard.run("XADD s 5-1 f 1");
    let end = wait(&mut shard, "XREAD BLOCK 10 STREAMS none s 0 $");
    assert_eq!(serve(&mut shard, &end, 1), "waits");
    shard.run("XADD s 5-2 f 2");
    let got = "1) 1) \"s\" 2) 1) 1) \"5-2\" 2) 1) \"f\" 2) \"2\"";
    assert_eq!(serve(&mut shard, &end, 1), got);
    assert_eq!(serve(&mut shard, &end, 1), got, "nothing is taken away");
}

#[test]
fn readers_for_a_group_learn_that_it_is_gone() {
    let mut shard = Shard::new();
    shard.run("XGROUP CREATE s g $ MKSTREAM");
    let news = wait(&mut shard, "XREADGROUP GROUP g ann BLOCK 0 STREAMS s >");
    assert_eq!(serve(&mut shard, &news, 0), "waits");
    shard.run("XADD s 1-1 f 1");
    assert_eq!(serve(&mut shard, &news, 0), "1) 1) \"s\" 2) 1) 1) \"1-1\" 2) 1) \"f\" 2) \"1\"");
    assert_eq!(serve(&mut shard, &news, 0), "waits");
    shard.run("XGROUP DESTROY s g");
    let no_group = "(error) NOGROUP the consumer group this client was blocked on no longer exists";
    assert_eq!(serve(&mut shard, &news, 0), no_group);
    shard.run("SET s x");
    let no_key = "(error) UNBLOCKED the stream key no longer exists";
    assert_eq!(serve(&mut shard, &news, 0), no_key);
    shard.run("DEL s");
    assert_eq!(serve(&mut shard, &news, 0), no_key);
}

#[test]
fn where_nobody_may_wait_there_is_nothing_at_once() {
    let mut shard = Shard::new();
    for line in
        ["BLPOP a 0", "BLMOVE a b LEFT LEFT 0", "BZMPOP 0 1 a MIN", "XREAD BLOCK 0 STREAMS a 0"]
    {
        assert_eq!(show(&shard.run(line)), "(nil)", "{line}");
    }
    assert!(shard.take_effects().is_empty());
}
