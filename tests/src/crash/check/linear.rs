//! Is there an order of the operations on one key that explains every reply, and in which nothing comes before it was asked for or
//! after it was answered? (Linearizability: Herlihy and Wing 1990; the search is the one of Wing and Gong, operation by
//! operation, with the states that were met remembered.)
//!
//! ```text
//!   invoked ─> pending ─┬─ returned: every configuration that goes on must have it done by now
//!                       └─ never returned (the server ended): done at some time, or never
//!   configuration = the key's value, and which pending operations are done
//! ```
//!
//! Invariant: an error names a history that no order explains; what is too large to decide is said to be so, and is no error.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

/// Most configurations at a time.
const CONFIGURATIONS_MAX: usize = 200_000;
/// Most operations that are pending at a time.
const PENDING_MAX: usize = 64;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// SET.
    Set(u64),
    /// GET.
    Get,
    /// INCR.
    Incr,
    /// SET to the second if it is the first.
    Swap(u64, u64),
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// OK.
    Done,
    /// The value, or that there is none.
    Value(Option<u64>),
    /// Whether it was swapped.
    Swapped(bool),
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Who asked.
    pub client: usize,
    /// What was asked for.
    pub call: Call,
    /// When it was asked for; on one clock for all.
    pub invoked: u64,
    /// When it was answered, and what. Without, it is not known whether it happened.
    pub returned: Option<(u64, Outcome)>,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {} at {}: {:?}", self.client, self.invoked, self.call)?;
        match self.returned {
            Some((at, outcome)) => write!(f, ", answered at {at}: {outcome:?}"),
            None => write!(f, ", not answered"),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is such an order.
    Explained,
    /// There is none; the first reply that cannot be explained.
    Violation(String),
    /// It would take too long to tell.
    TooLarge,
}

/// A value, and a bit for each pending operation that is done.
type Configuration = (Option<u64>, u64);

fn run(value: Option<u64>, call: Call) -> (Option<u64>, Outcome) {
    match call {
        Call::Set(new) => (Some(new), Outcome::Done),
        Call::Get => (value, Outcome::Value(value)),
        Call::Incr => {
            let new = Some(value.unwrap_or(0) + 1);
            (new, Outcome::Value(new))
        }
        Call::Swap(from, to) if value == Some(from) => (Some(to), Outcome::Swapped(true)),
        Call::Swap(..) => (value, Outcome::Swapped(false)),
    }
}

/// Looks for an order of `operations` on a key that held `before` at first, and `after` in the end.
pub fn check(before: Option<u64>, operations: &[Operation], after: Option<u64>) -> Verdict {
    // An answer at the very time of a question is no later than it.
    let mut events: Vec<(u64, bool, usize)> = Vec::new();
    for (at, operation) in operations.iter().enumerate() {
        events.push((operation.invoked, false, at));
        events.extend(operation.returned.map(|(time, _)| (time, true, at)));
    }
    events.sort_unstable();
    let mut pending: Vec<Option<usize>> = vec![None; PENDING_MAX];
    let mut slots = vec![0; operations.len()];
    let mut configurations: HashSet<Configuration> = HashSet::from([(before, 0)]);
    for (_, returns, at) in events {
        if !returns {
            let Some(slot) = pending.iter().position(Option::is_none) else {
                return Verdict::TooLarge;
            };
            (pending[slot], slots[at]) = (Some(at), slot);
            continue;
        }
        let Some(all) = closure(&configurations, &pending, operations) else {
            return Verdict::TooLarge;
        };
        let bit = 1 << slots[at];
        configurations =
            all.iter().filter(|(_, done)| done & bit != 0).map(|(v, d)| (*v, d & !bit)).collect();
        pending[slots[at]] = None;
        if configurations.is_empty() {
            let values: BTreeSet<_> = all.iter().map(|(value, _)| *value).collect();
            let values: Vec<_> = values.into_iter().take(12).collect();
            let text = format!("{}; the key may have held {values:?} then", operations[at]);
            return Verdict::Violation(text);
        }
    }
    match closure(&configurations, &pending, operations) {
        None => Verdict::TooLarge,
        Some(all) if all.iter().any(|(value, _)| *value == after) => Verdict::Explained,
        Some(all) => {
            let values: BTreeSet<_> = all.iter().map(|(value, _)| *value).collect();
            let values: Vec<_> = values.into_iter().take(12).collect();
            Verdict::Violation(format!("found {after:?} in the end, where it may be {values:?}"))
        }
    }
}

