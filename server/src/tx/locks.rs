//! Who may touch which keys of a shard, in which order (after VLL, "Lightweight locking for main memory database systems").
//!
//! A transaction over several shards asks each of them for its keys. A shard grants in the order of arrival, key by key; what
//! has no key in common with anything before it is granted at once. A transaction that comes with a smaller number than a
//! conflicting one that is already there is refused: it starts again with a new number. So whoever waits, waits for smaller
//! numbers only, and nobody waits in a circle. A command of one shard has no number of its own; while it waits it counts as the
//! largest number ahead of it, since whoever comes behind it waits for that as well.
//!
//! Invariant: an item is granted exactly when it is at the head of the queues of all its keys; an item that wants all keys is
//! granted when it is alone, and later items stand behind it.

use std::collections::VecDeque;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use smallvec::SmallVec;

/// Hash of a key; a collision makes two keys wait for each other and does no other harm.
pub type KeyHash = u64;

/// What an item wants.
#[derive(Clone, Debug)]
pub enum Need {
    /// These keys.
    Keys(SmallVec<[KeyHash; 4]>),
    /// The whole shard.
    All,
}

/// Names an item of one [`Locks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LockId(u64);

/// The answer to a request.
#[derive(Debug)]
pub enum Acquired<W> {
    /// Granted; the waiter comes back.
    Granted(LockId, W),
    /// In a queue.
    Queued(LockId),
    /// Out of order: start again with a larger number.
    Refused(W),
}

struct Item<W> {
    keys: SmallVec<[KeyHash; 4]>,
    number: Option<u64>,
    /// Keys whose queue has somebody else at its head.
    blocked_by: usize,
    waiter: Option<W>,
}

struct Late<W> {
    id: LockId,
    need: Need,
    number: Option<u64>,
    waiter: W,
}

/// A shard's locks; `W` is what goes on when a request is granted.
pub struct Locks<W> {
    next: u64,
    items: HashMap<LockId, Item<W>, RandomState>,
    keys: HashMap<KeyHash, VecDeque<LockId>, RandomState>,
    /// The item that holds everything.
    all: Option<(LockId, Option<u64>)>,
    /// What came after an item that wants everything.
    late: VecDeque<Late<W>>,
}

impl<W> Default for Locks<W> {
    fn default() -> Self {
        Locks {
            next: 0,
            items: HashMap::default(),
            keys: HashMap::default(),
            all: None,
            late: VecDeque::new(),
        }
    }
}

impl<W> Locks<W> {
    /// True when nothing is held, which is nearly always.
    pub fn is_free(&self) -> bool {
        self.items.is_empty() && self.all.is_none() && self.late.is_empty()
    }

    /// True when a command on these keys may run at once.
    pub fn may_run(&self, keys: &[KeyHash]) -> bool {
        self.all.is_none()
            && self.late.is_empty()
            && keys.iter().all(|key| !self.keys.contains_key(key))
    }

    /// True when nobody but the item `under` has this key.
    pub fn is_in_reach(&self, key: KeyHash, under: Option<LockId>) -> bool {
        match self.all {
            Some((all, _)) => Some(all) == under,
            None => self.keys.get(&key).is_none_or(|queue| queue.front().copied() == under),
        }
    }

    /// True while one item holds the whole shard.
    pub fn all_is_held(&self) -> bool {
        self.all.is_some()
    }

    /// Asks for `need`. `number` is a transaction's global number.
    pub fn acquire(&mut self, need: Need, number: Option<u64>, waiter: W) -> Acquired<W> {
        self.next += 1;
        let id = LockId(self.next);
        let behind_late = self.all.is_some() || !self.late.is_empty();
        let own = number;
        // Whoever waits stands for those that it waits for: a smaller number must not queue behind it either.
        let number = own.max(self.highest_ahead(&need, behind_late));
        if own.is_some_and(|own| number.is_some_and(|ahead| ahead > own)) {
            return Acquired::Refused(waiter);
        }
        match need {
            Need::Keys(keys) if !behind_late => self.enqueue(id, keys, number, waiter),
            Need::All if self.is_free() => {
                self.all = Some((id, number));
                Acquired::Granted(id, waiter)
            }
            need @ (Need::Keys(_) | Need::All) => {
                self.late.push_back(Late { id, need, number, waiter });
                Acquired::Queued(id)
            }
        }
    }

