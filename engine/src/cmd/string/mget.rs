//! MGET.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::raw::Entry;

/// MGET: returns the strings under several keys.
pub static MGET: Command = Command {
    spec: Spec {
        name: "mget",
        arity: -2,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::STRING,
        keys: &[KeySpec::range(KeyFlags::RO.union(KeyFlags::ACCESS), 1, -1, 1)],
        group: Group::String,
        complexity: "O(N) where N is the number of keys to retrieve.",
        summary: "Returns the strings under several keys.",
        args: &[Arg::new("key", ArgKind::Key).multiple()],
        tips: &["request_policy:multi_shard"],
        examples: &[("MSET a 1 b two", "OK"), ("MGET a none b", "1) \"1\" 2) (nil) 3) \"two\"")],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    ctx.reply.array(args.len() - 1);
    for key in args.iter_from(1) {
        let value = ctx.db.get(key).map(Entry::value);
        let mut scratch = itoa::Buffer::new();
        // A key of another type counts as one that is not there.
        let text = value.as_ref().and_then(|value| value.str_bytes(&mut scratch).ok());
        ctx.reply.bulk_or_null(text);
    }
    Ok(())
}
