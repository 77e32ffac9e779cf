//! What each key went through, with the moment of each acknowledgement on the disk's recording, and what of it must be there
//! after a power cut at any position.
//!
//! Invariant: what a restart finds is judged by the whole history, so that one recording serves thousands of cuts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::disk::Content;
use crate::crash::oracle::Fault;

/// Counts sends and acknowledgements of all clients in one order, and knows where the disk is.
#[derive(Debug)]
pub(super) struct Clock {
    content: Content,
    ticks: AtomicU64,
    began: Instant,
}

/// A moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    tick: u64,
    /// Of the disk's recording.
    pub(super) position: u64,
    pub(super) us: u64,
}

impl Clock {
    pub(super) fn new(content: Content, began: Instant) -> Clock {
        Clock { content, ticks: AtomicU64::new(1), began }
    }

    pub(super) fn now(&self) -> Moment {
        let us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(0);
        let tick = self.ticks.fetch_add(1, Ordering::SeqCst);
        Moment { tick, position: self.content.position(), us }
    }
}

/// How a key is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string that names its write.
    Single,
    /// A string that INCR counts.
    Counter,
    /// Strings that are written as one.
    Group,
    /// A list of 1, 2, 3 ...
    List,
}

#[derive(Debug)]
struct Write {
    state: Option<u64>,
    sent: Moment,
    acked: Option<Moment>,
}

/// A key, or a group that is written as one, and its writes in order.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) kind: Kind,
    writes: Vec<Write>,
}

impl Key {
    /// One that does not exist.
    pub(super) fn new(name: String, kind: Kind) -> Key {
        let begin = Moment { tick: 0, position: 0, us: 0 };
        let write = Write { state: None, sent: begin, acked: Some(begin) };
        Key { name, kind, writes: vec![write] }
    }

    /// A write goes out; its number.
    pub(super) fn sent(&mut self, state: Option<u64>, now: Moment) -> usize {
        self.writes.push(Write { state, sent: now, acked: None });
        self.writes.len() - 1
    }

    /// That write was acknowledged.
    pub(super) fn acked(&mut self, write: usize, now: Moment) {
        self.writes[write].acked = Some(now);
    }

    /// Moments of the acknowledgements.
    pub(super) fn acknowledgements(&self) -> impl Iterator<Item = Moment> {
        self.writes.iter().skip(1).filter_map(|w| w.acked)
    }

    /// Counts time by another clock.
    pub(super) fn retime(&mut self, clock: impl Fn(u64) -> u64) {
        for write in &mut self.writes {
            write.sent.us = clock(write.sent.us);
            write.acked.iter_mut().for_each(|m| m.us = clock(m.us));
        }
    }

    /// The last state that was sent.
    pub(super) fn last(&self) -> Option<u64> {
        self.writes[self.writes.len() - 1].state
    }

    /// The last write whose acknowledgement is as asked.
    fn last_acked(&self, is_in: impl Fn(&Moment) -> bool) -> usize {
        self.writes.iter().rposition(|w| w.acked.as_ref().is_some_and(&is_in)).unwrap_or(0)
    }

    /// Writes that leave the key in that state.
    fn that_leave(&self, state: Option<u64>) -> impl DoubleEndedIterator<Item = usize> {
        (0..self.writes.len()).filter(move |at| self.writes[*at].state == state)
    }
}

/// A power cut, and what a mode promises about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Events of the recording that happened.
    pub(super) position: u64,
    /// How late that may have been.
    pub(super) us: u64,
    /// How old an acknowledged write may be that is missing; none when all must be there.
    pub(super) window: Option<Duration>,
}

/// What a restart found, judged.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    /// What is wrong.
    pub(super) faults: Vec<Fault>,
    /// Age of the oldest acknowledged write that is missing.
    pub(super) lost_us: u64,
}

