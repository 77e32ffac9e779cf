//! DUMP.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::serial;

/// DUMP: returns a value in the form that RESTORE takes.
pub static DUMP: Command = Command {
    spec: Spec {
        name: "dump",
        arity: 2,
        flags: Flags::READONLY,
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        since: "2.6.0",
        complexity: "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1).",
        summary: "Returns a value in the form that RESTORE takes.",
        args: &[Arg::new("key", ArgKind::Key)],
        tips: &["nondeterministic_output"],
        examples: &[
            ("DUMP none", "(nil)"),
            ("SET k 10", "OK"),
            ("DUMP k", "\"\\x00\\xc0\\n\\n\\x00n\\x9fWE\\x0e\\xaec\\xbb\""),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let payload = ctx.db.get(args.at(1)).map(|entry| serial::dump_payload(entry.value()));
    ctx.reply.bulk_or_null(payload.as_deref());
    Ok(())
}
