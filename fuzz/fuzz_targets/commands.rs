//! Any commands of the table: none panics, replaying the effects gives the same data, and all of it survives DUMP and RESTORE.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringstone_engine::cmd::{self, Command};
use ringstone_engine::{ArgBuf, Args};
use ringstone_tests::generate::pair::Pair;
use ringstone_proto::resp::split_args;

const NOW_MS: i64 = 1_700_000_000_000;

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

fuzz_target!(|data: &[u8]| {
    let mut pair = Pair::default();
    for args in commands(data) {
        let args = args.as_args();
        let Some(command) = find(args).filter(|c| c.spec.arity_fits(args.len())) else { continue };
        if !is_endless(command, args) {
            pair.run(command, args, 0, NOW_MS);
        }
    }
    pair.check();
});
