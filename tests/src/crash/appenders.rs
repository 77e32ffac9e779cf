//! Clients whose transactions append to the same lists and read them, in MULTI and in scripts; judged together, by
//! [`super::check::appends`].
//!
//! Invariant: a value is appended once and never again. Lists are begun anew with every life of the server, and those of the life
//! before are looked at once more, so that a second restart changes nothing.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::check::appends::{Anomaly, Step, Transaction, check};
use super::oracle::{Fault, is_refusal};
use super::{Client, Random, Round};
use crate::resp::{Conn, Value};

/// Lists of a life.
const LISTS: usize = 6;
/// Transactions of all appenders in one life: lists are read whole.
const TRANSACTIONS_MAX: usize = 1500;
/// Runs pairs: a list and what to append, or `-` to read it.
const SCRIPT: &str = "local out = {} for at, key in ipairs(KEYS) do if ARGV[at] == '-' then out[at] = redis.call('LRANGE', key, 0, -1) \
    else out[at] = redis.call('RPUSH', key, ARGV[at]) end end return out";

/// All of them.
pub(super) struct Appenders {
    appenders: Vec<Appender>,
    life: u64,
    begun: AtomicUsize,
    /// The lists as they were found when their life had ended.
    before: BTreeMap<usize, Vec<u64>>,
}

struct Appender {
    id: u64,
    random: Random,
    number: u64,
    transactions: Vec<Transaction>,
    acked: u64,
    faults: Vec<Fault>,
}

fn list_name(life: u64, list: usize) -> String {
    format!("append:{life}:{list}")
}

fn numbers(reply: &Value) -> Option<Vec<u64>> {
    match reply {
        Value::Array(items) => items.iter().map(|item| item.text().parse().ok()).collect(),
        _ => None,
    }
}

impl Appenders {
    pub(super) fn new(count: usize, seed: u64) -> Appenders {
        let mut random = Random::new(seed);
        let appender = |id| Appender {
            id: id as u64,
            random: Random::new(random.next()),
            number: 0,
            transactions: Vec::new(),
            acked: 0,
            faults: Vec::new(),
        };
        let appenders = (0..count).map(appender).collect();
        Appenders { appenders, life: 1, begun: AtomicUsize::new(0), before: BTreeMap::new() }
    }

    fn read(conn: &mut Conn, life: u64) -> io::Result<Result<BTreeMap<usize, Vec<u64>>, Fault>> {
        let mut lists = BTreeMap::new();
        for list in 0..LISTS {
            let reply = conn.call(&["LRANGE", &list_name(life, list), "0", "-1"])?;
            let Some(values) = numbers(&reply) else {
                let name = list_name(life, list);
                return Ok(Err(Fault::Invented(format!("{name}: {reply:?}"))));
            };
            lists.insert(list, values);
        }
        Ok(Ok(lists))
    }
}

impl Appender {
    fn append(&mut self, round: &Round, life: u64, begun: &AtomicUsize) -> io::Result<()> {
        let mut conn = Conn::connect(round.port)?;
        while self.faults.is_empty() {
            if begun.fetch_add(1, Ordering::Relaxed) >= TRANSACTIONS_MAX {
                // Only to see the end.
                std::thread::sleep(Duration::from_millis(5));
                conn.call(&["EXISTS", "append:idle"])?;
                continue;
            }
            self.transaction(&mut conn, round, life)?;
        }
        Ok(())
    }

    fn transaction(&mut self, conn: &mut Conn, round: &Round, life: u64) -> io::Result<()> {
        let mut steps = Vec::new();
        for _ in 0..1 + self.random.below(4) {
            let list = usize::try_from(self.random.below(LISTS as u64)).unwrap_or(0);
            if self.random.below(10) < 6 {
                self.number += 1;
                steps.push(Step::Append(list, self.number << 8 | self.id));
            } else {
                steps.push(Step::Read(list, Vec::new()));
            }
        }
        let by_script = self.random.one_in(2);
        let invoked = round.now();
        let transaction = Transaction { invoked, returned: None, steps: steps.clone() };
        // Should the server end now: what it would have read is not known.
        let at = self.transactions.len();
        self.transactions.push(transaction);
        self.transactions[at].steps.retain(|step| matches!(step, Step::Append(..)));
        let reply = if by_script {
            conn.call(&script(life, &steps))?
        } else {
            in_multi(conn, life, &steps)?
        };
        let returned = Some(round.now());
        if round.may_refuse && is_refusal(&reply) {
            self.transactions.pop();
            return Ok(());
        }
        let replies = reply.items();
        let mut is_right = replies.len() == steps.len();
        for (step, reply) in steps.iter_mut().zip(replies) {
            match step {
                Step::Append(..) => is_right &= reply.int().is_some(),
                Step::Read(_, seen) => match numbers(reply) {
                    Some(found) => *seen = found,
                    None => is_right = false,
                },
            }
        }
        if !is_right {
            self.faults.push(Fault::WrongReply(format!("{steps:?} answered {reply:?}")));
        }
        self.acked += 1;
        self.transactions[at] = Transaction { invoked, returned, steps };
        Ok(())
    }
}

