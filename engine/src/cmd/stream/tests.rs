use crate::args::ArgBuf;
use crate::keyspace::{Ctx, Keyspace, Mode};
use crate::reply::{Tree, TreeSink};

/// A shard whose clock stands still until it is set.
struct Shard {
    keyspace: Keyspace,
    now_ms: i64,
}

impl Shard {
    fn new() -> Self {
        Shard { keyspace: Keyspace::new(1, 7), now_ms: 1_000 }
    }

    fn text(&mut self, line: &str) -> String {
        let words = ArgBuf::from_parts(line.split(' '));
        let args = words.as_args();
        let lower = |at| String::from_utf8_lossy(args.at(at)).to_ascii_lowercase();
        let command = super::COMMANDS.iter().find(|c| c.spec.name == lower(0)).unwrap();
        let full = format!("{}|{}", lower(0), lower(1));
        let sub = command.subs.iter().find(|c| c.spec.name == full);
        let command = sub.unwrap_or(command);
        assert!(command.spec.arity_fits(args.len()), "{line}");
        let mut sink = TreeSink::new(false);
        let db = self.keyspace.db(0, self.now_ms, Mode::Live);
        match (command.run)(&mut Ctx { db, reply: &mut sink }, args) {
            Ok(()) => render(&sink.into_reply()),
            Err(error) => error.to_string(),
        }
    }
}

/// A reply on one line: strings bare, aggregates in brackets.
fn render(tree: &Tree) -> String {
    match tree {
        Tree::Int(n) => n.to_string(),
        Tree::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Tree::Simple(text) => text.clone(),
        Tree::Null | Tree::NullArray => "nil".to_owned(),
        Tree::Array(items) | Tree::Map(items) => {
            format!("[{}]", items.iter().map(render).collect::<Vec<_>>().join(" "))
        }
        Tree::Error(_) | Tree::Double(_) | Tree::Bool(_) | Tree::Set(_) | Tree::Push(_) => {
            format!("{tree:?}")
        }
        Tree::Verbatim(..) | Tree::BigNumber(_) => format!("{tree:?}"),
    }
}

#[test]
fn ids_come_from_the_clock_and_never_go_back() {
    let mut shard = Shard::new();
    assert_eq!(shard.text("XADD s * f v"), "1000-0");
    assert_eq!(shard.text("XADD s * f v"), "1000-1");
    shard.now_ms = 5;
    assert_eq!(shard.text("XADD s * f v"), "1000-2");
    assert_eq!(shard.text("XADD s 1000-* f v"), "1000-3");
    assert_eq!(shard.text("XADD s 2000-* f v"), "2000-0");
    let small = "ERR The ID specified in XADD is equal or smaller than the target stream top item";
    assert_eq!(shard.text("XADD s 1-1 f v"), small);
    assert_eq!(shard.text("XADD s 1-* f v"), small);
    assert_eq!(
        shard.text("XADD new 0-0 f v"),
        "ERR The ID specified in XADD must be greater than 0-0"
    );
    assert_eq!(shard.text("XADD new 0-* f v"), "0-1");
    assert_eq!(shard.text("XADD s * f v g"), "ERR wrong number of arguments for 'xadd' command");
    assert_eq!(shard.text("XLEN s"), "5");
}

#[test]
fn trimming_options_are_checked_together() {
    let mut shard = Shard::new();
    for id in 1..=5 {
        shard.text(&format!("XADD s {id}-0 f v"));
    }
    assert_eq!(
        shard.text("XADD s MAXLEN 1 MINID 1 * f v"),
        "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
    );
    assert_eq!(
        shard.text("XTRIM s MAXLEN 1 LIMIT 1"),
        "ERR syntax error, LIMIT cannot be used without the special ~ option"
    );
    assert_eq!(shard.text("XTRIM s MAXLEN -1"), "ERR The MAXLEN argument must be >= 0.");
    assert_eq!(shard.text("XTRIM s MAXLEN ~ 1"), "0");
    assert_eq!(shard.text("XTRIM s MINID = 3"), "2");
    assert_eq!(shard.text("XADD s MAXLEN 2 9-0 f v"), "9-0");
    assert_eq!(shard.text("XRANGE s - +"), "[[5-0 [f v]] [9-0 [f v]]]");
    assert_eq!(shard.text("XREVRANGE s (9-0 - COUNT 1"), "[[5-0 [f v]]]");
}

