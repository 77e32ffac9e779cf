//! XTRIM

use super::trim::TrimOptions;
use crate::args::Args;
use crate::cmd::{
    Acl, Arg, ArgKind, Command, Flags, Group as CommandGroup, KeyFlags, KeySpec, REFERENCES, Spec,
};
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};
use crate::types::{Object, Stream};

/// `XTRIM`
pub static XTRIM: Command = Command {
    spec: Spec {
        name: "xtrim",
        arity: -4,
        flags: Flags::WRITE,
        acl: Acl::STREAM,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::DELETE))],
        opcode: 385,
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "O(N), with N being the number of evicted entries. Constant times are very small however, since entries are organized in macro nodes containing multiple entries that can be released with a single deallocation.",
        summary: "Removes old entries.",
        history: &[("6.2.0", "Added the `MINID` trimming strategy and the `LIMIT` option.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::block(
                "trim",
                &[
                    Arg::one_of(
                        "strategy",
                        &[
                            Arg::word("maxlen", "MAXLEN"),
                            Arg::word("minid", "MINID").since("6.2.0"),
                        ],
                    ),
                    Arg::one_of(
                        "operator",
                        &[Arg::word("equal", "="), Arg::word("approximately", "~")],
                    )
                    .optional(),
                    Arg::new("threshold", ArgKind::String),
                    Arg::new("count", ArgKind::Integer).token("LIMIT").optional().since("6.2.0"),
                    REFERENCES.since("8.2.0"),
                ],
            ),
        ],
        tips: &["nondeterministic_output"],
        examples: &[
            ("XADD log 1-1 temp 20", "\"1-1\""),
            ("XADD log 2-1 temp 21", "\"2-1\""),
            ("XTRIM log MAXLEN 1", "(integer) 1"),
            ("XTRIM log MINID 2", "(integer) 0"),
        ],
        ..Spec::DEFAULT
    },
    run: xtrim,
    subs: &[],
};

fn xtrim(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (mut trim, mut at) = (TrimOptions::default(), 2);
    while at < args.len() {
        match trim.read(args, at)? {
            0 => return Err(Error::Syntax),
            taken => at += taken,
        }
    }
    trim.check(true, ctx.db.mode())?;
    let limits = ctx.db.limits();
    let Some(stream) = ctx.db.get_mut_as::<Stream>(args.at(1))? else {
        ctx.reply.int(0);
        return Ok(());
    };
    let trimmed = trim.apply(stream, &limits);
    let len = stream.len().to_string();
    trimmed.removal.record(&mut ctx.db, args.at(1), "xtrim");
    if trimmed.count > 0 && trimmed.is_head {
        ctx.db.effect(XTRIM.spec.opcode, &[args.at(1), b"MAXLEN", len.as_bytes()]);
        ctx.db.notify(Classes::STREAM, "xtrim", args.at(1));
    }
    ctx.reply.int(i64::try_from(trimmed.count).unwrap_or(i64::MAX));
    Ok(())
}