    /// Gives `id` back (granted or not) and returns what is granted by that, in order.
    pub fn release(&mut self, id: LockId) -> Vec<(LockId, W)> {
        let mut granted = Vec::new();
        if self.all.is_some_and(|(all, _)| all == id) {
            self.all = None;
        } else if let Some(item) = self.items.remove(&id) {
            for key in item.keys {
                self.leave(key, id, &mut granted);
            }
        } else {
            self.late.retain(|late| late.id != id);
        }
        self.admit_late(&mut granted);
        granted
    }

    /// Takes out those who wait and are `wanted`. Their places are to be given back with [`Locks::release`].
    pub fn take_waiting(&mut self, wanted: impl Fn(&W) -> bool) -> Vec<(LockId, W)> {
        let mut taken = Vec::new();
        for (id, item) in &mut self.items {
            if item.waiter.as_ref().is_some_and(&wanted) {
                taken.extend(item.waiter.take().map(|waiter| (*id, waiter)));
            }
        }
        for late in std::mem::take(&mut self.late) {
            if wanted(&late.waiter) {
                taken.push((late.id, late.waiter));
            } else {
                self.late.push_back(late);
            }
        }
        taken.sort_unstable_by_key(|(id, _)| id.0);
        taken
    }

    /// The largest number among the items that `need` would have to wait for.
    fn highest_ahead(&self, need: &Need, behind_late: bool) -> Option<u64> {
        let late = self.late.iter().map(|late| late.number);
        let all = self.all.map(|(_, number)| number);
        let ahead = late.chain(all).max().flatten();
        let items = match need {
            Need::Keys(_) if behind_late => None,
            Need::Keys(keys) => {
                let ids = keys.iter().filter_map(|key| self.keys.get(key)).flatten();
                ids.filter_map(|id| self.items.get(id)).map(|item| item.number).max().flatten()
            }
            Need::All => self.items.values().map(|item| item.number).max().flatten(),
        };
        ahead.max(items)
    }

    fn enqueue(
        &mut self,
        id: LockId,
        mut keys: SmallVec<[KeyHash; 4]>,
        number: Option<u64>,
        waiter: W,
    ) -> Acquired<W> {
        keys.sort_unstable();
        keys.dedup();
        let mut blocked_by = 0;
        for key in &keys {
            let queue = self.keys.entry(*key).or_default();
            blocked_by += usize::from(!queue.is_empty());
            queue.push_back(id);
        }
        if blocked_by == 0 {
            self.items.insert(id, Item { keys, number, blocked_by, waiter: None });
            Acquired::Granted(id, waiter)
        } else {
            self.items.insert(id, Item { keys, number, blocked_by, waiter: Some(waiter) });
            Acquired::Queued(id)
        }
    }

    fn leave(&mut self, key: KeyHash, id: LockId, granted: &mut Vec<(LockId, W)>) {
        let Some(queue) = self.keys.get_mut(&key) else { return };
        let was_head = queue.front() == Some(&id);
        queue.retain(|other| *other != id);
        let Some(head) = queue.front().copied() else {
            self.keys.remove(&key);
            return;
        };
        if was_head && let Some(item) = self.items.get_mut(&head) {
            item.blocked_by -= 1;
            if item.blocked_by == 0
                && let Some(waiter) = item.waiter.take()
            {
                granted.push((head, waiter));
            }
        }
    }