#[test]
fn a_group_gives_each_entry_to_one_consumer_until_it_is_acknowledged() {
    let mut shard = Shard::new();
    for id in 1..=3 {
        shard.text(&format!("XADD s {id}-0 f v"));
    }
    assert_eq!(shard.text("XGROUP CREATE s g 0"), "OK");
    assert_eq!(
        shard.text("XREADGROUP GROUP g a COUNT 2 STREAMS s >"),
        "[[s [[1-0 [f v]] [2-0 [f v]]]]]"
    );
    assert_eq!(shard.text("XREADGROUP GROUP g b STREAMS s >"), "[[s [[3-0 [f v]]]]]");
    assert_eq!(shard.text("XREADGROUP GROUP g b STREAMS s >"), "nil");
    assert_eq!(shard.text("XACK s g 1-0 7-0"), "1");
    shard.now_ms += 500;
    assert_eq!(shard.text("XREADGROUP GROUP g a STREAMS s 0"), "[[s [[2-0 [f v]]]]]");
    assert_eq!(shard.text("XPENDING s g"), "[2 2-0 3-0 [[a 1] [b 1]]]");
    assert_eq!(shard.text("XPENDING s g - + 5"), "[[2-0 a 0 2] [3-0 b 500 1]]");
    assert_eq!(shard.text("XPENDING s g IDLE 100 - + 5 b"), "[[3-0 b 500 1]]");
    assert_eq!(shard.text("XCLAIM s g c 1000 3-0"), "[]");
    assert_eq!(shard.text("XCLAIM s g c 100 3-0"), "[[3-0 [f v]]]");
    assert_eq!(shard.text("XDEL s 2-0"), "1");
    assert_eq!(shard.text("XAUTOCLAIM s g d 0 0 JUSTID"), "[0-0 [3-0] [2-0]]");
    assert_eq!(
        shard.text("XINFO CONSUMERS s g"),
        "[[name a pending 0 idle 0] [name b pending 0 idle 500] [name c pending 0 idle 0] [name d pending 1 idle 0]]"
    );
    assert_eq!(shard.text("XGROUP DELCONSUMER s g d"), "1");
    assert_eq!(shard.text("XGROUP DESTROY s g"), "1");
    assert_eq!(
        shard.text("XREADGROUP GROUP g a STREAMS s >"),
        "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option"
    );
}

#[test]
fn a_tombstone_before_the_first_entry_keeps_the_lag_exact() {
    let mut shard = Shard::new();
    for id in 1..=8 {
        shard.text(&format!("XADD s {id}-0 f v"));
    }
    shard.text("XTRIM s MAXLEN 4");
    shard.text("XDEL s 6-0 5-0");
    shard.text("XGROUP CREATE s g 3-0 ENTRIESREAD 5");
    assert_eq!(
        shard.text("XINFO GROUPS s"),
        "[[name g consumers 0 pending 0 last-delivered-id 3-0 entries-read 5 lag 3]]"
    );
}

/// Five entries; group `one` has read all and acknowledged three, group `two` has read four and acknowledged two.
fn with_groups() -> Shard {
    let mut shard = Shard::new();
    for id in 1..=5 {
        shard.text(&format!("XADD s {id}-0 f v"));
    }
    shard.text("XGROUP CREATE s one 0");
    shard.text("XGROUP CREATE s two 0");
    shard.text("XREADGROUP GROUP one ann STREAMS s >");
    shard.text("XREADGROUP GROUP two bob COUNT 4 STREAMS s >");
    shard.text("XACK s one 1-0 2-0 3-0");
    shard.text("XACK s two 1-0 3-0");
    shard
}

