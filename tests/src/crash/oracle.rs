//! What a client's keys may hold after a crash: the state after the last acknowledged write, or after a later one.
//!
//! Invariant: an acknowledged write is never forgiven; an unacknowledged one may be there or not, but whole.

use std::collections::VecDeque;
use std::fmt;

use crate::resp::Value;

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An acknowledged write is gone.
    Lost(String),
    /// One transaction's writes are there in part.
    Torn(String),
    /// A value that nobody wrote.
    Invented(String),
    /// A reply that is wrong while the server runs.
    WrongReply(String),
    /// Replies about one key that no order of the operations explains.
    NotLinear(String),
    /// Transactions that no order explains.
    NotSerial(String),
}

impl Fault {
    /// Its name in reports.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Lost(_) => "lost",
            Fault::Torn(_) => "torn",
            Fault::Invented(_) => "invented",
            Fault::WrongReply(_) => "wrong reply",
            Fault::NotLinear(_) => "not linearizable",
            Fault::NotSerial(_) => "not serializable",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Fault::Lost(t)
        | Fault::Torn(t)
        | Fault::Invented(t)
        | Fault::WrongReply(t)
        | Fault::NotLinear(t)
        | Fault::NotSerial(t)) = self;
        f.write_str(t)
    }
}

/// Whether a server says that its disk is full: nothing of the command, or of the transaction, was executed.
pub fn is_refusal(reply: &Value) -> bool {
    let text = reply.text();
    reply.is_error() && (text.starts_with("MISCONF") || text.starts_with("EXECABORT"))
}

/// The states that one key (or a group that is written as one) went through since the last verified restart.
#[derive(Debug)]
pub struct Register {
    name: String,
    states: Vec<Option<u64>>,
    acked: usize,
    /// Writes that the server said it had not executed.
    refused: Vec<usize>,
}

