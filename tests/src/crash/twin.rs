//! A client that knows what its keys hold: it runs each command on a keyspace of its own as well.
//!
//! ```text
//!   generate::Generator ──> one to four commands: alone, in MULTI, in a script ──┬──> server: acknowledged, or not
//!                                                                                └──> keyspace: the state after each
//!   after a restart: DUMP of every key ──> the acknowledged state, or the one after what was in flight, whole
//! ```
//!
//! Invariant: one unit is in flight at a time, so that there are two states that may be found, and no third.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::time::{Duration, SystemTime};

use ringstone_engine::cmd::{Command, Flags, Scope, Spec};
use ringstone_engine::keyspace::Mode;
use ringstone_engine::reply::NoReply;
use ringstone_engine::serial::{digest, dump};
use ringstone_engine::types::ValueRef;
use ringstone_engine::{ArgBuf, Ctx, Error, Keyspace};

use super::oracle::{Fault, is_refusal};
use super::{Client, Round};
use crate::generate::{Generator, pair};
use crate::resp::{Conn, Value, encode_into};
use crate::sim::Rng;

/// Databases that the generator's commands name.
const DATABASES: usize = 3;
/// Runs what its arguments hold, each command behind its number of words; one that fails does not stop the others.
const SCRIPT: &str = "local at = 1 while ARGV[at] do local n = tonumber(ARGV[at]) \
    redis.pcall(unpack(ARGV, at + 1, at + n)) at = at + n + 1 end return redis.status_reply('OK')";
/// Expiries are the server's clock's business; these ones are equal.
const CLOCKS_APART_MS: u64 = 60_000;

/// How long to wait after a refusal.
const REST: Duration = Duration::from_millis(30);

/// Database and name.
type Key = (usize, Vec<u8>);
/// What is there.
type Content = BTreeMap<Key, Described>;

/// A value, and what its digest keeps silent about.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Described {
    digest: [u8; 20],
    /// Groups of a stream.
    groups: String,
    /// The key's expiry and those of a hash's fields.
    times_ms: Vec<i64>,
}

/// The client.
pub(super) struct Twin {
    prefix: String,
    generator: Generator,
    rng: Rng,
    keyspace: Keyspace,
    /// What was acknowledged, then the states after each command that is in flight.
    states: Vec<Content>,
    /// The last unit, in flight or acknowledged.
    unit: String,
    acked: u64,
    faults: Vec<Fault>,
}

/// What has the same outcome whoever runs it, and names all that it touches.
fn is_wanted(spec: &Spec) -> bool {
    let by_chance = ["spop", "sort", "restore"];
    spec.flags.contains(Flags::WRITE)
        && matches!(spec.scope, Scope::Keys)
        && !by_chance.contains(&spec.name)
}

impl Twin {
    pub(super) fn new(id: usize, seed: u64) -> Twin {
        Twin {
            prefix: format!("t{id}:"),
            generator: Generator::new(is_wanted),
            rng: Rng::new(seed),
            keyspace: Keyspace::new(DATABASES, seed),
            states: vec![Content::new()],
            unit: String::new(),
            acked: 0,
            faults: Vec::new(),
        }
    }

    /// Sends one unit and reads its replies.
    fn unit(&mut self, conn: &mut Conn, may_refuse: bool) -> io::Result<()> {
        let unit: Vec<_> = (0..1 + self.rng.index(4)).map(|_| self.command()).collect();
        let lines: Vec<String> = unit.iter().map(|(_, words)| shown(words)).collect();
        self.unit = lines.join("; ");
        let errors: Vec<bool> = unit.iter().map(|(c, words)| !self.apply(c, words)).collect();
        let mut bytes = Vec::new();
        // A script may not wait, not even for the time it takes to see that there is nothing.
        let waits = |command: &Command| {
            command.spec.flags.intersects(Flags::NOSCRIPT.union(Flags::BLOCKING))
        };
        // Nor would the script's answer tell of a refusal.
        let by_script =
            self.rng.percent(50) && !may_refuse && !unit.iter().any(|(command, _)| waits(command));
        let is_wrong = match (&unit[..], by_script) {
            ([(_, words)], _) => {
                encode_into(&mut bytes, words);
                conn.send_raw(&bytes)?;
                let reply = conn.read()?;
                if may_refuse && is_refusal(&reply) {
                    return self.refused(conn);
                }
                reply.is_error() != errors[0]
            }
            (unit, false) => {
                encode_into(&mut bytes, &["MULTI"]);
                unit.iter().for_each(|(_, words)| encode_into(&mut bytes, words));
                encode_into(&mut bytes, &["EXEC"]);
                conn.send_raw(&bytes)?;
                for _ in 0..=unit.len() {
                    conn.read()?;
                }
                let replies = conn.read()?;
                if may_refuse && is_refusal(&replies) {
                    return self.refused(conn);
                }
                replies.items().iter().map(Value::is_error).ne(errors.iter().copied())
            }
            (unit, true) => {
                encode_into(&mut bytes, &script(unit));
                conn.send_raw(&bytes)?;
                conn.read()?.is_error()
            }
        };
        if is_wrong {
            self.faults.push(Fault::WrongReply(format!("answered otherwise: {}", self.unit)));
        }
        self.acked += 1;
        self.states.drain(..self.states.len() - 1);
        Ok(())
    }

