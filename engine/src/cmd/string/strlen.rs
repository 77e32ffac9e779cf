//! STRLEN.

use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::raw::Entry;

/// STRLEN: returns the length of the string under a key.
pub static STRLEN: Command = Command {
    spec: Spec {
        name: "strlen",
        arity: 2,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::STRING,
        keys: &[KeySpec::one(KeyFlags::RO)],
        group: Group::String,
        since: "2.2.0",
        summary: "Returns the length of the string under a key.",
        args: &[Arg::new("key", ArgKind::Key)],
        examples: &[
            ("STRLEN k", "(integer) 0"),
            ("SET k hello", "OK"),
            ("STRLEN k", "(integer) 5"),
            ("SET k -123", "OK"),
            ("STRLEN k", "(integer) 4"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let len = len_of(ctx.db.get(args.at(1)))?;
    ctx.reply.len(len.unwrap_or(0));
    Ok(())
}

/// Length in bytes of the string in an entry.
pub(in crate::cmd) fn len_of(entry: Option<&Entry>) -> Result<Option<usize>, Error> {
    let Some(entry) = entry else { return Ok(None) };
    Ok(Some(entry.value().str_bytes(&mut itoa::Buffer::new())?.len()))
}
