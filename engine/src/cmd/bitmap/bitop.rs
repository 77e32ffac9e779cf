//! BITOP.

use super::{read, store};
use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;

/// BITOP: combines strings bit by bit and stores the result; shorter ones are padded with zeros.
pub static BITOP: Command = Command {
    spec: Spec {
        name: "bitop",
        arity: -4,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::BITMAP,
        keys: &[
            KeySpec::range(KeyFlags::OW.union(KeyFlags::UPDATE), 2, 0, 1),
            KeySpec::range(KeyFlags::RO.union(KeyFlags::ACCESS), 3, -1, 1),
        ],
        group: Group::Bitmap,
        since: "2.6.0",
        complexity: "O(N)",
        summary: "Combines strings bit by bit and stores the result; shorter ones are padded with zeros.",
        args: &[
            Arg::new("operation", ArgKind::String),
            Arg::new("destkey", ArgKind::Key),
            Arg::new("key", ArgKind::Key).multiple(),
        ],
        examples: &[
            ("MSET a foobar b abcdef", "OK"),
            ("BITOP AND d a b", "(integer) 6"),
            ("GET d", "\"`bc`ab\""),
            ("BITOP NOT d none", "(integer) 0"),
            ("EXISTS d", "(integer) 0"),
            ("BITOP NOT d a b", "(error) ERR BITOP NOT must be called with a single source key."),
            ("BITOP NAND d a b", "(error) ERR syntax error"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (negate, combine): (bool, fn(u8, u8) -> u8) = if args.is(1, "AND") {
        (false, |a, b| a & b)
    } else if args.is(1, "OR") {
        (false, |a, b| a | b)
    } else if args.is(1, "XOR") {
        (false, |a, b| a ^ b)
    } else if args.is(1, "NOT") {
        (true, |a, _| a)
    } else {
        return Err(Error::Syntax);
    };
    if negate && args.len() != 4 {
        return Err(Error::text("ERR BITOP NOT must be called with a single source key."));
    }
    let mut result: Option<Vec<u8>> = None;
    for key in args.iter_from(3) {
        let source = read(&mut ctx.db, key, <[u8]>::to_vec)?.unwrap_or_default();
        result = Some(match result {
            None => source,
            Some(result) => combined(result, source, combine),
        });
    }
    let mut result = result.unwrap_or_default();
    if negate {
        result.iter_mut().for_each(|byte| *byte = !*byte);
    }
    ctx.reply.len(result.len());
    store(&mut ctx.db, args.at(2), result)
}

fn combined(mut a: Vec<u8>, mut b: Vec<u8>, combine: fn(u8, u8) -> u8) -> Vec<u8> {
    let len = a.len().max(b.len());
    a.resize(len, 0);
    b.resize(len, 0);
    a.iter_mut().zip(b).for_each(|(a, b)| *a = combine(*a, b));
    a
}
