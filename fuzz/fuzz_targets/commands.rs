//! Any commands of the table: none panics, and replaying the effects gives the same data.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringstone_engine::cmd::{self, Command};
use ringstone_engine::effect::Records;
use ringstone_engine::keyspace::Mode;
use ringstone_engine::reply::{NoReply, TreeSink};
use ringstone_engine::serial::digest;
use ringstone_engine::{ArgBuf, Args, Ctx, Keyspace};

const NOW_MS: i64 = 1_700_000_000_000;
const DATABASES: usize = 2;

/// A command of the table, its subcommand where it has some.
fn find(args: Args<'_>) -> Option<&'static Command> {
    let name = String::from_utf8_lossy(args.get(0)?).to_lowercase();
    let command = cmd::all().find(|c| c.spec.name == name)?;
    let sub = args.get(1).map(|sub| format!("{name}|{}", String::from_utf8_lossy(sub).to_lowercase()));
    Some(command.subs.iter().find(|c| Some(c.spec.name) == sub.as_deref()).unwrap_or(&command))
}

/// Lines of words; the first byte of a line that is no letter picks a command by number.
fn commands(data: &[u8]) -> impl Iterator<Item = ArgBuf> {
    let names: Vec<&str> = cmd::all().map(|c| c.spec.name).collect();
    data.split(|b| *b == b'\n').take(64).map(move |line| {
        let mut words: Vec<Vec<u8>> = line.split(|b| *b == b' ').map(<[u8]>::to_vec).collect();
        if let Some(first) = words[0].first().filter(|b| !b.is_ascii_alphabetic()) {
            words[0] = names[usize::from(*first) % names.len()].as_bytes().to_vec();
        }
        ArgBuf::from_parts(words)
    })
}

/// Every key with its expiry and content.
fn listing(keyspace: &mut Keyspace) -> Vec<(usize, Vec<u8>, Option<i64>, [u8; 20])> {
    let mut out = Vec::new();
    for index in 0..DATABASES {
        keyspace.db(index, NOW_MS, Mode::Replay).for_each(&mut |entry| {
            let digest = digest::value_digest(entry.value(), false);
            out.push((index, entry.key().to_vec(), entry.expire_at_ms(), digest));
        });
    }
    out.sort();
    out
}

fuzz_target!(|data: &[u8]| {
    let mut live = Keyspace::new(DATABASES, 7);
    let mut copy = Keyspace::new(DATABASES, 8);
    for args in commands(data) {
        let args = args.as_args();
        let Some(command) = find(args).filter(|c| c.spec.arity_fits(args.len())) else { continue };
        let mut sink = TreeSink::new(true);
        let mut ctx = Ctx { db: live.db(0, NOW_MS, Mode::Live), reply: &mut sink };
        let _ = (command.run)(&mut ctx, args);
        let records = live.effects.bytes().to_vec();
        live.effects.clear();
        for record in Records::new(&records) {
            let record = record.expect("a record that was just written");
            let command = cmd::by_opcode(record.opcode).expect("a row for every opcode");
            let mut args = ArgBuf::from_parts([command.spec.name]);
            record.args.as_args().iter_from(0).for_each(|arg| args.push(arg));
            let mut sink = NoReply::default();
            let mut ctx = Ctx { db: copy.db(record.db as usize, NOW_MS, Mode::Replay), reply: &mut sink };
            (command.run)(&mut ctx, args.as_args()).expect("an effect runs");
        }
    }
    assert_eq!(listing(&mut live), listing(&mut copy));
});
