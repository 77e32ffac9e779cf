use crate::args::ArgBuf;
use crate::cmd::by_opcode;
use crate::effect::Records;
use crate::keyspace::{Ctx, Keyspace, Mode};
use crate::reply::{Tree, TreeSink};

/// A shard with a log that is replayed into a second one.
struct Shard {
    live: Keyspace,
    resp3: bool,
}

fn run(ks: &mut Keyspace, mode: Mode, words: &ArgBuf, resp3: bool) -> Tree {
    let name = words.as_args().at(0).to_ascii_lowercase();
    let command = super::COMMANDS.iter().find(|c| c.spec.name.as_bytes() == name).unwrap();
    let mut sink = TreeSink::new(resp3);
    assert!(command.spec.arity_fits(words.as_args().len()));
    let mut ctx = Ctx { db: ks.db(0, 1_000, mode), reply: &mut sink };
    match (command.run)(&mut ctx, words.as_args()) {
        Ok(()) => sink.into_reply(),
        Err(error) => Tree::Error(error),
    }
}

impl Shard {
    fn new() -> Self {
        Shard { live: Keyspace::new(1, 7), resp3: false }
    }
    fn run(&mut self, line: &str) -> Tree {
        let words = ArgBuf::from_parts(line.split(' '));
        run(&mut self.live, Mode::Live, &words, self.resp3)
    }
    fn text(&mut self, line: &str) -> String {
        render(&self.run(line))
    }
    /// Replays all effects on a fresh shard and compares the content.
    fn assert_replays(&mut self, keys: &[&str]) {
        let mut copy = Keyspace::new(1, 8);
        for record in Records::new(self.live.effects.bytes()) {
            let record = record.unwrap();
            let mut words = ArgBuf::default();
            if record.opcode == crate::keyspace::OPCODE_DEL {
                copy.db(0, 0, Mode::Replay).remove(record.args.as_args().at(0));
                continue;
            }
            words.push(by_opcode(record.opcode).unwrap().spec.name.as_bytes());
            record.args.as_args().iter_from(0).for_each(|a| words.push(a));
            let reply = run(&mut copy, Mode::Replay, &words, false);
            assert!(!matches!(reply, Tree::Error(_)), "{reply:?}");
        }
        for key in keys {
            let line = ArgBuf::from_parts(["ZRANGE", key, "0", "-1", "WITHSCORES"]);
            let (a, b) = (
                run(&mut self.live, Mode::Live, &line, false),
                run(&mut copy, Mode::Live, &line, false),
            );
            assert_eq!(a, b, "{key}");
        }
    }
}

/// A reply on one line: bulk strings bare, aggregates in brackets.
fn render(tree: &Tree) -> String {
    match tree {
        Tree::Int(n) => n.to_string(),
        Tree::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Tree::Double(score) => score.to_string(),
        Tree::Null | Tree::NullArray => "nil".to_owned(),
        Tree::Error(error) => error.to_string(),
        Tree::Array(items) => {
            format!("[{}]", items.iter().map(render).collect::<Vec<_>>().join(" "))
        }
        Tree::Simple(_)
        | Tree::Map(_)
        | Tree::Set(_)
        | Tree::Push(_)
        | Tree::Bool(_)
        | Tree::Verbatim(..)
        | Tree::BigNumber(_) => {
            format!("{tree:?}")
        }
    }
}

