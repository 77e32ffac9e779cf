//! Clients that write while the disk is recorded, and how their keys are read after a cut.
//!
//! Invariant: a key belongs to one client of one life of the server; in the next life it is only read.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use super::history::{Clock, Key, Kind};
use crate::crash::Random;
use crate::crash::oracle::{Fault, all_equal, consecutive, number_of, value_of};
use crate::resp::{Conn, Value, encode_into};

const SINGLES: usize = 12;
const COUNTERS: usize = 2;
const GROUPS: usize = 3;
/// Keys of a group; their slots, and so their shards, differ.
const GROUP_KEYS: usize = 4;
/// Elements after which another list is begun.
const LIST_LEN_MAX: u64 = 200;
/// Commands that are sent without waiting for a reply.
const PIPELINE_MAX: u64 = 16;
const SCRIPT: &str = "for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1]) end return redis.status_reply('OK')";

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    name: String,
    random: Random,
    number: u64,
    pub(super) keys: Vec<Key>,
    pub(super) faults: Vec<Fault>,
}

struct Sent {
    key: usize,
    write: usize,
    /// Replies before the one that acknowledges.
    queued: usize,
}

impl Client {
    pub(super) fn new(name: &str, seed: u64) -> Client {
        let key = |kind: Kind, n: usize| Key::new(format!("{name}:{kind:?}:{n}"), kind);
        let mut keys: Vec<Key> = (0..SINGLES).map(|n| key(Kind::Single, n)).collect();
        keys.extend((0..COUNTERS).map(|n| key(Kind::Counter, n)));
        keys.extend((0..GROUPS).map(|n| key(Kind::Group, n)));
        keys.push(key(Kind::List, 0));
        let random = Random::new(seed);
        Client { name: name.to_owned(), random, number: 0, keys, faults: Vec::new() }
    }

    /// Writes until told to stop, or until the server is gone.
    pub(super) fn load(&mut self, port: u16, clock: &Clock, stop: &AtomicBool, pace: Pace) {
        let broken = Conn::connect(port).and_then(|mut conn| {
            while !stop.load(Ordering::SeqCst) && self.faults.is_empty() {
                self.pipeline(&mut conn, clock)?;
                pace.wait();
            }
            Ok(())
        });
        if let Err(e) = broken
            && !stop.load(Ordering::SeqCst)
        {
            let text = format!("{}: the connection broke under load: {e}", self.name);
            self.faults.push(Fault::WrongReply(text));
        }
    }

    fn pipeline(&mut self, conn: &mut Conn, clock: &Clock) -> io::Result<()> {
        let mut bytes = Vec::new();
        let depth = 1 + self.random.below(PIPELINE_MAX);
        let sent: Vec<Sent> = (0..depth).map(|_| self.send(&mut bytes, clock)).collect();
        let written = conn.send_raw(&bytes);
        for sent in sent {
            for _ in 0..sent.queued {
                conn.read()?;
            }
            let reply = conn.read()?;
            if reply.is_error() {
                let text = format!("{}: {reply:?}", self.keys[sent.key].name);
                self.faults.push(Fault::WrongReply(text));
            } else {
                self.keys[sent.key].acked(sent.write, clock.now());
            }
        }
        written
    }

    fn send(&mut self, out: &mut Vec<u8>, clock: &Clock) -> Sent {
        let at = usize::try_from(self.random.below(self.keys.len() as u64)).unwrap_or(0);
        let last = self.keys[at].last();
        let key = match self.keys[at].kind {
            Kind::List if last.is_some_and(|len| len >= LIST_LEN_MAX) => {
                // The full one stays, to be read.
                let name = format!("{}:List:{}", self.name, self.keys.len());
                self.keys.push(Key::new(name, Kind::List));
                self.keys.len() - 1
            }
            _ => at,
        };
        let (name, kind) = (self.keys[key].name.clone(), self.keys[key].kind);
        let mut queued = 0;
        let state = match kind {
            Kind::Single if self.random.one_in(8) => {
                encode_into(out, &["DEL", &name]);
                None
            }
            Kind::Single => {
                let number = self.next_number();
                encode_into(out, &[b"SET", name.as_bytes(), &value_of(number)]);
                Some(number)
            }
            Kind::Counter => {
                encode_into(out, &["INCR", &name]);
                Some(self.keys[key].last().unwrap_or(0) + 1)
            }
            Kind::List => {
                let len = self.keys[key].last().unwrap_or(0) + 1;
                encode_into(out, &["RPUSH", &name, &len.to_string()]);
                Some(len)
            }
            Kind::Group => {
                let number = self.next_number();
                queued = self.send_group(out, &name, &value_of(number));
                Some(number)
            }
        };
        let write = self.keys[key].sent(state, clock.now());
        Sent { key, write, queued }
    }

