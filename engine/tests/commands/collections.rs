//! Lists, sets and hashes: what their effects say, and what survives a change of encoding.

use std::collections::BTreeSet;

use ringstone_engine::effect::Records;
use ringstone_engine::keyspace::Mode;
use ringstone_engine::{Error, Tree, cmd};

use crate::harness::{NOW_MS, Shard};

/// The effects since the last time, as command lines.
fn effects(shard: &mut Shard) -> Vec<String> {
    let bytes = shard.take_effects();
    let line = |record: Result<ringstone_engine::effect::Record, _>| {
        let record = record.expect("a whole record");
        let name = cmd::by_opcode(record.opcode).expect("a command").spec.name.to_owned();
        let args: Vec<_> = record.args.as_args().iter_from(0).map(String::from_utf8_lossy).fold(
            vec![name],
            |mut words, arg| {
                words.push(arg.into_owned());
                words
            },
        );
        args.join(" ")
    };
    Records::new(&bytes).map(line).collect()
}

fn texts(tree: &Tree) -> Vec<String> {
    if let Tree::Bulk(bytes) = tree {
        return vec![String::from_utf8_lossy(bytes).into_owned()];
    }
    let (Tree::Array(items) | Tree::Set(items)) = tree else { panic!("no texts: {tree:?}") };
    items.iter().flat_map(texts).collect()
}

#[test]
fn spop_is_logged_as_the_members_that_it_chose() {
    let mut shard = Shard::new();
    shard.run("SADD k a b c d");
    shard.take_effects();
    let one = texts(&shard.run("SPOP k"));
    assert_eq!(effects(&mut shard), [format!("srem k {}", one[0])]);
    let two = texts(&shard.run("SPOP k 2"));
    assert_eq!(effects(&mut shard), [format!("srem k {} {}", two[0], two[1])]);
    shard.run("SPOP k 9");
    assert_eq!(effects(&mut shard), ["del k"]);
}

#[test]
fn moves_between_keys_are_logged_key_by_key() {
    let mut shard = Shard::new();
    shard.run("RPUSH a 1 2");
    shard.run("SADD s x");
    shard.take_effects();
    shard.run("LMOVE a b LEFT RIGHT");
    assert_eq!(effects(&mut shard), ["lpop a", "rpush b 1"]);
    shard.run("RPOPLPUSH a b");
    assert_eq!(effects(&mut shard), ["rpop a", "lpush b 2"]);
    shard.run("SMOVE s t x");
    assert_eq!(effects(&mut shard), ["srem s x", "sadd t x"]);
    shard.run("SUNIONSTORE t s t");
    assert_eq!(effects(&mut shard), ["del t", "sadd t x"]);
    shard.run("LMPOP 2 a b LEFT COUNT 5");
    assert_eq!(effects(&mut shard), ["lpop b 2"]);
}

#[test]
fn floats_are_logged_as_results() {
    let mut shard = Shard::new();
    shard.run("HINCRBYFLOAT k f 0.1");
    shard.run("HINCRBYFLOAT k f 0.2");
    assert_eq!(effects(&mut shard), ["hset k f 0.1", "hset k f 0.3"]);
}

#[test]
fn writes_that_change_nothing_leave_no_effect() {
    let mut shard = Shard::new();
    for line in ["RPUSH l a", "SADD s a", "HSET h a 1"] {
        shard.run(line);
    }
    shard.take_effects();
    for line in [
        "LREM l 0 x",
        "LTRIM l 0 -1",
        "LINSERT l BEFORE x y",
        "LPUSHX none a",
        "LPOP none",
        "LPOP l 0",
        "SADD s a",
        "SREM s x",
        "SPOP none",
        "SMOVE s s a",
        "SMOVE s t x",
        "SINTERSTORE none s nothing",
        "HSETNX h a 2",
        "HDEL h x",
    ] {
        shard.run(line);
        assert_eq!(effects(&mut shard), [""; 0], "{line}");
    }
}

#[test]
fn rotating_a_list_of_one_keeps_its_expiry() {
    let mut shard = Shard::new();
    let mut replica = Shard::new();
    for line in ["RPUSH k a", "PEXPIRE k 100000", "LMOVE k k LEFT RIGHT", "RPOPLPUSH k k"] {
        shard.run(line);
        replica.replay(&shard.take_effects());
    }
    for shard in [&mut shard, &mut replica] {
        let mut db = shard.keyspace.db(0, NOW_MS, Mode::Replay);
        let expiry = db.peek(b"k").and_then(|entry| entry.expire_at_ms());
        assert_eq!(expiry, Some(NOW_MS + 100_000));
    }
}

#[test]
fn an_emptied_collection_is_gone() {
    let mut shard = Shard::new();
    for (fill, empty) in [
        ("RPUSH k a b", "LREM k 0 a\nRPOP k"),
        ("RPUSH k a b", "LTRIM k 2 1"),
        ("RPUSH k a", "LMOVE k other LEFT LEFT"),
        ("SADD k a 1", "SREM k a 1"),
        ("SADD k 1", "SMOVE k other2 1"),
        ("SADD k 1", "SDIFFSTORE k k k"),
        ("HSET k a 1", "HDEL k a"),
    ] {
        shard.run(fill);
        empty.lines().for_each(|line| drop(shard.run(line)));
        assert_eq!(shard.run("EXISTS k"), Tree::Int(0), "{fill} / {empty}");
    }
}

#[test]
fn a_scan_of_a_table_that_grows_and_shrinks_misses_no_member_that_stays() {
    let mut shard = Shard::new();
    (0..2000).for_each(|n| drop(shard.run(&format!("SADD k stay{n}"))));
    let (mut cursor, mut step, mut seen) = (String::from("0"), 0, BTreeSet::new());
    loop {
        let reply = texts(&shard.run(&format!("SSCAN k {cursor} COUNT 50")));
        cursor.clone_from(&reply[0]);
        seen.extend(reply.into_iter().skip(1));
        if cursor == "0" {
            break;
        }
        let from = step / 4 * 400;
        for n in from..from + 400 {
            let verb = if step % 4 < 2 { "SADD" } else { "SREM" };
            shard.run(&format!("{verb} k move{n}"));
        }
        step += 1;
    }
    let missing = (0..2000).filter(|n| !seen.contains(&format!("stay{n}"))).count();
    assert_eq!(missing, 0);
}

#[test]
fn random_members_are_distinct_unless_asked_otherwise() {
    let mut shard = Shard::new();
    (0..100).for_each(|n| drop(shard.run(&format!("SADD s m{n}"))));
    (0..100).for_each(|n| drop(shard.run(&format!("HSET h f{n} {n}"))));
    for count in [1, 10, 60, 99, 100, 200] {
        for line in [format!("SRANDMEMBER s {count}"), format!("HRANDFIELD h {count}")] {
            let chosen = texts(&shard.run(&line));
            assert_eq!(chosen.len(), count.min(100), "{line}");
            assert_eq!(chosen.iter().collect::<BTreeSet<_>>().len(), chosen.len(), "{line}");
        }
    }
    assert_eq!(texts(&shard.run("SRANDMEMBER s -500")).len(), 500);
    for line in ["SRANDMEMBER s -9223372036854775807", "HRANDFIELD h -9223372036854775807"] {
        assert_eq!(shard.run(line), Tree::Error(Error::OutOfRange), "{line}");
    }
    let pairs = texts(&shard.run("HRANDFIELD h 70 WITHVALUES"));
    assert!(pairs.chunks(2).all(|pair| pair[0] == format!("f{}", pair[1])));
}
