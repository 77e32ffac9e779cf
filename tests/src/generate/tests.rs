use std::collections::BTreeMap;

use ringstone_engine::keyspace::Mode;
use ringstone_engine::reply::NoReply;
use ringstone_engine::{ArgBuf, Ctx, Keyspace};

use super::*;

/// Found by the simulator: the result was recorded before the end of what it replaced.
#[test]
fn a_bitop_onto_a_key_whose_time_is_up_is_replayed_as_it_was_run() {
    let (mut pair, now_ms) = (pair::Pair::default(), 1_700_000_000_000);
    let mut run = |words: &[&str], now_ms| {
        let command = cmd::all().find(|command| command.spec.name == words[0]).unwrap();
        pair.run(command, ArgBuf::from_parts(words).as_args(), 0, now_ms);
    };
    run(&["set", "to", "old", "PX", "10"], now_ms);
    run(&["setbit", "from", "7", "1"], now_ms);
    run(&["bitop", "OR", "to", "from", "from"], now_ms + 1000);
    pair.check();
    assert_eq!(pair.live.len(), 2);
}

#[test]
fn most_commands_are_valid_and_each_is_at_times() {
    let mut generator = Generator::new(|spec| spec.name != "pfselftest");
    let (mut rng, mut keyspace) = (Rng::new(1), Keyspace::new(2, 1));
    let mut runs: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for _ in 0..60_000 {
        let (command, words) = generator.command(&mut rng);
        let args = ArgBuf::from_parts(&words);
        let mut sink = NoReply::default();
        let mut ctx = Ctx { db: keyspace.db(0, 1_700_000_000_000, Mode::Live), reply: &mut sink };
        let fits = command.spec.arity_fits(args.as_args().len());
        let valid = fits && (command.run)(&mut ctx, args.as_args()).is_ok();
        keyspace.effects.clear();
        let (all, good) = runs.entry(command.spec.name).or_default();
        *all += 1;
        *good += u32::from(valid);
    }
    let never: Vec<&str> = runs.iter().filter(|(_, (_, good))| *good == 0).map(|r| *r.0).collect();
    assert_eq!(never, ["restore"], "RESTORE needs a payload");
    let (all, good) = runs.values().fold((0, 0), |sum, run| (sum.0 + run.0, sum.1 + run.1));
    assert!(good * 4 > all * 3, "{good} of {all} are valid: {runs:?}");
}

#[test]
fn a_seed_and_bytes_give_the_same_commands_again() {
    let made = |choices: &mut dyn Choices| {
        let mut generator = Generator::new(|_| true);
        (0..50).map(|_| generator.command(choices).1).collect::<Vec<_>>()
    };
    assert_eq!(made(&mut Rng::new(5)), made(&mut Rng::new(5)));
    assert_ne!(made(&mut Rng::new(5)), made(&mut Rng::new(6)));
    let bytes: Vec<u8> = (0..200).collect();
    assert_eq!(made(&mut Bytes(&bytes)), made(&mut Bytes(&bytes)));
}

#[test]
fn what_commands_record_gives_the_same_data_again() {
    for seed in 0..40 {
        let (mut generator, mut rng) = (Generator::new(|s| s.name != "pfselftest"), Rng::new(seed));
        let (mut pair, mut now_ms) = (pair::Pair::default(), 1_700_000_000_000);
        let mut lines = Vec::new();
        for _ in 0..400 {
            now_ms += rng.below(100) as i64;
            let (command, words) = generator.command(&mut rng);
            if command.spec.arity_fits(words.len()) {
                lines.push(String::from_utf8_lossy(&words.join(&b' ')).into_owned());
                pair.run(command, ArgBuf::from_parts(&words).as_args(), 0, now_ms);
            }
        }
        pair.check();
    }
}