#[test]
fn zadd_options_decide_what_changes() {
    let mut shard = Shard::new();
    assert_eq!(shard.text("ZADD k 1 a 2 b"), "2");
    assert_eq!(shard.text("ZADD k XX CH 5 a 5 c"), "1");
    assert_eq!(shard.text("ZADD k NX 9 a 3 c"), "1");
    assert_eq!(shard.text("ZADD k GT CH 1 a 9 b"), "1");
    assert_eq!(shard.text("ZADD k LT CH 1 a 10 b"), "1");
    assert_eq!(shard.text("ZADD k INCR 2.5 a"), "3.5");
    assert_eq!(shard.text("ZADD k GT INCR -1 a"), "nil");
    assert_eq!(shard.text("ZADD none XX INCR 1 a"), "nil");
    assert_eq!(shard.text("ZINCRBY k 0.1 c"), "3.1");
    assert_eq!(shard.text("ZRANGE k 0 -1 WITHSCORES"), "[c 3.1 a 3.5 b 9]");
    assert_eq!(
        shard.text("ZADD k NX XX 1 a"),
        "ERR XX and NX options at the same time are not compatible"
    );
    assert_eq!(shard.text("ZADD k 1 a 2"), "ERR syntax error");
    assert_eq!(shard.text("ZADD k x a"), "ERR value is not a valid float");
    assert_eq!(shard.text("ZADD k inf a"), "0");
    assert_eq!(shard.text("ZADD k INCR -inf a"), "ERR resulting score is not a number (NaN)");
    shard.assert_replays(&["k", "none"]);
}

#[test]
fn ranges_by_rank_score_and_member() {
    let mut shard = Shard::new();
    shard.run("ZADD k 1 a 2 b 3 c 4 d");
    assert_eq!(shard.text("ZRANGE k -2 -1"), "[c d]");
    assert_eq!(shard.text("ZRANGE k 0 1 REV"), "[d c]");
    assert_eq!(shard.text("ZRANGE k (1 3 BYSCORE"), "[b c]");
    assert_eq!(shard.text("ZRANGE k +inf 2 BYSCORE REV LIMIT 1 1"), "[c]");
    assert_eq!(shard.text("ZRANGEBYSCORE k 0 9 LIMIT 1 -1"), "[b c d]");
    assert_eq!(shard.text("ZRANGEBYSCORE k 0 9 LIMIT -1 2"), "[]");
    assert_eq!(shard.text("ZREVRANGEBYSCORE k 3 (1 WITHSCORES"), "[c 3 b 2]");
    assert_eq!(shard.text("ZCOUNT k (2 (4"), "1");
    assert_eq!(shard.text("ZRANGEBYSCORE k a 2"), "ERR min or max is not a float");
    shard.run("ZADD lex 0 a 0 b 0 c");
    assert_eq!(shard.text("ZRANGE lex [b + BYLEX"), "[b c]");
    assert_eq!(shard.text("ZREVRANGEBYLEX lex (c -"), "[b a]");
    assert_eq!(shard.text("ZLEXCOUNT lex - +"), "3");
    assert_eq!(
        shard.text("ZRANGE k 0 1 LIMIT 0 1"),
        "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
    );
    shard.resp3 = true;
    assert_eq!(shard.text("ZRANGE k 0 0 WITHSCORES"), "[[a 1]]");
}

#[test]
fn removals_leave_no_empty_key_and_replay() {
    let mut shard = Shard::new();
    for key in ["a", "b", "c", "d"] {
        shard.run(&format!("ZADD {key} 1 a 2 b 3 c"));
    }
    assert_eq!(shard.text("ZREM a a x b c"), "3");
    assert_eq!(shard.text("ZREMRANGEBYRANK b 0 -1"), "3");
    assert_eq!(shard.text("ZREMRANGEBYSCORE c -inf (3"), "2");
    assert_eq!(shard.text("ZREMRANGEBYLEX d [a [b"), "2");
    assert_eq!(shard.text("ZPOPMAX d"), "[c 3]");
    assert_eq!(shard.live.db(0, 0, Mode::Live).len(), 1);
    shard.assert_replays(&["a", "b", "c", "d"]);
}

