//! Any commands of the table: none panics, replaying the effects gives the same data, and all of it survives DUMP and RESTORE.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringstone_engine::cmd::{self, Command};
use ringstone_engine::effect::Records;
use ringstone_engine::keyspace::Mode;
use ringstone_engine::reply::NoReply;
use ringstone_engine::serial::{digest, dump};
use ringstone_engine::{ArgBuf, Args, Ctx, Keyspace};
use ringstone_proto::resp::split_args;

const NOW_MS: i64 = 1_700_000_000_000;
const DATABASES: usize = 2;
/// `SETRANGE k 500000000 x` is a wish that is granted, but not here.
const STRING_LEN_MAX: usize = 1 << 20;

/// A command of the table, its subcommand where it has some.
fn find(args: Args<'_>) -> Option<&'static Command> {
    let name = String::from_utf8_lossy(args.get(0)?).to_lowercase();
    let command = cmd::all().find(|c| c.spec.name == name)?;
    let sub =
        args.get(1).map(|sub| format!("{name}|{}", String::from_utf8_lossy(sub).to_lowercase()));
    Some(command.subs.iter().find(|c| Some(c.spec.name) == sub.as_deref()).unwrap_or(&command))
}

/// Asked for billions of random elements with repetition, Redis, too, answers for hours.
fn is_endless(command: &Command, args: Args<'_>) -> bool {
    command.spec.name.contains("rand")
        && args.iter_from(2).any(|arg| arg.len() > 5 && arg.starts_with(b"-"))
}

/// Lines of words, quoted as on a command line; the first byte of a line that is no letter picks a command by number.
fn commands(data: &[u8]) -> impl Iterator<Item = ArgBuf> {
    let names: Vec<&str> = cmd::all().map(|c| c.spec.name).collect();
    data.split(|b| *b == b'\n').take(64).map(move |line| {
        let plain = |_| line.split(|b| *b == b' ').map(<[u8]>::to_vec).collect();
        let mut words: Vec<Vec<u8>> = split_args(line).unwrap_or_else(plain);
        if let Some(word) = words.first_mut()
            && let Some(first) = word.first().filter(|b| !b.is_ascii_alphabetic())
        {
            *word = names[usize::from(*first) % names.len()].as_bytes().to_vec();
        }
        ArgBuf::from_parts(words)
    })
}

/// Every key with its expiry and content.
fn listing(keyspace: &mut Keyspace) -> Vec<(usize, Vec<u8>, Option<i64>, [u8; 20])> {
    let limits = keyspace.limits;
    let mut out = Vec::new();
    for index in 0..DATABASES {
        keyspace.db(index, NOW_MS, Mode::Replay).for_each(&mut |entry| {
            let digest = digest::value_digest(entry.value(), false);
            let again = dump::restore_payload(&dump::dump_payload(entry.value()), &limits);
            let again = again.expect("what was dumped is restored");
            assert_eq!(digest::value_digest(again.as_ref(), false), digest);
            out.push((index, entry.key().to_vec(), entry.expire_at_ms(), digest));
        });
    }
    out.sort();
    out
}

fn new_keyspace(seed: u64) -> Keyspace {
    let mut keyspace = Keyspace::new(DATABASES, seed);
    keyspace.limits.string_len_max = STRING_LEN_MAX;
    keyspace
}

fuzz_target!(|data: &[u8]| {
    let mut live = new_keyspace(7);
    let mut copy = new_keyspace(8);
    for args in commands(data) {
        let args = args.as_args();
        let Some(command) = find(args).filter(|c| c.spec.arity_fits(args.len())) else { continue };
        if is_endless(command, args) {
            continue;
        }
        let mut sink = NoReply::default();
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
            let mut ctx =
                Ctx { db: copy.db(record.db as usize, NOW_MS, Mode::Replay), reply: &mut sink };
            (command.run)(&mut ctx, args.as_args()).expect("an effect runs");
        }
    }
    assert_eq!(listing(&mut live), listing(&mut copy));
});
