//! XDELEX and XACKDEL, as Redis 8.2 has them.

use super::common::strict_id;
use super::references::{Removal, Removed, read_ids};
use crate::args::Args;
use crate::cmd::{
    Acl, Arg, ArgKind, Command, Flags, Group as CommandGroup, KeyFlags, KeySpec, REFERENCES, Spec,
};
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::types::Stream;
use crate::types::stream::StreamId;

/// XDELEX: removes entries, minding the groups that refer to them.
pub static XDELEX: Command = Command {
    spec: Spec {
        name: "xdelex",
        arity: -5,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::STREAM,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::DELETE))],
        group: CommandGroup::Stream,
        since: "8.2.0",
        complexity: "O(1) for each single item to delete in the stream, regardless of the stream size.",
        summary: "Removes entries, minding the groups that refer to them.",
        args: &[Arg::new("key", ArgKind::Key), REFERENCES, IDS],
        examples: &[
            ("XADD log 1-1 temp 20", "\"1-1\""),
            ("XGROUP CREATE log g 0", "OK"),
            ("XDELEX log ACKED IDS 2 1-1 5-5", "1) (integer) 2 2) (integer) -1"),
            ("XDELEX log IDS 1 1-1", "1) (integer) 1"),
            ("XDELEX log IDS 0 1-1", "(error) ERR Number of IDs must be a positive integer"),
        ],
        ..Spec::DEFAULT
    },
    run: xdelex,
    subs: &[],
};

/// XACKDEL: acknowledges entries that a group was given, and removes them.
pub static XACKDEL: Command = Command {
    spec: Spec {
        name: "xackdel",
        arity: -6,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::STREAM,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE).union(KeyFlags::DELETE))],
        group: CommandGroup::Stream,
        since: "8.2.0",
        complexity: "O(1) for each message ID processed.",
        summary: "Acknowledges entries that a group was given, and removes them.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("group", ArgKind::String), REFERENCES, IDS],
        examples: &[
            ("XADD log 1-1 temp 20", "\"1-1\""),
            ("XGROUP CREATE log g 0", "OK"),
            (
                "XREADGROUP GROUP g ann STREAMS log >",
                "1) 1) \"log\" 2) 1) 1) \"1-1\" 2) 1) \"temp\" 2) \"20\"",
            ),
            ("XACKDEL log g ACKED IDS 2 1-1 7-7", "1) (integer) 1 2) (integer) -1"),
            ("XLEN log", "(integer) 0"),
        ],
        ..Spec::DEFAULT
    },
    run: xackdel,
    subs: &[],
};

const IDS: Arg = Arg::block(
    "ids",
    &[Arg::new("numids", ArgKind::Integer), Arg::new("id", ArgKind::String).multiple()],
)
.token("IDS");

fn xdelex(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (references, ids) = read_ids(args, 2)?;
    let Some(stream) = ctx.db.get_mut_as::<Stream>(args.at(1))? else {
        reply_absent(ctx, ids.len());
        return Ok(());
    };
    let ids = read_all(&ids)?;
    let mut removal = Removal::default();
    let codes: Vec<_> = ids.into_iter().map(|id| removal.remove(stream, id, references)).collect();
    finish(ctx, args.at(1), &removal, &codes);
    Ok(())
}

fn xackdel(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (references, ids) = read_ids(args, 3)?;
    let (key, group) = (args.at(1), args.at(2));
    let stream = ctx.db.get_mut_as::<Stream>(key)?;
    let Some(stream) = stream.filter(|stream| stream.group(group).is_some()) else {
        reply_absent(ctx, ids.len());
        return Ok(());
    };
    let ids = read_all(&ids)?;
    let mut removal = Removal::default();
    let codes: Vec<_> = ids
        .into_iter()
        .map(|id| {
            if !removal.acknowledge(stream, group, id) {
                return Removed::Absent;
            }
            match removal.remove(stream, id, references) {
                // Somebody else has removed it already: it is acknowledged, and gone.
                Removed::Absent | Removed::Gone => Removed::Gone,
                Removed::Needed => Removed::Needed,
            }
        })
        .collect();
    finish(ctx, key, &removal, &codes);
    Ok(())
}

fn read_all(ids: &[&[u8]]) -> Result<Vec<StreamId>, Error> {
    ids.iter().map(|id| strict_id(id)).collect()
}

fn reply_absent(ctx: &mut Ctx<'_>, count: usize) {
    ctx.reply.array(count);
    (0..count).for_each(|_| ctx.reply.int(Removed::Absent.code()));
}

fn finish(ctx: &mut Ctx<'_>, key: &[u8], removal: &Removal, codes: &[Removed]) {
    removal.record(&mut ctx.db, key, "xdel");
    ctx.reply.array(codes.len());
    codes.iter().for_each(|code| ctx.reply.int(code.code()));
}
