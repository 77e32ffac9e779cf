//! ACL LOG.

use ringstone_engine::cmd::{Arg, ArgKind, Spec};
use ringstone_engine::num::parse_i64;
use ringstone_engine::{Args, Error, Reply};

use super::super::{Host, HostCommand, Outcome, wrong_subcommand};
use super::ADMIN_SUB;
use crate::acl::LogEntry;
use crate::flow::execute::RespReply;

pub(super) static LOG: HostCommand = HostCommand {
    spec: Spec {
        name: "acl|log",
        arity: -2,
        complexity: "O(N) with N being the number of entries shown.",
        summary: "Lists what was denied lately, or forgets it.",
        args: &[Arg {
            optional: true,
            ..Arg::one_of(
                "operation",
                &[Arg::new("count", ArgKind::Integer), Arg::word("reset", "RESET")],
            )
        }],
        ..ADMIN_SUB
    },
    run: log,
    subs: &[],
};

/// Entries shown when nothing is said.
const COUNT_DEFAULT: usize = 10;

fn log(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let count = match args.len() {
        2 => COUNT_DEFAULT,
        3 if args.is(2, "RESET") => {
            host.shard.shared.with_acl_log(|log| log.reset());
            return host.ok();
        }
        3 => {
            let count = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
            usize::try_from(count).unwrap_or(0)
        }
        _ => return Err(wrong_subcommand("ACL", args.at(1))),
    };
    let entries = host.shard.shared.with_acl_log(|log| log.latest(count));
    let now_ms = host.shard.now_ms;
    let mut reply = host.reply();
    reply.array(entries.len());
    entries.iter().for_each(|entry| write(&mut reply, entry, now_ms));
    Ok(Outcome::Done)
}

/// The fields of Redis 7.0, then those that 7.2 added.
fn write(reply: &mut RespReply<'_>, entry: &LogEntry, now_ms: i64) {
    let int = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let age_ms = u32::try_from(now_ms - entry.updated_ms).unwrap_or(0);
    reply.map(10);
    reply.bulk(b"count");
    reply.int(int(entry.count));
    for (name, value) in [
        ("reason", entry.what.reason.as_bytes()),
        ("context", entry.what.context.name().as_bytes()),
        ("object", &entry.what.object),
        ("username", &entry.what.username),
    ] {
        reply.bulk(name.as_bytes());
        reply.bulk(value);
    }
    reply.bulk(b"age-seconds");
    reply.double(f64::from(age_ms) / 1000.0);
    reply.bulk(b"client-info");
    reply.bulk(entry.client_info.as_bytes());
    reply.bulk(b"entry-id");
    reply.int(int(entry.id));
    reply.bulk(b"timestamp-created");
    reply.int(entry.created_ms);
    reply.bulk(b"timestamp-last-updated");
    reply.int(entry.updated_ms);
}
