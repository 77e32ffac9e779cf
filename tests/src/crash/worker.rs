//! One client of the crash loop: pipelines writes to its own keys, notes what was acknowledged, verifies after a restart.

use std::io;

use super::oracle::{Counter, Fault, Pushes, Register, all_equal, is_refusal, number_of, value_of};
use super::{Client, Random, Round};
use crate::resp::{Conn, Value, encode_into};

/// Single keys of each client.
const REGISTERS: usize = 24;
/// Counters of each client.
const COUNTERS: usize = 4;
/// A script that writes a group.
const SCRIPT: &str = "for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1]) end return redis.status_reply('OK')";
/// Groups of keys that are written by one MSET, one transaction or one script.
const GROUPS: usize = 3;
/// Keys of a group, spread over the hash slots.
const GROUP_KEYS: usize = 4;
/// Elements after which a list is dropped and begun anew.
const LIST_LEN_MAX: u64 = 1500;
/// The group that all clients write.
const SHARED: [&str; 3] = ["shared:a", "shared:b", "shared:c"];

/// A client.
#[derive(Debug)]
pub(super) struct Worker {
    id: usize,
    random: Random,
    /// The last number that went into a value; no two writes of a client carry the same.
    number: u64,
    registers: Vec<Register>,
    counters: Vec<Counter>,
    groups: Vec<Register>,
    list: Pushes,
    /// The list's key, which changes when it is begun anew.
    list_generation: u64,
    dropped: Option<Register>,
    acked: u64,
    faults: Vec<Fault>,
}

/// A write that is on its way, and what its replies must be.
enum Sent {
    Register(usize, usize, &'static str),
    Group(usize, usize),
    /// A transaction's MULTI, queued commands, then EXEC that acknowledges.
    Transaction(usize, usize),
    Counter(usize),
    /// The list's generation.
    List(u64),
    Dropped(usize),
    Shared,
    ReadShared,
}

impl Worker {
    pub(super) fn new(id: usize, seed: u64) -> Worker {
        let name = |kind: &str, n: usize| format!("c{id}:{kind}:{n}");
        Worker {
            id,
            random: Random::new(seed),
            number: 0,
            registers: (0..REGISTERS).map(|n| Register::new(name("key", n))).collect(),
            counters: (0..COUNTERS).map(|n| Counter::new(name("counter", n))).collect(),
            groups: (0..GROUPS).map(|n| Register::new(name("group", n))).collect(),
            list: Pushes::new(name("list", 0)),
            list_generation: 0,
            dropped: None,
            acked: 0,
            faults: Vec::new(),
        }
    }

    fn send(&mut self, out: &mut Vec<u8>) -> Sent {
        let pick =
            |random: &mut Random, n: usize| usize::try_from(random.below(n as u64)).unwrap_or(0);
        match self.random.below(20) {
            0..=7 => {
                let at = pick(&mut self.random, REGISTERS);
                let number = self.next_number();
                let write = self.registers[at].attempt(Some(number));
                encode_into(
                    out,
                    &[b"SET", self.registers[at].name().as_bytes(), &value_of(number)],
                );
                Sent::Register(at, write, "OK")
            }
            8 => {
                let at = pick(&mut self.random, REGISTERS);
                let write = self.registers[at].attempt(None);
                encode_into(out, &["DEL", self.registers[at].name()]);
                Sent::Register(at, write, "")
            }
            9..=11 => {
                let at = pick(&mut self.random, COUNTERS);
                encode_into(out, &["INCR", self.counters[at].name()]);
                self.counters[at].attempt();
                Sent::Counter(at)
            }
            12..=14 => self.send_push(out),
            16 => {
                let at = pick(&mut self.random, GROUPS);
                let number = self.next_number();
                let write = self.groups[at].attempt(Some(number));
                let keys = GROUP_KEYS.to_string();
                let mut args = vec![b"EVAL".to_vec(), SCRIPT.into(), keys.into_bytes()];
                args.extend(group_keys(self.groups[at].name()).map(String::into_bytes));
                args.push(value_of(number));
                encode_into(out, &args);
                Sent::Group(at, write)
            }
            17 => {
                let at = pick(&mut self.random, GROUPS);
                let number = self.next_number();
                let write = self.groups[at].attempt(Some(number));
                encode_into(out, &["MULTI"]);
                for key in group_keys(self.groups[at].name()) {
                    encode_into(out, &[b"SET", key.as_bytes(), &value_of(number)]);
                }
                encode_into(out, &["EXEC"]);
                Sent::Transaction(at, write)
            }
            15 => {
                let at = pick(&mut self.random, GROUPS);
                let number = self.next_number();
                let write = self.groups[at].attempt(Some(number));
                let mut args = vec![b"MSET".to_vec()];
                for key in group_keys(self.groups[at].name()) {
                    args.extend([key.into_bytes(), value_of(number)]);
                }
                encode_into(out, &args);
                Sent::Group(at, write)
            }
            18 => {
                let number = self.next_number();
                let value = format!("{}.{number}", self.id);
                let args: Vec<&str> = SHARED.iter().flat_map(|key| [*key, &value]).collect();
                encode_into(out, &[&["MSET"], &args[..]].concat());
                Sent::Shared
            }
            _ => {
                encode_into(out, &[&["MGET"], &SHARED[..]].concat());
                Sent::ReadShared
            }
        }
    }

