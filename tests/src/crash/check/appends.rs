//! Transactions that append to lists and read them: is there one order of all of them? (The idea is Elle's, Kingsbury and Alvaro
//! 2020: the list itself says in which order its writers came, so that cycles can be seen without a search.)
//!
//! ```text
//!   final lists ─> who wrote before whom (ww)
//!   reads       ─> who saw whom (wr), who did not see whom yet (rw)
//!   clocks      ─> who was answered before whom was asked
//!   a cycle of these: no order of the transactions, or none that keeps to real time
//! ```
//!
//! Invariant: values are never appended twice by the clients, so a value says who wrote it.

use std::collections::{BTreeMap, HashMap, VecDeque};

/// What a transaction did.
#[derive(Clone, Debug)]
pub enum Step {
    /// RPUSH of one value to a list.
    Append(usize, u64),
    /// The whole list.
    Read(usize, Vec<u64>),
}

/// One transaction.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// When it was asked for.
    pub invoked: u64,
    /// When it was answered; none: it is not known whether it happened, and it has read nothing.
    pub returned: Option<u64>,
    /// What it did.
    pub steps: Vec<Step>,
}

impl Transaction {
    fn appends(&self) -> impl Iterator<Item = (usize, u64)> {
        self.steps.iter().filter_map(|step| match step {
            Step::Append(list, value) => Some((*list, *value)),
            Step::Read(..) => None,
        })
    }
}

/// What is wrong with a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anomaly {
    /// Acknowledged and gone.
    Lost(String),
    /// There twice.
    Duplicated(String),
    /// There in part.
    Torn(String),
    /// Never appended.
    Invented(String),
    /// A read that is no beginning of what the list became.
    Diverged(String),
    /// No order explains it.
    Cyclic(String),
}

impl Anomaly {
    /// The text.
    pub fn text(&self) -> &str {
        let (Anomaly::Lost(t)
        | Anomaly::Duplicated(t)
        | Anomaly::Torn(t)
        | Anomaly::Invented(t)
        | Anomaly::Diverged(t)
        | Anomaly::Cyclic(t)) = self;
        t
    }
}

/// Judges `transactions` by the lists that are there in the end.
pub fn check(transactions: &[Transaction], lists: &BTreeMap<usize, Vec<u64>>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let mut writers: HashMap<u64, (usize, usize)> = HashMap::new();
    for (at, transaction) in transactions.iter().enumerate() {
        writers.extend(transaction.appends().map(|(list, value)| (value, (at, list))));
    }
    let mut places: HashMap<u64, usize> = HashMap::new();
    for (list, values) in lists {
        for (place, value) in values.iter().enumerate() {
            if places.insert(*value, place).is_some() {
                found.push(Anomaly::Duplicated(format!("list {list}: {value} stands twice")));
            }
            if writers.get(value).is_none_or(|(_, to)| to != list) {
                found.push(Anomaly::Invented(format!("list {list}: nobody appended {value}")));
            }
        }
    }
    let empty = Vec::new();
    for (at, transaction) in transactions.iter().enumerate() {
        let total = transaction.appends().count();
        let there = transaction.appends().filter(|(_, value)| places.contains_key(value)).count();
        let text = || format!("transaction {at}, {there} of {total} appends: {transaction:?}");
        if there < total && transaction.returned.is_some() {
            found.push(Anomaly::Lost(text()));
        } else if there > 0 && there < total {
            found.push(Anomaly::Torn(text()));
        }
        let mut own: HashMap<usize, Vec<u64>> = HashMap::new();
        for step in &transaction.steps {
            match step {
                Step::Append(list, value) => own.entry(*list).or_default().push(*value),
                Step::Read(list, seen) => {
                    let all = lists.get(list).unwrap_or(&empty);
                    let mine = own.get(list).unwrap_or(&empty);
                    if !all.starts_with(seen) || !seen.ends_with(mine) {
                        let tail = &seen[seen.len().saturating_sub(5)..];
                        found.push(Anomaly::Diverged(format!(
                            "transaction {at} read {} values of list {list}, the last {tail:?}, own {mine:?}",
                            seen.len()
                        )));
                    }
                }
            }
        }
    }
    if found.is_empty()
        && let Some(cycle) = cycle(&edges(transactions, lists, &writers))
    {
        let shown: Vec<String> = cycle
            .iter()
            .filter_map(|at| Some(format!("{at}: {:?}", transactions.get(*at)?)))
            .collect();
        found.push(Anomaly::Cyclic(shown.join(" -> ")));
    }
    found.truncate(10);
    found
}

