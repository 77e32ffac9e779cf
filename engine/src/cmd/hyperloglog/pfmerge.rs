//! PFMERGE.

use super::{read, sparse_len_max, store};
use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::hll::{self, Encoding, REGISTERS};
use crate::keyspace::{Classes, Ctx};

/// PFMERGE: merges HyperLogLogs into one.
pub static PFMERGE: Command = Command {
    spec: Spec {
        name: "pfmerge",
        arity: -2,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::HYPERLOGLOG,
        keys: &[
            KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::INSERT)),
            KeySpec::range(KeyFlags::RO.union(KeyFlags::ACCESS), 2, -1, 1),
        ],
        group: Group::HyperLogLog,
        since: "2.8.9",
        complexity: "O(N) to merge N HyperLogLogs, but with high constant times.",
        summary: "Merges HyperLogLogs into one.",
        args: &[Arg::new("destkey", ArgKind::Key), Arg::new("sourcekey", ArgKind::Key).multiple()],
        examples: &[
            ("PFADD {h}1 a b c", "(integer) 1"),
            ("PFADD {h}2 c d", "(integer) 1"),
            ("PFMERGE {h} {h}1 {h}2 none", "OK"),
            ("PFCOUNT {h}", "(integer) 4"),
            ("PFMERGE {h}empty", "OK"),
            ("PFCOUNT {h}empty", "(integer) 0"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let key = args.at(1);
    let mut registers = [0; REGISTERS];
    let mut dense = false;
    for source in args.iter_from(1) {
        read(&mut ctx.db, source, true, |bytes, encoding| {
            dense |= encoding == Encoding::Dense;
            hll::merge(bytes, &mut registers)
        })?;
    }
    let target = read(&mut ctx.db, key, false, |bytes, _| Ok(bytes.to_vec()))?;
    let mut target = target.unwrap_or_else(hll::new);
    if dense {
        hll::make_dense(&mut target)?;
    }
    let sparse_len_max = sparse_len_max(&ctx.db);
    for (index, value) in registers.iter().enumerate().filter(|(_, value)| **value > 0) {
        hll::raise(&mut target, index, *value, sparse_len_max)?;
    }
    hll::invalidate(&mut target);
    store(&mut ctx.db, key, target);
    ctx.db.notify(Classes::STRING, "pfadd", key);
    ctx.reply.ok();
    Ok(())
}
