//! What a client's keys may hold after a crash: the state after the last acknowledged write, or after a later one.
//!
//! Invariant: an acknowledged write is never forgiven; an unacknowledged one may be there or not, but whole.

use std::fmt;

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
}

impl Fault {
    /// Its name in reports.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Lost(_) => "lost",
            Fault::Torn(_) => "torn",
            Fault::Invented(_) => "invented",
            Fault::WrongReply(_) => "wrong reply",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Fault::Lost(t) | Fault::Torn(t) | Fault::Invented(t) | Fault::WrongReply(t)) = self;
        f.write_str(t)
    }
}

/// The states that one key (or a group that is written as one) went through since the last verified restart.
#[derive(Debug)]
pub struct Register {
    name: String,
    states: Vec<Option<u64>>,
    acked: usize,
}

impl Register {
    /// A key that does not exist.
    pub fn new(name: String) -> Register {
        Register { name, states: vec![None], acked: 0 }
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

    /// Compares with what a restart found, which becomes the state to go on from.
    pub fn settle(&mut self, found: Option<u64>) -> Result<(), Fault> {
        let allowed = self.states[self.acked..].contains(&found);
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
    attempted: u64,
}

impl Counter {
    /// A counter that does not exist.
    pub fn new(name: String) -> Counter {
        Counter { name, acked: 0, attempted: 0 }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Increments that went out.
    pub fn attempted(&self) -> u64 {
        self.attempted
    }

    /// An increment goes out; the value that it must answer with.
    pub fn attempt(&mut self) -> u64 {
        self.attempted += 1;
        self.attempted
    }

    /// The value that was acknowledged.
    pub fn ack(&mut self, value: u64) {
        self.acked = self.acked.max(value);
    }

    /// Compares with what a restart found.
    pub fn settle(&mut self, found: u64) -> Result<(), Fault> {
        let (acked, attempted) = (self.acked, self.attempted);
        self.acked = found;
        self.attempted = found;
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
            let first = counter.attempt();
            counter.attempt();
            counter.ack(first);
            assert_eq!(counter.settle(found).err().map_or("", |f| f.kind()), kind, "{found}");
        }
    }

    #[test]
    fn finds_gaps_repetitions_and_torn_groups() {
        let list = |items: &[&str]| {
            consecutive("l", &items.iter().map(|&i| i.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(list(&["1", "2", "3"]), Ok(3));
        assert!(list(&["1", "3"]).is_err());
        assert!(list(&["1", "1"]).is_err());
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