    fn send_push(&mut self, out: &mut Vec<u8>) -> Sent {
        let full = self.list.last() >= LIST_LEN_MAX;
        if full && self.dropped.is_none() {
            // The old list becomes a key that is being deleted; state 0 stands for "some list".
            let mut dropped = Register::new(self.list.name().to_owned());
            let there = dropped.attempt(Some(0));
            dropped.ack(there);
            let write = dropped.attempt(None);
            encode_into(out, &["DEL", dropped.name()]);
            self.dropped = Some(dropped);
            self.list_generation += 1;
            self.list = Pushes::new(format!("c{}:list:{}", self.id, self.list_generation));
            return Sent::Dropped(write);
        }
        let value = self.list.attempt();
        encode_into(out, &["RPUSH", self.list.name(), &value.to_string()]);
        Sent::List(self.list_generation)
    }

    fn receive(&mut self, conn: &mut Conn, sent: &Sent, may_refuse: bool) -> io::Result<()> {
        let mut reply = conn.read()?;
        if matches!(sent, Sent::Transaction(..)) {
            for _ in 0..=GROUP_KEYS {
                let is_fine = !reply.is_error() || may_refuse && is_refusal(&reply);
                self.expect(is_fine, "a queued command", &reply);
                reply = conn.read()?;
            }
        }
        if may_refuse && is_refusal(&reply) {
            self.refused(sent);
            return Ok(());
        }
        if matches!(sent, Sent::ReadShared) {
            self.expect(!reply.is_error(), "MGET", &reply);
            if reply.items().len() == SHARED.len()
                && let Err(fault) = all_equal("MGET of the shared group", reply.items())
            {
                self.faults.push(fault);
            }
            return Ok(());
        }
        self.expect(!reply.is_error(), "a write", &reply);
        if reply.is_error() {
            return Ok(());
        }
        self.acked += 1;
        match *sent {
            Sent::Register(at, write, text) => {
                self.registers[at].ack(write);
                self.expect(text.is_empty() || reply.text() == text, "SET", &reply);
            }
            Sent::Group(at, write) => self.groups[at].ack(write),
            Sent::Transaction(at, write) => {
                self.groups[at].ack(write);
                self.expect(reply.items().len() == GROUP_KEYS, "EXEC", &reply);
            }
            Sent::Counter(at) => {
                let value = self.counters[at].ack();
                self.expect(reply.int() == i64::try_from(value).ok(), "INCR", &reply);
            }
            // A list that was dropped in the meantime has no acknowledgement to keep.
            Sent::List(generation) if generation == self.list_generation => {
                let len = self.list.ack();
                self.expect(reply.int() == i64::try_from(len).ok(), "RPUSH", &reply);
            }
            Sent::List(_) => self.expect(reply.int().is_some(), "RPUSH", &reply),
            Sent::Dropped(write) => {
                self.dropped.iter_mut().for_each(|d| d.ack(write));
            }
            Sent::Shared | Sent::ReadShared => {}
        }
        Ok(())
    }