/// Who comes before whom. Behind the transactions' own nodes stand those of the instants at which one was answered.
fn edges(
    transactions: &[Transaction],
    lists: &BTreeMap<usize, Vec<u64>>,
    writers: &HashMap<u64, (usize, usize)>,
) -> Vec<Vec<usize>> {
    let mut edges: Vec<Vec<usize>> = vec![Vec::new(); transactions.len()];
    let writer = |value: u64| writers.get(&value).map(|(at, _)| *at);
    let mut add = |from: Option<usize>, to: Option<usize>| {
        if let (Some(from), Some(to)) = (from, to)
            && from != to
        {
            edges[from].push(to);
        }
    };
    for values in lists.values() {
        values.windows(2).for_each(|pair| add(writer(pair[0]), writer(pair[1])));
    }
    for (at, transaction) in transactions.iter().enumerate() {
        for step in &transaction.steps {
            let Step::Read(list, seen) = step else { continue };
            add(seen.last().and_then(|value| writer(*value)), Some(at));
            let next = lists.get(list).and_then(|all| all.get(seen.len()));
            add(Some(at), next.and_then(|value| writer(*value)));
        }
    }
    // Real time: answered -> instant -> the next instant -> whoever was asked for later.
    let mut ends: Vec<(u64, usize)> = Vec::new();
    ends.extend(transactions.iter().enumerate().filter_map(|(at, t)| Some((t.returned?, at))));
    ends.sort_unstable();
    let first = edges.len();
    edges.extend(ends.iter().map(|_| Vec::new()));
    for (n, (_, at)) in ends.iter().enumerate() {
        edges[*at].push(first + n);
        if n + 1 < ends.len() {
            edges[first + n].push(first + n + 1);
        }
    }
    for (at, transaction) in transactions.iter().enumerate() {
        let before = ends.partition_point(|(end, _)| *end < transaction.invoked);
        if before > 0 {
            edges[first + before - 1].push(at);
        }
    }
    edges
}