#[test]
fn pops_take_from_the_end_asked_for() {
    let mut shard = Shard::new();
    shard.run("ZADD k 1 a 2 b 3 c 4 d 5 e");
    assert_eq!(shard.text("ZPOPMIN k"), "[a 1]");
    assert_eq!(shard.text("ZPOPMIN k 0"), "[]");
    assert_eq!(shard.text("ZPOPMAX k 2"), "[e 5 d 4]");
    assert_eq!(shard.text("ZPOPMIN k -1"), "ERR value is out of range, must be positive");
    assert_eq!(shard.text("ZMPOP 2 none k MIN COUNT 1"), "[k [[b 2]]]");
    assert_eq!(shard.text("ZMPOP 1 none MIN"), "nil");
    assert_eq!(shard.text("ZMPOP 0 k MIN"), "ERR numkeys should be greater than 0");
    assert_eq!(shard.text("ZMPOP 1 k MIN COUNT 0"), "ERR count should be greater than 0");
    assert_eq!(shard.text("ZMPOP 2 k MIN"), "ERR syntax error");
    shard.assert_replays(&["k"]);
    shard.resp3 = true;
    assert_eq!(shard.text("ZPOPMIN k 5"), "[[c 3]]");
}

#[test]
fn random_members_are_distinct_when_asked_for() {
    let mut shard = Shard::new();
    for i in 0..300 {
        shard.run(&format!("ZADD k {i} m{i}"));
    }
    let Tree::Array(got) = shard.run("ZRANDMEMBER k 100") else { panic!() };
    let distinct: std::collections::HashSet<_> = got.iter().map(render).collect();
    assert_eq!(distinct.len(), 100);
    let Tree::Array(got) = shard.run("ZRANDMEMBER k -1000 WITHSCORES") else { panic!() };
    assert_eq!(got.len(), 2000);
    assert_eq!(shard.text("ZRANDMEMBER none 5"), "[]");
    assert_eq!(shard.text("ZRANDMEMBER none"), "nil");
}

#[test]
fn unions_intersections_and_differences() {
    let mut shard = Shard::new();
    shard.run("ZADD a 1 x 2 y 3 z");
    shard.run("ZADD b 10 y 20 z 30 w");
    assert_eq!(shard.text("ZUNION 2 a b WITHSCORES"), "[x 1 y 12 z 23 w 30]");
    assert_eq!(shard.text("ZINTER 2 a b WEIGHTS 2 1 AGGREGATE MIN WITHSCORES"), "[y 4 z 6]");
    assert_eq!(shard.text("ZDIFF 2 b a WITHSCORES"), "[w 30]");
    assert_eq!(shard.text("ZDIFF 2 a none"), "[x y z]");
    assert_eq!(shard.text("ZINTER 2 a none"), "[]");
    assert_eq!(shard.text("ZINTERCARD 2 a b LIMIT 1"), "1");
    assert_eq!(shard.text("ZUNIONSTORE c 2 a b WEIGHTS 1 -1 AGGREGATE MAX"), "4");
    assert_eq!(shard.text("ZRANGE c 0 -1 WITHSCORES"), "[w -30 x 1 y 2 z 3]");
    assert_eq!(shard.text("ZINTERSTORE c 2 a none"), "0");
    assert_eq!(shard.text("ZDIFFSTORE d 1 a"), "3");
    assert_eq!(shard.text("ZUNION 0 a"), "ERR at least 1 input key is needed for 'zunion' command");
    assert_eq!(shard.text("ZUNION 3 a b"), "ERR syntax error");
    assert_eq!(shard.text("ZUNION 1 a WEIGHTS x"), "ERR weight value is not a float");
    assert_eq!(shard.text("ZINTERCARD 1 a LIMIT -1"), "ERR LIMIT can't be negative");
    shard.assert_replays(&["a", "b", "c", "d"]);
}

#[test]
fn a_scan_visits_everything() {
    let mut shard = Shard::new();
    for i in 0..1000 {
        shard.run(&format!("ZADD k {i} m{i}"));
    }
    let mut cursor = "0".to_owned();
    let mut seen = std::collections::HashSet::new();
    loop {
        let Tree::Array(reply) = shard.run(&format!("ZSCAN k {cursor} COUNT 50 MATCH m*")) else {
            panic!()
        };
        let Tree::Array(items) = &reply[1] else { panic!() };
        seen.extend(items.iter().step_by(2).map(render));
        cursor = render(&reply[0]);
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen.len(), 1000);
    assert_eq!(shard.text("ZSCAN none 0 COUNT 0"), "[0 []]");
    assert_eq!(shard.text("ZSCAN k 0 COUNT 0"), "ERR syntax error");
}