/// All that the configurations may have become when any pending operations are done; `None` when it is too much.
fn closure(
    from: &HashSet<Configuration>,
    pending: &[Option<usize>],
    operations: &[Operation],
) -> Option<HashSet<Configuration>> {
    let mut all = from.clone();
    let mut open: Vec<Configuration> = from.iter().copied().collect();
    while let Some((value, done)) = open.pop() {
        for (slot, at) in pending.iter().enumerate() {
            let Some(at) = at.filter(|_| done & (1 << slot) == 0) else { continue };
            let operation = &operations[at];
            let (new, outcome) = run(value, operation.call);
            if operation.returned.is_none_or(|(_, answered)| answered == outcome) {
                let next = (new, done | 1 << slot);
                if all.insert(next) {
                    open.push(next);
                }
            }
        }
        if all.len() > CONFIGURATIONS_MAX {
            return None;
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crash::Random;

    fn operation(client: usize, call: Call, from: u64, to: u64, outcome: Outcome) -> Operation {
        Operation { client, call, invoked: from, returned: Some((to, outcome)) }
    }

    fn lost(client: usize, call: Call, from: u64) -> Operation {
        Operation { client, call, invoked: from, returned: None }
    }

    fn is_violation(before: Option<u64>, history: &[Operation], after: Option<u64>) -> bool {
        matches!(check(before, history, after), Verdict::Violation(_))
    }

    #[test]
    fn concurrent_operations_may_take_either_order_and_others_may_not() {
        let set = |n, from, to| operation(0, Call::Set(n), from, to, Outcome::Done);
        let get = |n, from, to| operation(1, Call::Get, from, to, Outcome::Value(n));
        assert_eq!(check(None, &[set(1, 0, 9), get(None, 1, 8)], Some(1)), Verdict::Explained);
        assert_eq!(check(None, &[set(1, 0, 9), get(Some(1), 1, 8)], Some(1)), Verdict::Explained);
        assert!(is_violation(None, &[set(1, 0, 2), get(None, 3, 4)], Some(1)), "a stale read");
        let back = [set(1, 0, 9), get(Some(1), 1, 2), get(None, 3, 4)];
        assert!(is_violation(None, &back, Some(1)), "what was seen is not unseen");
    }

    #[test]
    fn an_unanswered_operation_may_have_happened_but_once() {
        let history = [lost(0, Call::Incr, 1)];
        assert_eq!(check(Some(5), &history, Some(5)), Verdict::Explained);
        assert_eq!(check(Some(5), &history, Some(6)), Verdict::Explained);
        assert!(is_violation(Some(5), &history, Some(7)));
    }

    #[test]
    fn an_acknowledged_write_that_is_gone_after_the_crash_is_found() {
        let set = operation(0, Call::Set(2), 0, 1, Outcome::Done);
        assert!(is_violation(Some(1), &[set], Some(1)));
        let swap = operation(0, Call::Swap(1, 2), 0, 1, Outcome::Swapped(true));
        assert!(is_violation(Some(1), &[swap], Some(1)));
        assert_eq!(check(Some(1), &[swap], Some(2)), Verdict::Explained);
    }

    /// A history of four clients over one register, each operation done at a random instant between question and answer.
    fn history(seed: u64, len: usize) -> (Vec<Operation>, Option<u64>) {
        let mut random = Random::new(seed);
        let mut free_at = [0u64; 4];
        let mut instants = Vec::new();
        for n in 0..len {
            let client = usize::try_from(random.below(4)).unwrap();
            let invoked = free_at[client] + random.below(5);
            let instant = invoked + 1 + random.below(20);
            let returned = instant + random.below(20);
            free_at[client] = returned + 1;
            let call = match random.below(4) {
                0 => Call::Set(1000 + n as u64),
                1 => Call::Incr,
                2 => Call::Swap(1000 + random.below(n as u64 + 1), 5000 + n as u64),
                _ => Call::Get,
            };
            instants.push((instant, Operation { client, call, invoked, returned: None }, returned));
        }
        instants.sort_by_key(|(instant, _, _)| *instant);
        let mut value = None;
        let mut operations = Vec::new();
        for (_, mut operation, returned) in instants {
            let (new, outcome) = run(value, operation.call);
            value = new;
            operation.returned = Some((returned, outcome));
            operations.push(operation);
        }
        (operations, value)
    }

    #[test]
    fn histories_of_a_real_register_are_explained_and_mutated_ones_are_not() {
        let mut caught = 0;
        for seed in 0..60 {
            let (mut operations, value) = history(seed, 300);
            assert_eq!(check(None, &operations, value), Verdict::Explained, "seed {seed}");
            // A read is answered with what an earlier read saw: reordered, as by a stale cache.
            let gets: Vec<usize> = (0..operations.len())
                .filter(|at| {
                    matches!(operations[*at].call, Call::Get)
                        && matches!(operations[*at].returned, Some((_, Outcome::Value(Some(_)))))
                })
                .collect();
            let (early, late) = (gets[gets.len() / 4], gets[gets.len() * 3 / 4]);
            let stale = operations[early].returned.unwrap().1;
            let at = operations[late].returned.unwrap().0;
            operations[late].returned = Some((at, stale));
            caught += u32::from(is_violation(None, &operations, value));
        }
        assert_eq!(caught, 60);
    }

    #[test]
    fn a_duplicated_increment_is_found() {
        for seed in 0..40 {
            let (mut operations, value) = history(seed, 200);
            let at = operations.iter().rposition(|o| o.call == Call::Incr).unwrap();
            // The same number is given twice.
            let mut twice = operations[at];
            let (end, _) = twice.returned.unwrap();
            twice.client = 9;
            twice.invoked = end + 1;
            twice.returned = Some((end + 2, twice.returned.unwrap().1));
            operations.insert(at + 1, twice);
            assert!(is_violation(None, &operations, value), "seed {seed}");
        }
    }
}
