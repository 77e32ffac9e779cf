//! Crashes in the simulator. `RINGSTONE_SIM_SEEDS=30000 cargo test --release -p ringstone-tests --test sim --
//! --nocapture many` runs more than 100,000 of them.

#![allow(clippy::panic, reason = "a failed check panics")]

use std::time::Instant;

use ringstone_tests::sim::{Mutation, Stats, damage_once, replay_command, run_seed};

/// Seeds in which every mutation must have been noticed.
const MUTATION_SEEDS: u64 = 600;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn check(seed: u64, mutation: Option<Mutation>) -> Stats {
    run_seed(seed, mutation).unwrap_or_else(|violation| {
        panic!("seed {seed}: {violation}\n  {}", replay_command(seed, mutation))
    })
}

#[test]
fn sim_many_crashes_lose_nothing_that_was_acknowledged() {
    let seeds = number("RINGSTONE_SIM_SEEDS").unwrap_or(250);
    let first = number("RINGSTONE_SIM_FIRST").unwrap_or(0);
    let began = Instant::now();
    let mut stats = Stats::default();
    for seed in first..first + seeds {
        stats.add(check(seed, None));
    }
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    println!("{seeds} seeds, {stats:?}, {:.0} crashes a minute", stats.crashes as f64 / minutes);
    assert!(stats.crashes > seeds && stats.acknowledged > 0 && stats.cuts > 0 && stats.faults > 0);
}

#[test]
fn sim_every_broken_rule_is_noticed() {
    for mutation in Mutation::ALL {
        let noticed = (0..MUTATION_SEEDS)
            .find_map(|seed| Some((seed, run_seed(seed, Some(*mutation)).err()?)));
        match noticed {
            Some((seed, violation)) => println!("{:24} seed {seed}: {violation}", mutation.name()),
            None => panic!("{} goes unnoticed", mutation.name()),
        }
    }
}

#[test]
fn sim_replays_the_seed_asked_for() {
    let mutation = std::env::var("RINGSTONE_SIM_MUTATION").ok();
    let mutation = mutation.map(|name| Mutation::from_name(&name).expect("a mutation's name"));
    let seed = number("RINGSTONE_SIM_SEED").unwrap_or(0);
    println!("seed {seed}: {:?}", check(seed, mutation));
}

#[test]
fn sim_damaged_files_give_the_same_data_a_prefix_or_a_refusal() {
    let count = number("RINGSTONE_SIM_DAMAGES").unwrap_or(400);
    let mut outcomes = [0u64; 3];
    // 4433: a bit in the last group of a direct segment, which once gave no warning.
    for seed in [4433].into_iter().chain(0..count) {
        match damage_once(seed) {
            Ok(outcome) => outcomes[outcome as usize] += 1,
            Err(violation) => panic!("damage seed {seed}: {violation}"),
        }
    }
    println!("same, prefix, refused: {outcomes:?}");
    assert!(outcomes.iter().all(|n| *n > 0));
}