    /// The unit was refused: looks whether all is as before, and goes on from there.
    fn refused(&mut self, conn: &mut Conn) -> io::Result<()> {
        self.states.truncate(1);
        self.unit.insert_str(0, "(refused) ");
        let (_, faults) = self.verify(conn)?;
        self.faults.extend(faults);
        std::thread::sleep(REST);
        Ok(())
    }

    /// The next command, on keys of this client.
    fn command(&mut self) -> (&'static Command, Vec<Vec<u8>>) {
        loop {
            let (command, mut words) = self.generator.command(&mut self.rng);
            let args = ArgBuf::from_parts(&words);
            let fits = command.spec.arity_fits(words.len());
            let Ok(keys) = command.spec.key_positions(args.as_args()) else { continue };
            // Ids by the clock differ.
            if !fits || keys.is_empty() || words.iter().any(|word| word == b"*") {
                continue;
            }
            for at in keys {
                words[at].splice(..0, self.prefix.bytes());
            }
            // A word too many made a key of what is none.
            let is_foreign =
                |word: &Vec<u8>| word.contains(&b':') && !word.starts_with(self.prefix.as_bytes());
            if !words.iter().any(is_foreign) {
                return (command, words);
            }
        }
    }

    /// Runs a command on the own keyspace and notes the state after it; false when it failed.
    fn apply(&mut self, command: &Command, words: &[Vec<u8>]) -> bool {
        let (now_ms, args) = (now_ms(), ArgBuf::from_parts(words));
        let mut sink = NoReply::default();
        let db = self.keyspace.db(0, now_ms, Mode::Live);
        let ran = (command.run)(&mut Ctx { db, reply: &mut sink }, args.as_args());
        self.keyspace.effects.clear();
        let mut state = self.states.last().cloned().unwrap_or_default();
        let keys = command.spec.key_positions(args.as_args()).unwrap_or_default();
        for (at, db) in keys.iter().flat_map(|at| (0..DATABASES).map(move |db| (*at, db))) {
            let mut db_then = self.keyspace.db(db, 0, Mode::Replay);
            let entry = db_then.peek(&words[at]);
            let entry = entry.filter(|e| is_alive(e.expire_at_ms(), now_ms));
            let described = entry.map(|e| described(e.value(), e.expire_at_ms()));
            let key = (db, words[at].clone());
            match described {
                Some(described) => drop(state.insert(key, described)),
                None => drop(state.remove(&key)),
            }
        }
        self.states.push(state);
        // Nobody else writes these keys: who waits for them waits in vain.
        sink.error.is_none() && matches!(ran, Ok(()) | Err(Error::WouldBlock(_)))
    }

    /// What differs from the acknowledged state.
    fn difference(&self, found: &Content) -> String {
        let mut text = format!("{} after `{}`:", self.prefix, self.unit);
        let (acked, last) = (&self.states[0], &self.states[self.states.len() - 1]);
        let is_other = |key: &&Key| !is_near(acked.get(*key), found.get(*key));
        let keys: BTreeSet<&Key> = acked.keys().chain(found.keys()).filter(is_other).collect();
        for key in keys.into_iter().take(4) {
            let name = shown(std::slice::from_ref(&key.1));
            let (was, is, sent) = (acked.get(key), found.get(key), last.get(key));
            let _ = write!(text, " {}/{name}: {was:?}, found {is:?}, in flight {sent:?};", key.0);
        }
        text
    }
}

impl Client for Twin {
    fn name(&self) -> String {
        self.prefix.clone()
    }

    fn take_acked(&mut self) -> u64 {
        std::mem::take(&mut self.acked)
    }