    fn admit_late(&mut self, granted: &mut Vec<(LockId, W)>) {
        while self.all.is_none() {
            match self.late.front() {
                Some(Late { need: Need::All, .. }) if !self.items.is_empty() => return,
                Some(_) => {}
                None => return,
            }
            let Some(late) = self.late.pop_front() else { return };
            match late.need {
                Need::All => {
                    self.all = Some((late.id, late.number));
                    granted.push((late.id, late.waiter));
                }
                Need::Keys(keys) => {
                    if let Acquired::Granted(id, waiter) =
                        self.enqueue(late.id, keys, late.number, late.waiter)
                    {
                        granted.push((id, waiter));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smallvec::smallvec;

    fn keys(list: &[u64]) -> Need {
        Need::Keys(list.iter().copied().collect())
    }

    fn granted<W>(acquired: Acquired<W>) -> LockId {
        match acquired {
            Acquired::Granted(id, _) => id,
            Acquired::Queued(_) | Acquired::Refused(_) => panic!("not granted"),
        }
    }

    #[test]
    fn strangers_do_not_wait_for_each_other() {
        let mut locks = Locks::default();
        granted(locks.acquire(keys(&[1, 2]), Some(1), "a"));
        granted(locks.acquire(keys(&[3]), Some(2), "b"));
        assert!(locks.may_run(&[4]));
        assert!(!locks.may_run(&[2]));
    }

    #[test]
    fn a_key_is_handed_on_in_the_order_of_arrival() {
        let mut locks = Locks::default();
        let first = granted(locks.acquire(keys(&[1, 2]), Some(1), "a"));
        assert!(matches!(locks.acquire(keys(&[2, 3]), Some(2), "b"), Acquired::Queued(_)));
        assert!(matches!(locks.acquire(keys(&[3]), None, "c"), Acquired::Queued(_)));
        let next = locks.release(first);
        assert_eq!(next.iter().map(|(_, w)| *w).collect::<Vec<_>>(), ["b"]);
        let next = locks.release(next[0].0);
        assert_eq!(next.iter().map(|(_, w)| *w).collect::<Vec<_>>(), ["c"]);
        locks.release(next[0].0);
        assert!(locks.is_free());
    }

    #[test]
    fn a_smaller_number_is_refused_behind_a_larger_one() {
        let mut locks = Locks::default();
        granted(locks.acquire(keys(&[1]), Some(5), "a"));
        assert!(matches!(locks.acquire(keys(&[1]), Some(4), "b"), Acquired::Refused("b")));
        assert!(matches!(locks.acquire(Need::All, Some(4), "c"), Acquired::Refused("c")));
        granted(locks.acquire(keys(&[2]), Some(4), "d"));
    }

    #[test]
    fn a_waiting_command_stands_for_the_transaction_that_it_waits_for() {
        let mut locks = Locks::default();
        granted(locks.acquire(keys(&[1]), Some(11), "a"));
        assert!(matches!(locks.acquire(keys(&[1, 2]), None, "command"), Acquired::Queued(_)));
        assert!(matches!(locks.acquire(keys(&[2]), Some(10), "b"), Acquired::Refused("b")));
        assert!(matches!(locks.acquire(keys(&[2]), Some(12), "c"), Acquired::Queued(_)));
    }

    #[test]
    fn whoever_wants_everything_waits_for_all_and_holds_the_later_ones_back() {
        let mut locks = Locks::default();
        let a = granted(locks.acquire(keys(&[1]), Some(1), "a"));
        assert!(matches!(locks.acquire(Need::All, Some(2), "all"), Acquired::Queued(_)));
        assert!(matches!(
            locks.acquire(Need::Keys(smallvec![9]), None, "late"),
            Acquired::Queued(_)
        ));
        assert!(!locks.may_run(&[7]));
        let next = locks.release(a);
        assert_eq!(next.iter().map(|(_, w)| *w).collect::<Vec<_>>(), ["all"]);
        let next = locks.release(next[0].0);
        assert_eq!(next.iter().map(|(_, w)| *w).collect::<Vec<_>>(), ["late"]);
        locks.release(next[0].0);
        assert!(locks.is_free());
    }

    #[test]
    fn those_who_wait_can_be_sent_away() {
        let mut locks = Locks::default();
        let a = granted(locks.acquire(keys(&[1]), Some(1), "a"));
        assert!(matches!(locks.acquire(keys(&[1, 2]), None, "b"), Acquired::Queued(_)));
        assert!(matches!(locks.acquire(Need::All, Some(2), "all"), Acquired::Queued(_)));
        assert!(matches!(locks.acquire(keys(&[3]), None, "c"), Acquired::Queued(_)));
        let away = locks.take_waiting(|waiter| *waiter != "all");
        assert_eq!(away.iter().map(|(_, w)| *w).collect::<Vec<_>>(), ["b", "c"]);
        away.iter().for_each(|(id, _)| assert!(locks.release(*id).is_empty()));
        assert_eq!(locks.release(a).iter().map(|(_, w)| *w).collect::<Vec<_>>(), ["all"]);
    }

    #[test]
    fn a_cancelled_waiter_unblocks_those_behind_it() {
        let mut locks = Locks::default();
        let a = granted(locks.acquire(keys(&[1]), Some(1), "a"));
        let Acquired::Queued(b) = locks.acquire(keys(&[1, 2]), Some(2), "b") else { panic!() };
        assert!(matches!(locks.acquire(keys(&[2]), Some(3), "c"), Acquired::Queued(_)));
        assert_eq!(locks.release(b).iter().map(|(_, w)| *w).collect::<Vec<_>>(), ["c"]);
        locks.release(a);
    }
}