/// A cycle, if there is one.
fn cycle(edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut before = vec![0usize; edges.len()];
    edges.iter().flatten().for_each(|to| before[*to] += 1);
    let mut ready: VecDeque<usize> = (0..edges.len()).filter(|at| before[*at] == 0).collect();
    let mut left = edges.len();
    while let Some(at) = ready.pop_front() {
        left -= 1;
        for to in &edges[at] {
            before[*to] -= 1;
            if before[*to] == 0 {
                ready.push_back(*to);
            }
        }
    }
    if left == 0 {
        return None;
    }
    // Whoever is left has a predecessor that is left: going back comes round in the end.
    let is_left = |at: usize| before[at] > 0;
    let mut back: HashMap<usize, usize> = HashMap::new();
    for from in (0..edges.len()).filter(|at| is_left(*at)) {
        back.extend(edges[from].iter().filter(|to| is_left(**to)).map(|to| (*to, from)));
    }
    let mut path = vec![(0..edges.len()).find(|at| is_left(*at) && back.contains_key(at))?];
    loop {
        let previous = *back.get(path.last()?)?;
        if let Some(at) = path.iter().position(|on| *on == previous) {
            let mut round = path.split_off(at);
            round.reverse();
            return Some(round);
        }
        path.push(previous);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crash::Random;

    /// Transactions one after the other over three lists, each at one instant between question and answer; and the lists.
    fn history(seed: u64, len: u64) -> (Vec<Transaction>, BTreeMap<usize, Vec<u64>>) {
        let mut random = Random::new(seed);
        let mut lists: BTreeMap<usize, Vec<u64>> = (0..3).map(|n| (n, Vec::new())).collect();
        let mut all = Vec::new();
        for n in 0..len {
            let instant = n * 10;
            let mut steps = Vec::new();
            for m in 0..1 + random.below(3) {
                let list = usize::try_from(random.below(3)).unwrap();
                if random.one_in(2) {
                    let value = n * 10 + m;
                    lists.get_mut(&list).unwrap().push(value);
                    steps.push(Step::Append(list, value));
                } else {
                    steps.push(Step::Read(list, lists[&list].clone()));
                }
            }
            let invoked = instant.saturating_sub(random.below(40));
            all.push(Transaction { invoked, returned: Some(instant + random.below(40)), steps });
        }
        (all, lists)
    }

    fn kinds(found: &[Anomaly]) -> Vec<&'static str> {
        let name = |anomaly: &Anomaly| match anomaly {
            Anomaly::Lost(_) => "lost",
            Anomaly::Duplicated(_) => "duplicated",
            Anomaly::Torn(_) => "torn",
            Anomaly::Invented(_) => "invented",
            Anomaly::Diverged(_) => "diverged",
            Anomaly::Cyclic(_) => "cyclic",
        };
        found.iter().map(name).collect()
    }

    #[test]
    fn serial_histories_are_fine() {
        for seed in 0..50 {
            let (all, lists) = history(seed, 100);
            assert_eq!(check(&all, &lists), [], "seed {seed}");
        }
    }

    #[test]
    fn what_is_lost_doubled_torn_invented_or_reordered_is_found() {
        for seed in 0..50 {
            let (all, lists) = history(seed, 100);
            let with = |change: &dyn Fn(&mut Vec<u64>)| {
                let mut lists = lists.clone();
                change(lists.get_mut(&1).unwrap());
                kinds(&check(&all, &lists))
            };
            assert!(with(&|list| list.truncate(list.len() - 1)).contains(&"lost"));
            assert!(with(&|list| list.push(list[0])).contains(&"duplicated"));
            assert!(with(&|list| list.push(7_777_777)).contains(&"invented"));
            assert!(!with(&|list| list.swap(3, 4)).is_empty(), "a reordered list");
            let mut torn = all.clone();
            torn.push(Transaction {
                invoked: 9000,
                returned: None,
                steps: vec![Step::Append(1, 9_000_001), Step::Append(2, 9_000_002)],
            });
            assert_eq!(check(&torn, &lists), [], "it never happened");
            let mut half = lists.clone();
            half.get_mut(&1).unwrap().push(9_000_001);
            assert!(kinds(&check(&torn, &half)).contains(&"torn"));
        }
    }

    #[test]
    fn writers_that_do_not_see_each_other_are_a_cycle() {
        let step = |list, seen: &[u64]| Step::Read(list, seen.to_vec());
        let transaction = |steps| Transaction { invoked: 0, returned: Some(100), steps };
        let all = [
            transaction(vec![Step::Append(0, 1), step(1, &[])]),
            transaction(vec![Step::Append(1, 2), step(0, &[])]),
        ];
        let lists = BTreeMap::from([(0, vec![1]), (1, vec![2])]);
        assert_eq!(kinds(&check(&all, &lists)), ["cyclic"], "write skew");
    }

    #[test]
    fn an_order_that_goes_back_in_time_is_a_cycle() {
        let all = [
            Transaction { invoked: 0, returned: Some(10), steps: vec![Step::Append(0, 1)] },
            Transaction { invoked: 20, returned: Some(30), steps: vec![Step::Read(0, vec![])] },
        ];
        let lists = BTreeMap::from([(0, vec![1])]);
        assert_eq!(kinds(&check(&all, &lists)), ["cyclic"], "a stale read");
        let late = [all[0].clone(), Transaction { invoked: 5, ..all[1].clone() }];
        assert_eq!(check(&late, &lists), []);
    }
}