impl Register {
    /// A key that does not exist.
    pub fn new(name: String) -> Register {
        Register { name, states: vec![None], acked: 0, refused: Vec::new() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A write goes out; the number to acknowledge it by.
    pub fn attempt(&mut self, state: Option<u64>) -> usize {
        self.states.push(state);
        self.states.len() - 1
    }

    /// That write, and with it all before it, was acknowledged.
    pub fn ack(&mut self, write: usize) {
        self.acked = self.acked.max(write);
    }

    /// That write was refused: it must not be there.
    pub fn refuse(&mut self, write: usize) {
        self.refused.push(write);
    }

    /// Compares with what a restart found, which becomes the state to go on from.
    pub fn settle(&mut self, found: Option<u64>) -> Result<(), Fault> {
        let refused = std::mem::take(&mut self.refused);
        let mut later = (self.acked..self.states.len()).filter(|at| !refused.contains(at));
        let allowed = later.any(|at| self.states[at] == found);
        let known = self.states.contains(&found);
        let (acked, last) = (self.states[self.acked], self.states.len() - 1 - self.acked);
        self.states = vec![found];
        self.acked = 0;
        let text = format!("{}: {found:?}, acknowledged {acked:?}, {last} later writes", self.name);
        match (allowed, known || found.is_none()) {
            (true, _) => Ok(()),
            (false, true) => Err(Fault::Lost(text)),
            (false, false) => Err(Fault::Invented(text)),
        }
    }
}

/// A counter that only ever grows by one.
#[derive(Debug)]
pub struct Counter {
    name: String,
    acked: u64,
    in_flight: u64,
}

impl Counter {
    /// A counter that does not exist.
    pub fn new(name: String) -> Counter {
        Counter { name, acked: 0, in_flight: 0 }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An increment goes out.
    pub fn attempt(&mut self) {
        self.in_flight += 1;
    }

    /// The oldest one was acknowledged; the value that it must have answered with.
    pub fn ack(&mut self) -> u64 {
        self.in_flight -= 1;
        self.acked += 1;
        self.acked
    }

    /// The oldest one was refused: it must not be there.
    pub fn refuse(&mut self) {
        self.in_flight -= 1;
    }

    /// Compares with what a restart found.
    pub fn settle(&mut self, found: u64) -> Result<(), Fault> {
        let (acked, attempted) = (self.acked, self.acked + self.in_flight);
        self.acked = found;
        self.in_flight = 0;
        let text = format!("{}: {found}, acknowledged {acked}, attempted {attempted}", self.name);
        match found {
            f if f < acked => Err(Fault::Lost(text)),
            f if f > attempted => Err(Fault::Invented(text)),
            _ => Ok(()),
        }
    }
}

/// Checks that a list holds 1, 2, 3 ... without a gap or a repetition; its length.
pub fn consecutive(name: &str, items: &[String]) -> Result<u64, Fault> {
    for (at, item) in items.iter().enumerate() {
        if *item != (at + 1).to_string() {
            return Err(Fault::Invented(format!("{name}: element {at} is {item:?}")));
        }
    }
    Ok(items.len() as u64)
}

/// A list that one client pushes rising numbers to.
#[derive(Debug)]
pub struct Pushes {
    name: String,
    last: u64,
    acked: Vec<u64>,
    in_flight: VecDeque<u64>,
    /// A push may have been refused whose refusal nobody has read.
    has_gaps: bool,
}

impl Pushes {
    /// A list that does not exist.
    pub fn new(name: String) -> Pushes {
        let (acked, in_flight) = (Vec::new(), VecDeque::new());
        Pushes { name, last: 0, acked, in_flight, has_gaps: false }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The last number that went out.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Refusals are possible from here to the next settling.
    pub fn allow_gaps(&mut self) {
        self.has_gaps = true;
    }

    /// A push goes out; what to push.
    pub fn attempt(&mut self) -> u64 {
        self.last += 1;
        self.in_flight.push_back(self.last);
        self.last
    }

    /// The oldest one was acknowledged; the length that it must have answered with.
    pub fn ack(&mut self) -> u64 {
        self.acked.extend(self.in_flight.pop_front());
        self.acked.len() as u64
    }

    /// The oldest one was refused: it must not be there.
    pub fn refuse(&mut self) {
        self.in_flight.pop_front();
    }

    /// Compares with what a restart found: all that was acknowledged, then what was in flight, in order.
    pub fn settle(&mut self, items: &[String]) -> Result<(), Fault> {
        let found: Option<Vec<u64>> = items.iter().map(|item| item.parse().ok()).collect();
        let invented = || Fault::Invented(format!("{}: {items:?}", self.name));
        let found = found.ok_or_else(invented)?;
        if let Some(at) = (0..self.acked.len()).find(|at| found.get(*at) != self.acked.get(*at)) {
            let text = format!(
                "{}: element {at} of {} is {:?}, acknowledged {:?} of {}",
                self.name,
                found.len(),
                found.get(at),
                self.acked[at],
                self.acked.len()
            );
            return Err(Fault::Lost(text));
        }
        let mut later = self.in_flight.iter();
        for value in &found[self.acked.len()..] {
            let next = if self.has_gaps { later.find(|v| *v == value) } else { later.next() };
            if next != Some(value) {
                let (acked, flying) = (self.acked.len(), &self.in_flight);
                let text = format!("{}: {value} behind {acked}, in flight {flying:?}", self.name);
                return Err(Fault::Invented(text));
            }
        }
        self.acked = found;
        self.in_flight.clear();
        self.has_gaps = false;
        Ok(())
    }
}

/// Checks that all values of a group are the same; that value.
pub fn all_equal<T: PartialEq + fmt::Debug + Clone>(name: &str, values: &[T]) -> Result<T, Fault> {
    let first = values[0].clone();
    match values.iter().all(|v| *v == first) {
        true => Ok(first),
        false => Err(Fault::Torn(format!("{name}: {values:?}"))),
    }
}

/// The value that is written for a number: the number, then filler whose length depends on it.
pub fn value_of(number: u64) -> Vec<u8> {
    let len = match number % 16 {
        0 => 3000 + number % 4000,
        1..=3 => number % 700,
        _ => number % 40,
    };
    let filler = usize::try_from(len).unwrap_or(0);
    let mut out = format!("{number}:").into_bytes();
    out.extend(std::iter::repeat_n(b'a' + u8::try_from(number % 26).unwrap_or(0), filler));
    out
}

/// The number that a value was written for; an error when it is not that value to the last byte.
pub fn number_of(name: &str, value: &[u8]) -> Result<u64, Fault> {
    let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
    let number = std::str::from_utf8(&value[..digits]).ok().and_then(|d| d.parse().ok());
    match number {
        Some(number) if value_of(number) == value => Ok(number),
        _ => {
            let text = String::from_utf8_lossy(&value[..value.len().min(60)]).into_owned();
            Err(Fault::Invented(format!("{name}: {text:?} ({} bytes)", value.len())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_acknowledged_state_and_later_ones_only() {
        for (found, kind) in
            [(Some(1), "lost"), (Some(2), ""), (Some(3), ""), (None, "lost"), (Some(9), "invented")]
        {
            let mut key = Register::new("k".into());
            key.attempt(Some(1));
            let second = key.attempt(Some(2));
            key.attempt(Some(3));
            key.ack(second);
            assert_eq!(key.settle(found).err().map_or("", |f| f.kind()), kind, "{found:?}");
        }
    }

    #[test]
    fn an_unacknowledged_delete_may_have_happened() {
        let mut key = Register::new("k".into());
        let set = key.attempt(Some(1));
        key.ack(set);
        key.attempt(None);
        assert_eq!(key.settle(None), Ok(()));
    }

    #[test]
    fn bounds_counters_by_acknowledged_and_attempted() {
        for (found, kind) in [(0, "lost"), (1, ""), (2, ""), (3, "invented")] {
            let mut counter = Counter::new("c".into());
            counter.attempt();
            counter.attempt();
            counter.ack();
            assert_eq!(counter.settle(found).err().map_or("", |f| f.kind()), kind, "{found}");
        }
    }

    #[test]
    fn what_was_refused_must_not_be_there() {
        let mut key = Register::new("k".into());
        let first = key.attempt(Some(1));
        let second = key.attempt(Some(2));
        key.ack(first);
        key.refuse(second);
        assert_eq!(key.settle(Some(2)).unwrap_err().kind(), "lost");
        let mut counter = Counter::new("c".into());
        counter.attempt();
        counter.refuse();
        assert_eq!(counter.settle(1).unwrap_err().kind(), "invented");
    }

    #[test]
    fn finds_gaps_repetitions_and_torn_groups() {
        let list = |has_gaps: bool, items: &[&str]| {
            let mut list = Pushes::new("l".into());
            assert_eq!([(); 4].map(|()| list.attempt()), [1, 2, 3, 4]);
            assert_eq!(list.ack(), 1);
            if has_gaps {
                list.allow_gaps();
            }
            list.settle(&items.iter().map(|&i| i.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(list(false, &["1"]), Ok(()));
        assert_eq!(list(false, &["1", "2", "3"]), Ok(()));
        assert!(list(false, &["1", "3"]).is_err());
        assert_eq!(list(true, &["1", "3"]), Ok(()));
        assert!(list(true, &["1", "3", "2"]).is_err());
        assert!(list(false, &["1", "1"]).is_err());
        assert!(list(false, &[]).is_err());
        assert_eq!(all_equal("g", &[7, 7]), Ok(7));
        assert_eq!(all_equal("g", &[7, 8]).unwrap_err().kind(), "torn");
    }

    #[test]
    fn a_value_is_recognised_to_the_last_byte() {
        for number in 0..40 {
            let mut value = value_of(number);
            assert_eq!(number_of("k", &value), Ok(number));
            value.push(b'!');
            assert!(number_of("k", &value).is_err());
        }
    }
}
