//! The same random commands to redis-server and to Ringstone: the same replies, and in the end the same data.
//!
//! ```text
//!   generate::Generator ──> one command ──┬──> redis-server ──┐
//!                                         └──> Ringstone ─────┴──> same()? and every now and then: DEBUG DIGEST
//! ```
//!
//! Invariant: how exactly replies must agree follows from the tips of a command's row: its order, or only its kind, may be free.

use std::collections::BTreeSet;
use std::time::Duration;

use ringstone_engine::cmd::{self, Arg, Command, Flags, Spec};

use crate::generate::{Choices, Generator};
use crate::resp::{Conn, Value};
use crate::server::{Home, Launch, Server};
use crate::sim::Rng;

/// Commands between two looks at all data.
const COMMANDS_A_LOOK: u64 = 40;
/// Clocks, and the moments at which a command comes, are so far apart at most.
const APART_S: i64 = 60;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How Ringstone is started.
    pub launch: Launch,
    /// The first seed.
    pub seed: u64,
    /// How many seeds.
    pub seeds: u64,
    /// Commands of each.
    pub commands: u64,
    /// RESP3.
    pub resp3: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// Commands sent.
    pub commands: u64,
    /// What differed, a line each.
    pub differences: Vec<String>,
}

/// How much of two replies has to agree.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Agreement {
    Whole,
    AnyOrder,
    Kind,
}

/// Runs all seeds.
pub fn run(options: &Options) -> Report {
    let homes = [Home::new(), Home::new()];
    let launches = [&Launch::redis(), &options.launch];
    let servers: Vec<Server> = launches
        .iter()
        .zip(&homes)
        .map(|(launch, home)| (*launch).clone().set("enable-debug-command", "yes").start(home))
        .collect();
    let mut conns = [servers[0].conn(), servers[1].conn()];
    let known = known_tokens(&mut conns[0]);
    let mut newer = BTreeSet::new();
    cmd::all().for_each(|command| add_tokens(command.spec.args, &mut newer));
    newer.retain(|token| !known.contains(*token));
    let mut pair = Pair { conns, newer, report: Report::default() };
    pair.both(&["HELLO", if options.resp3 { "3" } else { "2" }]);
    for seed in options.seed..options.seed + options.seeds {
        pair.both(&["SELECT", "0"]);
        pair.both(&["FLUSHALL"]);
        pair.seed(seed, options.commands);
    }
    pair.report
}

/// Redis 7.0 has it, and its outcome follows from what was sent.
fn is_wanted(spec: &Spec) -> bool {
    // DBSIZE counts what has expired until somebody comes by.
    let by_chance =
        ["spop", "sort", "sort_ro", "pfselftest", "memory|usage", "object|encoding", "dbsize"];
    let since = spec.since.split('.').map(|n| n.parse().unwrap_or(0));
    since.le([7, 0, u32::MAX])
        && !by_chance.contains(&spec.name)
        // In words of our own.
        && !spec.name.ends_with("|help")
}

/// The words of options that redis-server knows, of all commands.
fn known_tokens(conn: &mut Conn) -> BTreeSet<String> {
    fn collect(docs: &Value, into: &mut BTreeSet<String>) {
        let items = docs.items();
        for pair in items.windows(2).filter(|pair| pair[0].text() == "token") {
            into.insert(pair[1].text());
        }
        items.iter().for_each(|item| collect(item, into));
    }
    let mut tokens = BTreeSet::new();
    collect(&conn.call(&["COMMAND", "DOCS"]).expect("a reply"), &mut tokens);
    tokens
}

/// Adds the words of options of a row.
fn add_tokens(args: &[Arg], into: &mut BTreeSet<&'static str>) {
    for arg in args {
        into.extend(arg.token);
        add_tokens(arg.args, into);
    }
}

fn agreement(command: &Command) -> Agreement {
    match command.spec.tips {
        tips if tips.contains(&"nondeterministic_output") => Agreement::Kind,
        tips if tips.contains(&"nondeterministic_output_order") => Agreement::AnyOrder,
        _ => Agreement::Whole,
    }
}

/// A connection to each server.
struct Pair {
    conns: [Conn; 2],
    /// Options that redis-server does not have.
    newer: BTreeSet<&'static str>,
    report: Report,
}

