//! ACL DRYRUN.

use ringstone_engine::cmd::{Arg, ArgKind, Spec};
use ringstone_engine::error::word;
use ringstone_engine::{ArgBuf, Args, Error, Reply};

use super::super::{Host, HostCommand, Outcome};
use super::ADMIN_SUB;
use crate::acl::Reason;

pub(super) static DRYRUN: HostCommand = HostCommand {
    spec: Spec {
        name: "acl|dryrun",
        arity: -4,
        since: "7.0.0",
        complexity: "O(1).",
        summary: "Tells whether a user may run a command, without running it.",
        args: &[
            Arg::new("username", ArgKind::String),
            Arg::new("command", ArgKind::String),
            Arg::new("arg", ArgKind::String).optional().multiple(),
        ],
        ..ADMIN_SUB
    },
    run: dry_run,
    subs: &[],
};

fn dry_run(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let text = |at: usize| word(args.at(at));
    let users = host.shard.shared.users();
    let user = users.get(args.at(2));
    let user = user.ok_or_else(|| Error::owned(format!("ERR User '{}' not found", text(2))))?;
    let line = ArgBuf::from_parts(args.iter_from(3));
    let line = line.as_args();
    let top = host.shard.table.find(line.at(0));
    let entry = match top {
        Some(top) if !top.subs.is_empty() && line.len() > 1 => top.sub(line),
        top => top,
    };
    let entry =
        entry.ok_or_else(|| Error::owned(format!("ERR Command '{}' not found", text(3))))?;
    if !entry.spec.arity_fits(line.len()) {
        return Err(Error::Arity(entry.spec.name.into()));
    }
    let Err(denied) = user.may(entry, line) else { return host.ok() };
    let object = || word(line.at(denied.argument));
    let answer = match denied.reason {
        Reason::Command => format!("run the '{}' command", entry.spec.name),
        Reason::Key => format!("access the '{}' key", object()),
        Reason::Channel => format!("access the '{}' channel", object()),
    };
    host.reply().bulk(format!("This user has no permissions to {answer}").as_bytes());
    Ok(Outcome::Done)
}