#[test]
fn entries_that_a_group_still_needs_stay_when_asked() {
    let mut shard = with_groups();
    // 2 and 4 are pending, 5 is still to be read by `two`, 9 was never there.
    assert_eq!(shard.text("XDELEX s ACKED IDS 6 1-0 2-0 3-0 4-0 5-0 9-0"), "[1 2 1 2 2 -1]");
    assert_eq!(shard.text("XLEN s"), "3");
    assert_eq!(shard.text("XACKDEL s two ACKED IDS 2 2-0 4-0"), "[1 2]");
    assert_eq!(shard.text("XACKDEL s one ACKED IDS 3 4-0 5-0 2-0"), "[1 2 -1]");
    assert_eq!(shard.text("XLEN s"), "1");
}

#[test]
fn references_go_with_the_entries_when_asked() {
    let mut shard = with_groups();
    assert_eq!(shard.text("XDELEX s IDS 1 2-0"), "[1]");
    assert_eq!(shard.text("XPENDING s two"), "[2 2-0 4-0 [[bob 2]]]");
    // The entry is gone already, its reference goes.
    assert_eq!(shard.text("XDELEX s IDS 2 2-0 4-0 DELREF"), "[-1 1]");
    assert_eq!(shard.text("XPENDING s two"), "[0 nil nil nil]");
    assert_eq!(shard.text("XPENDING s one"), "[1 5-0 5-0 [[ann 1]]]");
    assert_eq!(shard.text("XACKDEL s one DELREF IDS 1 5-0"), "[1]");
    assert_eq!(shard.text("XPENDING s one"), "[0 nil nil nil]");
}

#[test]
fn acknowledged_and_removed_by_another_group_is_removed() {
    let mut shard = with_groups();
    assert_eq!(shard.text("XACKDEL s one IDS 2 4-0 1-0"), "[1 -1]");
    assert_eq!(shard.text("XPENDING s two"), "[2 2-0 4-0 [[bob 2]]]");
    assert_eq!(shard.text("XACKDEL s two KEEPREF IDS 1 4-0"), "[1]");
    assert_eq!(shard.text("XACKDEL s none IDS 2 1-1 2-2"), "[-1 -1]");
    assert_eq!(shard.text("XACKDEL none g IDS 1 1-1"), "[-1]");
}

#[test]
fn trimming_minds_groups() {
    let mut shard = with_groups();
    assert_eq!(shard.text("XTRIM s MAXLEN 1 ACKED"), "2");
    assert_eq!(shard.text("XADD s MAXLEN = 1 ACKED 6-0 f v"), "6-0");
    assert_eq!(shard.text("XLEN s"), "4");
    assert_eq!(shard.text("XTRIM s DELREF MINID 5"), "2");
    assert_eq!(shard.text("XPENDING s two"), "[0 nil nil nil]");
    assert_eq!(shard.text("XPENDING s one"), "[1 5-0 5-0 [[ann 1]]]");
    assert_eq!(shard.text("XTRIM s MAXLEN 0 KEEPREF ACKED"), "ERR syntax error");
    assert_eq!(shard.text("XADD s MAXLEN 1 DELREF 7-0 f v"), "7-0");
    assert_eq!(shard.text("XPENDING s one"), "[0 nil nil nil]");
}

#[test]
fn ids_to_remove_are_counted() {
    let mut shard = with_groups();
    let count = "ERR Number of IDs must be a positive integer";
    for line in ["XDELEX s IDS abc 1-1", "XDELEX s IDS 0 1-1", "XACKDEL s one IDS -5 1-1"] {
        assert_eq!(shard.text(line), count, "{line}");
    }
    let mismatch = "ERR The `numids` parameter must match the number of arguments";
    assert_eq!(shard.text("XACKDEL s one IDS 3 1-1 2-2"), mismatch);
    for line in [
        "XACKDEL s one IDS 1 1-1 2-2",
        "XDELEX s KEEPREF DELREF IDS 1 1-1",
        "XDELEX s ACKED IDS 1 1-1 ACKED",
        "XDELEX s ACKED DELREF x",
    ] {
        assert_eq!(shard.text(line), "ERR syntax error", "{line}");
    }
    let invalid = "ERR Invalid stream ID specified as stream command argument";
    assert_eq!(shard.text("XDELEX s IDS 2 1-0 x"), invalid);
    assert_eq!(shard.text("XLEN s"), "5");
}
