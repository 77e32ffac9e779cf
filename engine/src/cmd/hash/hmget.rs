//! HMGET.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::types::Hash;

/// HMGET: returns the values of several of a hash's fields.
pub static HMGET: Command = Command {
    spec: Spec {
        name: "hmget",
        arity: -3,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Hash,
        since: "2.0.0",
        complexity: "O(N) where N is the number of fields being requested.",
        summary: "Returns the values of several of a hash's fields.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("field", ArgKind::String).multiple()],
        examples: &[
            ("HSET k a 1 b 2", "(integer) 2"),
            ("HMGET k b x a", "1) \"2\" 2) (nil) 3) \"1\""),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let hash = ctx.db.get_as::<Hash>(args.at(1))?;
    ctx.reply.array(args.len() - 2);
    let mut scratch = itoa::Buffer::new();
    for field in args.iter_from(2) {
        match hash.and_then(|hash| hash.get(field)) {
            Some(value) => ctx.reply.bulk(value.bytes(&mut scratch)),
            None => ctx.reply.null(),
        }
    }
    Ok(())
}