    fn take_faults(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.faults)
    }

    fn load(&mut self, round: &Round) -> io::Result<()> {
        let conn = &mut Conn::connect(round.port)?;
        while self.faults.is_empty() {
            self.unit(conn, round.may_refuse)?;
        }
        Ok(())
    }

    fn verify(&mut self, conn: &mut Conn) -> io::Result<(u64, Vec<Fault>)> {
        let mut found = Keyspace::new(DATABASES, 1);
        for db in 0..DATABASES {
            conn.call(&["SELECT", &db.to_string()])?;
            let keys = conn.call(&["KEYS", &format!("{}*", self.prefix)])?;
            let keys: Vec<&Vec<u8>> = keys.items().iter().filter_map(Value::bytes).collect();
            let asks = keys.iter().flat_map(|key| {
                [vec![b"DUMP".to_vec(), key.to_vec()], vec![b"PEXPIRETIME".to_vec(), key.to_vec()]]
            });
            let replies = conn.pipeline(&asks.collect::<Vec<_>>())?;
            for (key, replies) in keys.into_iter().zip(replies.chunks(2)) {
                let expire = replies[1].int().filter(|at| *at >= 0);
                let Value::Bulk(payload) = &replies[0] else { continue };
                let value = dump::restore_payload(payload, &found.limits).map_err(|e| {
                    io::Error::other(format!("{}: {e}", shown(std::slice::from_ref(key))))
                })?;
                found.db(db, 0, Mode::Replay).set(key, value, expire);
            }
        }
        conn.call(&["SELECT", "0"])?;
        let content = content(&mut found);
        let is_state = |state: &Content| is_same(state, &content);
        let (acked, sent) = (&self.states[0], &self.states[self.states.len() - 1]);
        let faults = match self.states.iter().position(is_state) {
            _ if is_state(acked) || is_state(sent) => Vec::new(),
            Some(at) => {
                let of = self.states.len() - 1;
                vec![Fault::Torn(format!("{} {at} of {of} commands: {}", self.prefix, self.unit))]
            }
            None => vec![Fault::Lost(self.difference(&content))],
        };
        let checked = content.len() as u64;
        (self.keyspace, self.states) = (found, vec![content]);
        Ok((checked, faults))
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(0)
}

fn shown(words: &[Vec<u8>]) -> String {
    words.join(&b' ').escape_ascii().to_string().chars().take(200).collect()
}

/// The words of an EVAL that runs a unit.
fn script(unit: &[(&'static Command, Vec<Vec<u8>>)]) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    let mut words = Vec::new();
    for (command, line) in unit {
        let args = ArgBuf::from_parts(line);
        let at = command.spec.key_positions(args.as_args()).unwrap_or_default();
        keys.extend(at.iter().map(|at| line[*at].clone()));
        words.push(line.len().to_string().into_bytes());
        words.extend(line.iter().cloned());
    }
    let head = [b"EVAL".to_vec(), SCRIPT.into(), keys.len().to_string().into_bytes()];
    head.into_iter().chain(keys).chain(words).collect()
}

/// Whether a key is still there for anybody. One that was stored with a time that has passed stays until somebody meets it, and
/// nobody can tell whether the server has.
fn is_alive(expire_at_ms: Option<i64>, now_ms: i64) -> bool {
    expire_at_ms.is_none_or(|at| at > now_ms)
}

fn content(keyspace: &mut Keyspace) -> Content {
    let (mut all, now_ms) = (Content::new(), now_ms());
    for db in 0..DATABASES {
        keyspace.db(db, 0, Mode::Replay).for_each(&mut |entry| {
            if !is_alive(entry.expire_at_ms(), now_ms) {
                return;
            }
            let described = described(entry.value(), entry.expire_at_ms());
            all.insert((db, entry.key().to_vec()), described);
        });
    }
    all
}

fn described(value: ValueRef<'_>, expire_at_ms: Option<i64>) -> Described {
    let groups =
        if let ValueRef::Stream(stream) = value { pair::groups(stream) } else { String::new() };
    let mut times_ms =
        if let ValueRef::Hash(hash) = value { pair::times(hash) } else { Vec::new() };
    times_ms.extend(expire_at_ms);
    Described { digest: digest::value_digest(value, expire_at_ms.is_some()), groups, times_ms }
}

fn is_same(a: &Content, b: &Content) -> bool {
    a.len() == b.len() && a.iter().all(|(key, value)| is_near(Some(value), b.get(key)))
}

fn is_near(a: Option<&Described>, b: Option<&Described>) -> bool {
    let near = |a: &[i64], b: &[i64]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) < CLOCKS_APART_MS)
    };
    match (a, b) {
        (Some(a), Some(b)) => {
            a.digest == b.digest && a.groups == b.groups && near(&a.times_ms, &b.times_ms)
        }
        (a, b) => a.is_none() && b.is_none(),
    }
}
