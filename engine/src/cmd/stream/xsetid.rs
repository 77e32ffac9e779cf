//! XSETID

use super::common::{integer, strict_id};
use crate::args::Args;
use crate::cmd::{
    Acl, Arg, ArgKind, Command, Flags, Group as CommandGroup, KeyFlags, KeySpec, Spec,
};
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};
use crate::types::stream::StreamId;
use crate::types::{Object, Stream};

/// `XSETID`
pub static XSETID: Command = Command {
    spec: Spec {
        name: "xsetid",
        arity: -3,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::STREAM,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE))],
        opcode: 387,
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Sets a stream's last id.",
        history: &[("7.0.0", "Added the `entries_added` and `max_deleted_entry_id` arguments.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("last-id", ArgKind::String),
            Arg::new("entries_added", ArgKind::Integer)
                .token("ENTRIESADDED")
                .optional()
                .since("7.0.0"),
            Arg::new("max_deleted_entry_id", ArgKind::String)
                .token("MAXDELETEDID")
                .optional()
                .since("7.0.0"),
        ],
        examples: &[
            ("XADD log 1-1 temp 20", "\"1-1\""),
            ("XSETID log 9-0 ENTRIESADDED 5", "OK"),
            (
                "XADD log 8-0 a b",
                "(error) ERR The ID specified in XADD is equal or smaller than the target stream top item",
            ),
        ],
        ..Spec::DEFAULT
    },
    run: xsetid,
    subs: &[],
};

fn xsetid(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let id = strict_id(args.at(2))?;
    let (mut added, mut max_deleted) = (None, None);
    let mut at = 3;
    while at < args.len() {
        let value = args.get(at + 1);
        match value {
            Some(value) if args.is(at, "entriesadded") => {
                let count = u64::try_from(integer(value)?);
                added = Some(count.map_err(|_| Error::text("ERR entries_added must be positive"))?);
            }
            Some(value) if args.is(at, "maxdeletedid") => {
                let deleted = strict_id(value)?;
                if id < deleted {
                    return Err(Error::text(
                        "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                    ));
                }
                max_deleted = Some(deleted).filter(|deleted| *deleted != StreamId::MIN);
            }
            _ => return Err(Error::Syntax),
        }
        at += 2;
    }
    let stream = ctx.db.get_mut_as::<Stream>(args.at(1))?.ok_or(Error::NoSuchKey)?;
    if let Some(last) = stream.last_live_id() {
        if id < last {
            return Err(Error::text(
                "ERR The ID specified in XSETID is smaller than the target stream top item",
            ));
        }
        if added.is_some_and(|added| added < stream.len() as u64) {
            return Err(Error::text(
                "ERR The entries_added specified in XSETID is smaller than the target stream length",
            ));
        }
    }
    stream.set_last_id(id, added, max_deleted);
    ctx.db.effect_verbatim(XSETID.spec.opcode, args);
    ctx.db.notify(Classes::STREAM, "xsetid", args.at(1));
    ctx.reply.ok();
    Ok(())
}
