//! Clients that read and write the same few keys; what each saw is judged together, by [`super::check::linear`].
//!
//! Invariant: each has one operation under way. What is under way when the server ends has happened by then, or never will: so
//! every life of the server is judged by itself, from what the restart before found to what the one after finds.

use std::io;
use std::time::Duration;

use super::check::linear::{Call, Operation, Outcome, Verdict, check};
use super::oracle::{Fault, is_refusal};
use super::{Client, Random, Round};
use crate::resp::{Conn, Value};

/// Keys that all race for.
const KEYS: usize = 4;
/// Operations of one racer in one life of the server, so that a judgement stays short.
const OPERATIONS_MAX: usize = 6000;
/// Sets to the second argument what is the first.
const SWAP: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) return 1 end return 0";

/// All of them.
pub(super) struct Racers {
    racers: Vec<Racer>,
    /// What the last restart found.
    before: Vec<Option<u64>>,
    too_large: u64,
}

struct Racer {
    id: usize,
    random: Random,
    /// The last number that it set.
    number: u64,
    seen: Vec<Option<u64>>,
    operations: Vec<(usize, Operation)>,
    acked: u64,
    faults: Vec<Fault>,
}

fn key_name(key: usize) -> String {
    format!("race:{key}")
}

impl Racers {
    pub(super) fn new(count: usize, seed: u64) -> Racers {
        let mut random = Random::new(seed);
        let racer = |id| Racer {
            id,
            random: Random::new(random.next()),
            number: 0,
            seen: vec![None; KEYS],
            operations: Vec::new(),
            acked: 0,
            faults: Vec::new(),
        };
        let racers = (0..count).map(racer).collect();
        Racers { racers, before: vec![None; KEYS], too_large: 0 }
    }
}

impl Racer {
    fn race(&mut self, round: &Round) -> io::Result<()> {
        let mut conn = Conn::connect(round.port)?;
        while self.faults.is_empty() {
            if self.operations.len() >= OPERATIONS_MAX {
                // Only to see the end.
                std::thread::sleep(Duration::from_millis(5));
                conn.call(&["GET", "race:idle"])?;
                continue;
            }
            self.operate(&mut conn, round)?;
        }
        Ok(())
    }

    fn operate(&mut self, conn: &mut Conn, round: &Round) -> io::Result<()> {
        let key = usize::try_from(self.random.below(KEYS as u64)).unwrap_or(0);
        // No other racer sets these, and increments do not lead from one to the other.
        self.number += 1;
        let fresh = (self.number * 64 + self.id as u64) << 20;
        let call = match self.random.below(20) {
            0..=5 => Call::Set(fresh),
            6..=12 => Call::Get,
            13..=15 => Call::Incr,
            _ => Call::Swap(self.seen[key].unwrap_or(0), fresh),
        };
        let name = key_name(key);
        let words: Vec<String> = match call {
            Call::Set(value) => vec!["SET".into(), name, value.to_string()],
            Call::Get => vec!["GET".into(), name],
            Call::Incr => vec!["INCR".into(), name],
            Call::Swap(from, to) => {
                vec!["EVAL".into(), SWAP.into(), "1".into(), name, from.to_string(), to.to_string()]
            }
        };
        let operation = Operation { client: self.id, call, invoked: round.now(), returned: None };
        let at = self.operations.len();
        self.operations.push((key, operation));
        let reply = conn.call(&words)?;
        let now = round.now();
        if round.may_refuse && is_refusal(&reply) {
            self.operations.pop();
            return Ok(());
        }
        let number = |reply: &Value| reply.text().parse::<u64>().ok();
        let outcome = match (call, &reply) {
            (Call::Set(_), Value::Simple(_)) => Some(Outcome::Done),
            (Call::Get, Value::Null) => Some(Outcome::Value(None)),
            (Call::Get, Value::Bulk(_)) => number(&reply).map(|n| Outcome::Value(Some(n))),
            (Call::Incr, Value::Int(n)) => u64::try_from(*n).ok().map(|n| Outcome::Value(Some(n))),
            (Call::Swap(..), Value::Int(n)) => Some(Outcome::Swapped(*n == 1)),
            _ => None,
        };
        let Some(outcome) = outcome else {
            self.faults.push(Fault::WrongReply(format!("{call:?} answered {reply:?}")));
            return Ok(());
        };
        match (call, outcome) {
            (Call::Set(value) | Call::Swap(_, value), Outcome::Done | Outcome::Swapped(true)) => {
                self.seen[key] = Some(value);
            }
            (_, Outcome::Value(value)) => self.seen[key] = value,
            _ => {}
        }
        self.acked += u64::from(!matches!(call, Call::Get));
        self.operations[at].1.returned = Some((now, outcome));
        Ok(())
    }
}

impl Client for Racers {
    fn name(&self) -> String {
        "racers".to_owned()
    }

    fn load(&mut self, round: &Round) -> io::Result<()> {
        std::thread::scope(|scope| {
            let racers: Vec<_> =
                self.racers.iter_mut().map(|racer| scope.spawn(|| racer.race(round))).collect();
            racers.into_iter().try_for_each(|racer| racer.join().expect("a racer does not panic"))
        })
    }

    fn verify(&mut self, conn: &mut Conn) -> io::Result<(u64, Vec<Fault>)> {
        let mut faults = Vec::new();
        let mut after = Vec::new();
        for key in 0..KEYS {
            after.push(conn.call(&["GET", &key_name(key)])?.text().parse::<u64>().ok());
        }
        let mut checked = 0;
        for (key, found) in after.iter().enumerate() {
            let of = |racer: &Racer| {
                let all = racer.operations.iter().filter(|(k, _)| *k == key);
                all.map(|(_, operation)| *operation).collect::<Vec<_>>()
            };
            let operations: Vec<Operation> = self.racers.iter().flat_map(of).collect();
            checked += operations.len() as u64;
            match check(self.before[key], &operations, *found) {
                Verdict::Explained => {}
                Verdict::TooLarge => self.too_large += 1,
                Verdict::Violation(text) => {
                    let text = format!("{}: {text}", key_name(key));
                    faults.push(Fault::NotLinear(text));
                }
            }
        }
        for racer in &mut self.racers {
            racer.operations.clear();
            racer.seen.clone_from(&after);
        }
        self.before = after;
        Ok((checked, faults))
    }

    fn take_acked(&mut self) -> u64 {
        self.racers.iter_mut().map(|racer| std::mem::take(&mut racer.acked)).sum()
    }

    fn take_faults(&mut self) -> Vec<Fault> {
        self.racers.iter_mut().flat_map(|racer| std::mem::take(&mut racer.faults)).collect()
    }

    fn take_undecided(&mut self) -> u64 {
        std::mem::take(&mut self.too_large)
    }
}
