//! LOLWUT.

use ringstone_engine::cmd::{Acl, Arg, ArgKind, Flags, Group, Spec};
use ringstone_engine::num::parse_i64;
use ringstone_engine::{Error, Reply};

use super::{HostCommand, Outcome};

/// The command.
pub const COMMANDS: &[&HostCommand] = &[&LOLWUT];

static LOLWUT: HostCommand = HostCommand {
    spec: Spec {
        name: "lolwut",
        arity: -1,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::READ,
        group: Group::Server,
        since: "5.0.0",
        complexity: "",
        summary: "Shows the version.",
        args: &[Arg::new("version", ArgKind::Integer).token("VERSION").optional()],
        ..Spec::DEFAULT
    },
    run: |host, args| {
        // A version that has no picture shows just this.
        if args.is(1, "VERSION") && args.len() > 2 {
            parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
        }
        let text = format!("Redis ver. {}\n", crate::REDIS_VERSION);
        host.reply().verbatim("txt", text.as_bytes());
        Ok(Outcome::Done)
    },
    subs: &[],
};
