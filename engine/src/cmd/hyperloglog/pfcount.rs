//! PFCOUNT.

use super::{keep_estimate, read};
use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::hll::{self, Histogram, REGISTERS};
use crate::keyspace::Ctx;

/// PFCOUNT: estimates how many different elements were added to HyperLogLogs.
pub static PFCOUNT: Command = Command {
    spec: Spec {
        name: "pfcount",
        arity: -2,
        flags: Flags::READONLY.union(Flags::MAY_REPLICATE),
        acl: Acl::HYPERLOGLOG,
        keys: &[KeySpec {
            notes: Some(
                "RW because it may change the internal representation of the key, and propagate to replicas",
            ),
            ..KeySpec::range(KeyFlags::RW.union(KeyFlags::ACCESS), 1, -1, 1)
        }],
        group: Group::HyperLogLog,
        since: "2.8.9",
        complexity: "O(1) with a very small average constant time when called with a single key. O(N) with N being the number of keys, and much bigger constant times, when called with multiple keys.",
        summary: "Estimates how many different elements were added to HyperLogLogs.",
        args: &[Arg::new("key", ArgKind::Key).multiple()],
        examples: &[
            ("PFADD {h}1 a b c", "(integer) 1"),
            ("PFADD {h}2 c d", "(integer) 1"),
            ("PFCOUNT {h}1", "(integer) 3"),
            ("PFCOUNT {h}1 {h}2 none", "(integer) 4"),
            ("PFCOUNT none", "(integer) 0"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let estimate = if args.len() > 2 { of_union(ctx, args)? } else { of_one(ctx, args.at(1))? };
    ctx.reply.int(i64::try_from(estimate).unwrap_or(i64::MAX));
    Ok(())
}

/// The estimate is kept in the string until something is added.
fn of_one(ctx: &mut Ctx<'_>, key: &[u8]) -> Result<u64, Error> {
    let found = read(&mut ctx.db, key, true, |bytes, _| match hll::cached(bytes) {
        Some(estimate) => Ok((estimate, true)),
        None => Ok((hll::count(bytes)?, false)),
    })?;
    let Some((estimate, cached)) = found else { return Ok(0) };
    if !cached {
        keep_estimate(&mut ctx.db, key, estimate);
    } else if ctx.db.peek(key).is_some_and(|entry| entry.encoding() != "raw") {
        // Redis makes it a string to be changed in place before it looks whether there is something to change.
        if let Some(entry) = ctx.db.get_mut(key) {
            entry.bytes_mut(0);
        }
    }
    Ok(estimate)
}

fn of_union(ctx: &mut Ctx<'_>, args: Args<'_>) -> Result<u64, Error> {
    let mut registers = [0; REGISTERS];
    for key in args.iter_from(1) {
        read(&mut ctx.db, key, true, |bytes, _| hll::merge(bytes, &mut registers))?;
    }
    let mut histogram = Histogram::default();
    registers.iter().for_each(|value| histogram.add(*value, 1));
    Ok(histogram.estimate())
}