/// Compares what was found with the histories.
pub(super) fn judge(keys: &[&Key], found: &[Option<u64>], cut: &Cut) -> Judgement {
    let mut judgement = Judgement::default();
    // The latest write that is certainly there; all that was acknowledged before it was sent must be there, too.
    let mut last_tick = 0;
    for (key, state) in keys.iter().zip(found) {
        match key.that_leave(*state).next() {
            Some(first) => last_tick = last_tick.max(key.writes[first].sent.tick),
            None => {
                let text = format!("{}: {state:?} was never written", key.name);
                judgement.faults.push(Fault::Invented(text));
            }
        }
    }
    for (key, state) in keys.iter().zip(found) {
        let Some(best) = key.that_leave(*state).next_back() else { continue };
        let happened = key.last_acked(|m| m.position <= cut.position);
        let promised = match cut.window {
            None => happened,
            Some(window) => {
                let window_us = u64::try_from(window.as_micros()).unwrap_or(u64::MAX);
                let is_due = |m: &Moment| {
                    m.position <= cut.position && m.us.saturating_add(window_us) <= cut.us
                };
                key.last_acked(is_due)
            }
        };
        let lost = key.writes.iter().take(happened + 1).skip(best + 1).find_map(|w| w.acked);
        if let Some(moment) = lost.filter(|_| best < happened) {
            judgement.lost_us = judgement.lost_us.max(cut.us.saturating_sub(moment.us));
        }
        let before = key.last_acked(|m| m.tick < last_tick);
        for (least, why) in [(promised, "promised"), (before, "older than one that is there")] {
            if best < least {
                let (missing, moment) = (&key.writes[least].state, key.writes[least].acked);
                let text = format!(
                    "{}: {state:?} (write {best}), but write {least}, {missing:?}, is {why}; \
                     acknowledged at {moment:?}, {cut:?}",
                    key.name
                );
                judgement.faults.push(Fault::Lost(text));
                break;
            }
        }
    }
    judgement
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(tick: u64) -> Moment {
        Moment { tick, position: tick * 10, us: tick * 1000 }
    }

    fn kinds(keys: &[&Key], found: &[Option<u64>], cut: &Cut) -> Vec<&'static str> {
        judge(keys, found, cut).faults.iter().map(Fault::kind).collect()
    }

    #[test]
    fn what_was_acknowledged_before_the_cut_must_be_there_and_nothing_else() {
        let mut key = Key::new("k".into(), Kind::Single);
        for tick in [1, 3] {
            let write = key.sent(Some(tick), at(tick));
            key.acked(write, at(tick + 1));
        }
        let cut = |position| Cut { position, us: 0, window: None };
        assert_eq!(kinds(&[&key], &[None], &cut(19)), [] as [&str; 0]);
        assert_eq!(kinds(&[&key], &[None], &cut(20)), ["lost"]);
        assert_eq!(kinds(&[&key], &[Some(3)], &cut(20)), [] as [&str; 0]);
        assert_eq!(kinds(&[&key], &[Some(1)], &cut(40)), ["lost"]);
        assert_eq!(kinds(&[&key], &[Some(7)], &cut(0)), ["invented"]);
    }

    #[test]
    fn a_window_forgives_what_is_younger() {
        let mut key = Key::new("k".into(), Kind::Single);
        let write = key.sent(Some(1), at(1));
        key.acked(write, at(2));
        let cut = |us| Cut { position: 50, us, window: Some(Duration::from_millis(3)) };
        assert_eq!(kinds(&[&key], &[None], &cut(4999)), [] as [&str; 0]);
        assert_eq!(judge(&[&key], &[None], &cut(4999)).lost_us, 2999);
        assert_eq!(kinds(&[&key], &[None], &cut(5000)), ["lost"]);
    }

    #[test]
    fn a_later_write_without_an_earlier_one_is_no_prefix() {
        let (mut a, mut b) =
            (Key::new("a".into(), Kind::Single), Key::new("b".into(), Kind::Single));
        let first = a.sent(Some(1), at(1));
        a.acked(first, at(2));
        b.sent(Some(1), at(3));
        let cut = Cut { position: 0, us: 0, window: Some(Duration::MAX) };
        assert_eq!(kinds(&[&a, &b], &[None, None], &cut), [] as [&str; 0]);
        assert_eq!(kinds(&[&a, &b], &[None, Some(1)], &cut), ["lost"]);
    }
}