    /// Writes a group in one of three ways; the replies before the last.
    fn send_group(&mut self, out: &mut Vec<u8>, name: &str, value: &[u8]) -> usize {
        let keys = members(name);
        match self.random.below(3) {
            0 => {
                let pairs = keys.iter().flat_map(|key| [key.as_bytes(), value]);
                let args: Vec<&[u8]> = [&b"MSET"[..]].into_iter().chain(pairs).collect();
                encode_into(out, &args);
                0
            }
            1 => {
                encode_into(out, &["MULTI"]);
                keys.iter().for_each(|key| encode_into(out, &[b"SET", key.as_bytes(), value]));
                encode_into(out, &["EXEC"]);
                1 + keys.len()
            }
            _ => {
                let count = keys.len().to_string();
                let mut args = vec![&b"EVAL"[..], SCRIPT.as_bytes(), count.as_bytes()];
                args.extend(keys.iter().map(String::as_bytes));
                args.push(value);
                encode_into(out, &args);
                0
            }
        }
    }

    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }
}

/// How fast a client goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// As fast as it is answered.
    Full,
    /// With a break after each pipeline, so that a small disk holds what is written.
    Slow,
}

impl Pace {
    fn wait(self) {
        if matches!(self, Pace::Slow) {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}

fn members(group: &str) -> Vec<String> {
    (0..GROUP_KEYS).map(|n| format!("{group}:{n}")).collect()
}

/// Reads all keys; what is torn or was never written is among the faults, and counts as what is not there.
pub(super) fn read(conn: &mut Conn, keys: &[&Key]) -> io::Result<(Vec<Option<u64>>, Vec<Fault>)> {
    let commands: Vec<Vec<String>> = keys
        .iter()
        .map(|key| match key.kind {
            Kind::Single | Kind::Counter => vec!["GET".into(), key.name.clone()],
            Kind::List => vec!["LRANGE".into(), key.name.clone(), "0".into(), "-1".into()],
            Kind::Group => [vec!["MGET".into()], members(&key.name)].concat(),
        })
        .collect();
    let mut faults = Vec::new();
    let replies = conn.pipeline(&commands)?;
    let found = keys.iter().zip(&replies).map(|(key, reply)| {
        let state = match key.kind {
            Kind::Single => number(&key.name, reply),
            Kind::Counter => Ok(reply.text().parse().ok()),
            Kind::Group => {
                let values: Result<Vec<_>, Fault> =
                    reply.items().iter().map(|value| number(&key.name, value)).collect();
                values.and_then(|values| match values.len() {
                    GROUP_KEYS => all_equal(&key.name, &values),
                    _ => Err(Fault::WrongReply(format!("{}: {reply:?}", key.name))),
                })
            }
            Kind::List => {
                let items: Vec<String> = reply.items().iter().map(Value::text).collect();
                consecutive(&key.name, &items).map(|len| (len > 0).then_some(len))
            }
        };
        state.unwrap_or_else(|fault| {
            faults.push(fault);
            None
        })
    });
    let found = found.collect();
    Ok((found, faults))
}

fn number(name: &str, value: &Value) -> Result<Option<u64>, Fault> {
    match value {
        Value::Null => Ok(None),
        Value::Bulk(bytes) => number_of(name, bytes).map(Some),
        other => Err(Fault::WrongReply(format!("{name}: {other:?}"))),
    }
}