impl Pair {
    fn seed(&mut self, seed: u64, commands: u64) {
        let (mut generator, mut rng) = (Generator::new(is_wanted), Rng::new(seed));
        for n in 1..=commands {
            let (command, words) = generator.command(&mut rng);
            // An id by the clock.
            let is_clock = |word: &Vec<u8>| word == b"*" || word.ends_with(b"-*");
            let is_newer =
                |word: &Vec<u8>| str::from_utf8(word).is_ok_and(|word| self.newer.contains(word));
            if words.iter().any(|word| is_clock(word) || is_newer(word)) {
                continue;
            }
            let waits = command.spec.flags.contains(Flags::BLOCKING);
            if waits {
                self.both(&["MULTI"]);
            }
            let mut replies = self.both(&words);
            if waits {
                replies = self.both(&["EXEC"]);
            }
            self.report.commands += 1;
            if command.spec.name == "dump"
                && let Value::Bulk(payload) = &replies[0]
            {
                generator.payload.clone_from(payload);
            }
            if !is_same(&replies[0], &replies[1], agreement(command)) {
                self.differ(seed, n, &words, &replies);
            }
            if n % COMMANDS_A_LOOK == 0 && !self.look(seed, n) {
                return;
            }
            if rng.one_in(50) {
                self.both(&["SELECT", if rng.one_in(3) { "1" } else { "0" }]);
            }
        }
    }

    fn both<A: AsRef<[u8]>>(&mut self, words: &[A]) -> [Value; 2] {
        let mut call = |at: usize| self.conns[at].call(words).expect("a reply");
        [call(0), call(1)]
    }

    /// False when the data differs.
    fn look(&mut self, seed: u64, n: u64) -> bool {
        // Keys that have expired go within a moment.
        for _ in 0..40 {
            let digests = self.both(&["DEBUG", "DIGEST"]);
            if digests[0] == digests[1] {
                return true;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        let mut keys = Vec::new();
        for key in self.both(&["KEYS", "*"]).iter().flat_map(|keys| keys.items().to_vec()) {
            let values = self.both(&["DEBUG", "DIGEST-VALUE", &key.text()]);
            if values[0] != values[1] && !keys.contains(&key.text()) {
                keys.push(key.text());
            }
        }
        let text = format!("seed {seed}, command {n}: the data differs, here in {keys:?}");
        self.report.differences.push(text);
        false
    }

    fn differ(&mut self, seed: u64, n: u64, words: &[Vec<u8>], replies: &[Value; 2]) {
        let line: String = words.join(&b' ').escape_ascii().to_string().chars().take(300).collect();
        let [redis, ours] = replies
            .each_ref()
            .map(|reply| format!("{reply:?}").chars().take(300).collect::<String>());
        let text = format!("seed {seed}, command {n}: {line}\n    redis {redis}\n    here  {ours}");
        self.report.differences.push(text);
    }
}

fn is_same(a: &Value, b: &Value, agreement: Agreement) -> bool {
    let kinds = std::mem::discriminant(a) == std::mem::discriminant(b);
    match (a, b) {
        (Value::Error(a), Value::Error(b)) => a == b,
        _ if agreement == Agreement::Kind => kinds || (!a.is_error() && !b.is_error()),
        (Value::Int(a), Value::Int(b)) => a == b || is_near(*a, *b),
        (Value::Bulk(_), Value::Bulk(_)) | (Value::Double(_), Value::Double(_)) => {
            a == b || is_same_number(&a.text(), &b.text())
        }
        _ if kinds && !a.items().is_empty() => {
            let (mut a, mut b) = (a.items().to_vec(), b.items().to_vec());
            if agreement == Agreement::AnyOrder {
                a.sort_by_key(|item| format!("{item:?}"));
                b.sort_by_key(|item| format!("{item:?}"));
            }
            a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| is_same(a, b, agreement))
        }
        _ => a == b,
    }
}

/// Redis 7.0 writes 17 digits of a double, Ringstone as many as it takes.
fn is_same_number(a: &str, b: &str) -> bool {
    matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if a == b)
}

/// Two moments, in seconds or milliseconds since 1970.
fn is_near(a: i64, b: i64) -> bool {
    let apart = a.saturating_sub(b).saturating_abs();
    (a > 1_000_000_000 && apart <= APART_S) || (a > 1_000_000_000_000 && apart <= APART_S * 1000)
}
