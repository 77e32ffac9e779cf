//! Crashes in the simulator; `cargo xtask simulate` runs them by the million.

#![allow(clippy::panic, reason = "a failed check panics")]

use ringstone_tests::sim::{Mutation, Stats, damage_once, replay_command, run_seed};

/// Seeds in which every mutation must have been noticed.
const MUTATION_SEEDS: u64 = 1000;

fn check(seed: u64, mutation: Option<Mutation>) -> Stats {
    run_seed(seed, mutation).unwrap_or_else(|violation| {
        panic!("seed {seed}: {violation}\n  {}", replay_command(seed, mutation))
    })
}

#[test]
fn sim_many_crashes_lose_nothing_that_was_acknowledged() {
    let mut stats = Stats::default();
    (0..100).for_each(|seed| stats.add(check(seed, None)));
    // Everything that can go wrong did.
    for (text, count) in stats.rows() {
        assert!(count > 0 || text.starts_with("runs that gave up"), "{text}: {count}");
    }
}

/// What seeds have found.
#[test]
fn sim_a_power_cut_while_a_segment_is_made_ready_again_does_not_look_like_damage() {
    [27, 49, 73, 82, 98].into_iter().for_each(|seed| assert!(check(seed, None).crashes() > 0));
}

#[test]
fn sim_a_bitop_onto_a_key_whose_time_is_up_survives() {
    assert!(check(1_003_658, None).crashes() > 0);
}

#[test]
fn sim_a_read_behind_appendfsync_always_waits_for_what_was_just_written() {
    assert!(check(100_027, None).crashes() > 0);
}

#[test]
fn sim_every_broken_rule_is_noticed() {
    let (even, odd): (Vec<_>, Vec<_>) =
        Mutation::ALL.iter().enumerate().partition(|m| m.0 % 2 == 0);
    let unnoticed = std::thread::scope(|scope| {
        let halves = [even, odd].map(|half| {
            scope.spawn(move || {
                let is_unnoticed = |mutation| {
                    (0..MUTATION_SEEDS).all(|seed| run_seed(seed, Some(mutation)).is_ok())
                };
                let all = half.into_iter().map(|(_, (name, mutation))| (*name, *mutation));
                all.filter(|(_, mutation)| is_unnoticed(*mutation)).collect::<Vec<_>>()
            })
        });
        halves.into_iter().flat_map(|half| half.join().expect("no panic")).collect::<Vec<_>>()
    });
    assert!(unnoticed.is_empty(), "unnoticed: {unnoticed:?}");
}

#[test]
fn sim_damaged_files_give_the_same_data_a_prefix_or_a_refusal() {
    let mut outcomes = [0u64; 3];
    // 4433: a bit in the last group of a direct segment, which once gave no warning.
    for seed in [4433].into_iter().chain(0..400) {
        match damage_once(seed) {
            Ok(outcome) => outcomes[outcome as usize] += 1,
            Err(violation) => panic!("damage seed {seed}: {violation}"),
        }
    }
    println!("same, prefix, refused: {outcomes:?}");
    assert!(outcomes.iter().all(|n| *n > 0));
}