/// The words of an EVAL.
fn script(life: u64, steps: &[Step]) -> Vec<String> {
    let mut words = vec!["EVAL".to_owned(), SCRIPT.to_owned(), steps.len().to_string()];
    words.extend(steps.iter().map(|step| {
        let (Step::Append(list, _) | Step::Read(list, _)) = step;
        list_name(life, *list)
    }));
    words.extend(steps.iter().map(|step| match step {
        Step::Append(_, value) => value.to_string(),
        Step::Read(..) => "-".to_owned(),
    }));
    words
}

/// The reply to EXEC.
fn in_multi(conn: &mut Conn, life: u64, steps: &[Step]) -> io::Result<Value> {
    let mut commands = vec![vec!["MULTI".to_owned()]];
    commands.extend(steps.iter().map(|step| match step {
        Step::Append(list, value) => {
            vec!["RPUSH".to_owned(), list_name(life, *list), value.to_string()]
        }
        Step::Read(list, _) => {
            vec!["LRANGE".into(), list_name(life, *list), "0".into(), "-1".into()]
        }
    }));
    commands.push(vec!["EXEC".to_owned()]);
    Ok(conn.pipeline(&commands)?.pop().unwrap_or(Value::Null))
}

impl Client for Appenders {
    fn name(&self) -> String {
        "appenders".to_owned()
    }

    fn load(&mut self, round: &Round) -> io::Result<()> {
        let (life, begun) = (self.life, &self.begun);
        std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .appenders
                .iter_mut()
                .map(|appender| scope.spawn(move || appender.append(round, life, begun)))
                .collect();
            threads.into_iter().try_for_each(|t| t.join().expect("an appender does not panic"))
        })
    }

    fn verify(&mut self, conn: &mut Conn) -> io::Result<(u64, Vec<Fault>)> {
        let mut faults = Vec::new();
        let (former, now) =
            (Appenders::read(conn, self.life - 1)?, Appenders::read(conn, self.life)?);
        let (former, now) = match (former, now) {
            (Ok(former), Ok(now)) => (former, now),
            (Err(fault), _) | (_, Err(fault)) => return Ok((0, vec![fault])),
        };
        if !self.before.is_empty() && former != self.before {
            let text = format!("lists of life {} changed with a further restart", self.life - 1);
            faults.push(Fault::Lost(text));
        }
        let all: Vec<Transaction> =
            self.appenders.iter().flat_map(|appender| appender.transactions.clone()).collect();
        faults.extend(check(&all, &now).into_iter().map(|anomaly| {
            let text = anomaly.text().chars().take(1500).collect();
            match anomaly {
                Anomaly::Lost(_) => Fault::Lost(text),
                Anomaly::Torn(_) => Fault::Torn(text),
                Anomaly::Invented(_) | Anomaly::Duplicated(_) => Fault::Invented(text),
                Anomaly::Diverged(_) | Anomaly::Cyclic(_) => Fault::NotSerial(text),
            }
        }));
        let done_with = self.life - 1;
        self.before = now;
        self.life += 1;
        self.begun.store(0, Ordering::Relaxed);
        self.appenders.iter_mut().for_each(|appender| appender.transactions.clear());
        for list in 0..LISTS {
            conn.call(&["DEL", &list_name(done_with, list)])?;
        }
        Ok((all.len() as u64, faults))
    }

    fn take_acked(&mut self) -> u64 {
        self.appenders.iter_mut().map(|appender| std::mem::take(&mut appender.acked)).sum()
    }

    fn take_faults(&mut self) -> Vec<Fault> {
        self.appenders.iter_mut().flat_map(|one| std::mem::take(&mut one.faults)).collect()
    }
}