    /// Nothing of it was executed.
    fn refused(&mut self, sent: &Sent) {
        match *sent {
            Sent::Register(at, write, _) => self.registers[at].refuse(write),
            Sent::Group(at, write) | Sent::Transaction(at, write) => self.groups[at].refuse(write),
            Sent::Counter(at) => self.counters[at].refuse(),
            Sent::List(generation) if generation == self.list_generation => self.list.refuse(),
            Sent::Dropped(write) => self.dropped.iter_mut().for_each(|d| d.refuse(write)),
            Sent::List(_) | Sent::Shared | Sent::ReadShared => {}
        }
    }

    fn expect(&mut self, right: bool, what: &str, reply: &Value) {
        if !right {
            let text = format!("client {}: {what} answered {reply:?}", self.id);
            self.faults.push(Fault::WrongReply(text));
        }
    }

    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }
}

impl Client for Worker {
    fn name(&self) -> String {
        format!("client {}", self.id)
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
            let mut bytes = Vec::new();
            let depth = 1 + self.random.below(32);
            let sent: Vec<Sent> = (0..depth).map(|_| self.send(&mut bytes)).collect();
            if round.may_refuse {
                // It may have been begun anew.
                self.list.allow_gaps();
            }
            let written = conn.send_raw(&bytes);
            // Replies that left before the kill are acknowledgements, even when a later write failed.
            for sent in sent {
                self.receive(conn, &sent, round.may_refuse)?;
            }
            written?;
        }
        Ok(())
    }

    fn verify(&mut self, conn: &mut Conn) -> io::Result<(u64, Vec<Fault>)> {
        let mut faults = Vec::new();
        let mut note = |result: Result<(), Fault>| faults.extend(result.err());
        let names: Vec<&str> = self.registers.iter().map(Register::name).collect();
        let found = get_all(conn, &names)?;
        for (register, found) in self.registers.iter_mut().zip(found) {
            note(found.and_then(|found| register.settle(found)));
        }
        let gets: Vec<_> = self.counters.iter().map(|c| vec!["GET", c.name()]).collect();
        let found = conn.pipeline(&gets)?;
        for (counter, reply) in self.counters.iter_mut().zip(found) {
            note(counter.settle(reply.text().parse().unwrap_or(0)));
        }
        for group in &mut self.groups {
            let names: Vec<String> = group_keys(group.name()).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let values: Result<Vec<_>, Fault> = get_all(conn, &names)?.into_iter().collect();
            let whole = values.and_then(|values| all_equal(group.name(), &values));
            note(whole.and_then(|found| group.settle(found)));
        }
        let list = conn.call(&["LRANGE", self.list.name(), "0", "-1"])?;
        let items: Vec<String> = list.items().iter().map(Value::text).collect();
        note(self.list.settle(&items));
        if let Some(mut dropped) = self.dropped.take() {
            let there = conn.call(&["EXISTS", dropped.name()])?.int() == Some(1);
            note(dropped.settle(there.then_some(0)));
            conn.call(&["DEL", dropped.name()])?;
        }
        let shared = conn.call(&[&["MGET"], &SHARED[..]].concat())?;
        note(all_equal("the shared group", shared.items()).map(|_| ()));
        let checked = REGISTERS + COUNTERS + GROUPS * GROUP_KEYS + items.len() + SHARED.len();
        Ok((checked as u64, faults))
    }
}

/// The numbers that the keys' values stand for.
fn get_all(conn: &mut Conn, keys: &[&str]) -> io::Result<Vec<Result<Option<u64>, Fault>>> {
    let gets: Vec<_> = keys.iter().map(|key| vec!["GET", *key]).collect();
    let number = |key: &str, reply: Value| match reply {
        Value::Null => Ok(None),
        Value::Bulk(bytes) => number_of(key, &bytes).map(Some),
        other => Err(Fault::WrongReply(format!("{key}: {other:?}"))),
    };
    let replies = conn.pipeline(&gets)?;
    Ok(keys.iter().zip(replies).map(|(key, reply)| number(key, reply)).collect())
}

fn group_keys(group: &str) -> impl Iterator<Item = String> + use<> {
    let group = group.to_owned();
    (0..GROUP_KEYS).map(move |n| format!("{group}:{n}"))
}
