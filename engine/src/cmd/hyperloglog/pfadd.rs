//! PFADD.

use super::{checked, keep, sparse_len_max, store};
use crate::args::Args;
use crate::cmd::*;
use crate::effect::Opcode;
use crate::error::{CmdResult, Error};
use crate::hll::{self, Encoding, dense};
use crate::keyspace::{Classes, Ctx};
use crate::types::Value;

const OPCODE: Opcode = 576;

/// PFADD: adds elements to a HyperLogLog, which is made when it is not there.
pub static PFADD: Command = Command {
    spec: Spec {
        name: "pfadd",
        arity: -2,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::HYPERLOGLOG,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::INSERT))],
        opcode: OPCODE,
        group: Group::HyperLogLog,
        since: "2.8.9",
        complexity: "O(1) to add every element.",
        summary: "Adds elements to a HyperLogLog, which is made when it is not there.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("element", ArgKind::String).optional().multiple(),
        ],
        examples: &[
            ("PFADD h a b c", "(integer) 1"),
            ("PFADD h a", "(integer) 0"),
            ("PFCOUNT h", "(integer) 3"),
            ("PFADD new", "(integer) 1"),
            ("PFADD new", "(integer) 0"),
            ("SET s text", "OK"),
            ("PFADD s a", "(error) WRONGTYPE Key is not a valid HyperLogLog string value."),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let key = args.at(1);
    let sparse_len_max = sparse_len_max(&ctx.db);
    let found = super::read(&mut ctx.db, key, false, |_, encoding| Ok(encoding))?;
    if found.is_none() {
        keep(&mut ctx.db, key, hll::new());
    }
    let Some(entry) = ctx.db.get_mut(key) else { return Err(Error::NoSuchKey) };
    let mut changed = found.is_none();
    let bytes = entry.bytes_mut(0);
    let mut became_dense = None;
    if checked(bytes)? == Encoding::Dense {
        for element in args.iter_from(2) {
            let (index, value) = hll::place_of(element);
            changed |= dense::raise(bytes, index, value);
        }
        if changed {
            hll::invalidate(bytes);
        }
    } else {
        let mut bytes = bytes.to_vec();
        for element in args.iter_from(2) {
            let (index, value) = hll::place_of(element);
            changed |= hll::raise(&mut bytes, index, value, sparse_len_max)?;
        }
        if changed {
            hll::invalidate(&mut bytes);
            if checked(&bytes)? == Encoding::Dense {
                became_dense = Some(bytes);
            } else {
                entry.set_value(Value::Bytes(bytes));
                entry.bytes_mut(0);
            }
        }
    }
    match became_dense {
        Some(bytes) => store(&mut ctx.db, key, bytes),
        None if changed => ctx.db.effect_verbatim(OPCODE, args),
        None => {}
    }
    if changed {
        ctx.db.notify(Classes::STRING, "pfadd", key);
    }
    ctx.reply.int(i64::from(changed));
    Ok(())
}
