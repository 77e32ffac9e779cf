//! LATENCY HISTOGRAM: for each command, how many calls took up to 1, 2, 4, 8 ... microseconds.

use hdrhistogram::Histogram;
use ringstone_engine::{Args, Error, Tree};

use super::int;
use crate::ask::ask_all;
use crate::cmd::{Host, Outcome};
use crate::measure::calls::CallTable;
use crate::table::{Entry, Table};

/// The first step, in ns; each further one is twice as long.
const FIRST_STEP_NS: u64 = 1024;

pub(super) fn run(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let table = Table::get();
    let wanted: Vec<&'static Entry> = if args.len() == 2 {
        table.entries().collect()
    } else {
        // A container stands for its subcommands as well; what is unknown is left out.
        let named = args.iter_from(2).filter_map(|name| table.find_full(name));
        named.flat_map(|top| std::iter::once(top).chain(top.subs.iter().map(|(_, s)| s))).collect()
    };
    host.later(|shard| async move {
        let mut all = CallTable::default();
        ask_all(&shard, |there| there.measure.calls.clone()).await.iter().for_each(|c| all.add(c));
        let mut items = Vec::new();
        for entry in wanted {
            if let Some(latency) = all.of(entry).and_then(|cell| cell.latency.as_deref()) {
                items.push(Tree::Bulk(entry.spec.name.as_bytes().to_vec()));
                items.push(distribution(latency));
            }
        }
        Tree::Map(items)
    })
}

fn distribution(latency: &Histogram<u64>) -> Tree {
    let text = |text: &str| Tree::Bulk(text.as_bytes().to_vec());
    let total = latency.len();
    let (mut steps, mut step, mut before) = (Vec::new(), FIRST_STEP_NS, 0);
    while before < total {
        let until = latency.highest_equivalent(step);
        let count = latency.count_between(0, until);
        if count > before {
            steps.extend([int(until / 1000), int(count)]);
        }
        before = count;
        step *= 2;
    }
    Tree::Map(vec![text("calls"), int(total), text("histogram_usec"), Tree::Map(steps)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_from_step_to_step() {
        let mut latency = Histogram::new_with_bounds(1, 1_000_000_000, 2).unwrap();
        for us in [0, 1, 3, 3, 70, 2_000_000] {
            latency.saturating_record((us * 1000).max(1));
        }
        let steps = [1, 2, 4, 4, 132, 5, 1_082_130, 6].map(Tree::Int).to_vec();
        let text = |text: &str| Tree::Bulk(text.as_bytes().to_vec());
        let expected = vec![text("calls"), Tree::Int(6), text("histogram_usec"), Tree::Map(steps)];
        assert_eq!(distribution(&latency), Tree::Map(expected));
    }
}
