//! HGETALL, HKEYS and HVALS.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::types::{Hash, Object};

/// HGETALL: returns all fields and values of a hash.
pub static HGETALL: Command = Command {
    spec: Spec {
        name: "hgetall",
        arity: 2,
        flags: Flags::READONLY,
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Hash,
        since: "2.0.0",
        complexity: "O(N) where N is the size of the hash.",
        summary: "Returns all fields and values of a hash.",
        args: &[Arg::new("key", ArgKind::Key)],
        tips: &["nondeterministic_output_order"],
        examples: &[
            ("HSET k a 1 b 2", "(integer) 2"),
            ("HGETALL k", "1) \"a\" 2) \"1\" 3) \"b\" 4) \"2\""),
            ("HGETALL none", "(empty array)"),
        ],
        ..Spec::DEFAULT
    },
    run: hgetall,
    subs: &[],
};

/// HKEYS: returns all fields of a hash.
pub static HKEYS: Command = Command {
    spec: Spec {
        name: "hkeys",
        arity: 2,
        flags: Flags::READONLY,
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Hash,
        since: "2.0.0",
        complexity: "O(N) where N is the size of the hash.",
        summary: "Returns all fields of a hash.",
        args: &[Arg::new("key", ArgKind::Key)],
        tips: &["nondeterministic_output_order"],
        examples: &[("HSET k a 1 b 2", "(integer) 2"), ("HKEYS k", "1) \"a\" 2) \"b\"")],
        ..Spec::DEFAULT
    },
    run: hkeys,
    subs: &[],
};

/// HVALS: returns all values of a hash.
pub static HVALS: Command = Command {
    spec: Spec {
        name: "hvals",
        arity: 2,
        flags: Flags::READONLY,
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Hash,
        since: "2.0.0",
        complexity: "O(N) where N is the size of the hash.",
        summary: "Returns all values of a hash.",
        args: &[Arg::new("key", ArgKind::Key)],
        tips: &["nondeterministic_output_order"],
        examples: &[("HSET k a 1 b 2", "(integer) 2"), ("HVALS k", "1) \"1\" 2) \"2\"")],
        ..Spec::DEFAULT
    },
    run: hvals,
    subs: &[],
};

fn hgetall(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let Some(hash) = ctx.db.get_as::<Hash>(args.at(1))? else {
        ctx.reply.map(0);
        return Ok(());
    };
    ctx.reply.map(hash.len());
    let mut scratch = itoa::Buffer::new();
    for (field, value) in hash.iter() {
        ctx.reply.bulk(field.bytes(&mut scratch));
        ctx.reply.bulk(value.bytes(&mut scratch));
    }
    Ok(())
}

fn hkeys(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    half(ctx, args, true)
}

fn hvals(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    half(ctx, args, false)
}

fn half(ctx: &mut Ctx<'_>, args: Args<'_>, fields: bool) -> CmdResult {
    let Some(hash) = ctx.db.get_as::<Hash>(args.at(1))? else {
        ctx.reply.array(0);
        return Ok(());
    };
    ctx.reply.array(hash.len());
    let mut scratch = itoa::Buffer::new();
    for (field, value) in hash.iter() {
        let item = if fields { field } else { value };
        ctx.reply.bulk(item.bytes(&mut scratch));
    }
    Ok(())
}
