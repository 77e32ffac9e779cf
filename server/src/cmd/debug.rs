//! DEBUG: what tests need of a server's inside.

mod protocol;
mod reload;
mod values;

use std::sync::atomic::Ordering;
use std::time::Duration;

use ringstone_engine::cmd::{Flags, Group, Spec};
use ringstone_engine::error::any_bytes;
use ringstone_engine::num::parse_i64;
use ringstone_engine::types::LIST_PLAIN_LEN_MIN;
use ringstone_engine::{Args, Error, Tree};

use super::{Host, HostCommand, Outcome};
use crate::ask::ask_all;
use crate::config::kind::parse_memory;
use crate::shard::Shard;

/// The family's commands.
pub const COMMANDS: &[&HostCommand] = &[&DEBUG];

static DEBUG: HostCommand = HostCommand {
    spec: Spec {
        name: "debug",
        arity: -2,
        flags: Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE),
        group: Group::Server,
        complexity: "Depends on subcommand.",
        summary: "Shows and changes the server's inside, for tests.",
        is_internal: true,
        ..Spec::DEFAULT
    },
    run: debug,
    subs: &[],
};

fn debug(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    if !host.shard.config.enable_debug_command.allows(host.conn.is_local()) {
        return Err(Error::text(
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local \
             connection, otherwise you need to set this option in the configuration file, and then restart the server.",
        ));
    }
    let sub = args.at(1).to_ascii_lowercase();
    match (sub.as_slice(), args.len()) {
        (b"sleep", 3) => sleep(host, args),
        (b"set-active-expire", 3) => {
            let on = parse_i64(args.at(2)).ok_or(Error::NotInteger)? != 0;
            on_all(host, move |shard| shard.keyspace.set_active_expire(on))
        }
        (b"pause-cron", 3) => {
            let paused = parse_i64(args.at(2)).ok_or(Error::NotInteger)? != 0;
            on_all(host, move |shard| shard.is_cron_paused = paused)
        }
        (b"quicklist-packed-threshold", 3) => packed_threshold(host, args),
        (b"set-disable-deny-scripts", 3) => {
            let on = parse_i64(args.at(2)).ok_or(Error::NotInteger)? != 0;
            host.shard.shared.scripts_call_any.store(on, Ordering::Relaxed);
            host.ok()
        }
        (b"reload", _) => reload::reload(host, args),
        (b"loadaof", 2) => reload::load_log(host),
        (b"object", 3) => values::object(host, args),
        (b"populate", 3..=5) => values::populate(host, args),
        (b"digest", 2) => values::digest(host),
        (b"digest-value", _) => values::digest_value(host, args),
        (b"protocol", 3) => protocol::protocol(host, args),
        (b"error", 3) => Err(error(args.at(2))),
        (b"log", 3) => {
            tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(args.at(2)));
            host.ok()
        }
        (b"panic" | b"segfault" | b"assert" | b"oom", 2) => std::process::abort(),
        (b"help", 2) => help(host),
        _ => Err(super::wrong_subcommand("DEBUG", args.at(1))),
    }
}

fn help(host: &mut Host<'_>) -> Result<Outcome, Error> {
    super::help(
        host,
        "DEBUG",
        &[
            "DIGEST",
            "    Output a hex signature representing the current DB content.",
            "DIGEST-VALUE <key> [<key> ...]",
            "    Output a hex signature of the values of all the specified keys.",
            "ERROR <string>",
            "    Reply with the error <string>, which begins with its code.",
            "LOADAOF",
            "    Make the log durable, and load the data from it again.",
            "LOG <message>",
            "    Write <message> to the server's log.",
            "OBJECT <key>",
            "    Show low level info about `key` and associated value.",
            "PANIC",
            "    End the process at once, as a bug would; ASSERT, OOM and SEGFAULT do the same.",
            "PAUSE-CRON <0|1>",
            "    Setting it to 1 stops what is done every now and then: expiry, slow frees, timeouts, save points.",
            "POPULATE <count> [<prefix>] [<size>]",
            "    Create <count> strings named <prefix>:<number>, \"key\" being the usual prefix, where there are none yet.",
            "PROTOCOL <type>",
            "    Reply with a value of a type: string, integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
            "    true, false.",
            "QUICKLIST-PACKED-THRESHOLD <size>",
            "    Lists made from now on give an element from this size on a node of its own. 0 restores the default.",
            "RELOAD [option ...]",
            "    Save a snapshot and load the data from it again. Option: NOSAVE, NOFLUSH, MERGE.",
            "SET-ACTIVE-EXPIRE <0|1>",
            "    Setting it to 0 disables expiring keys (and hash-fields) in background.",
            "SET-DISABLE-DENY-SCRIPTS <0|1>",
            "    Setting it to 1 lets scripts call commands that are not allowed from scripts.",
            "SLEEP <seconds>",
            "    Stop the server for <seconds>. Decimals allowed.",
        ],
    )
}

/// An error whose code is its first word, as the client wants it.
fn error(text: &[u8]) -> Error {
    Error::owned(any_bytes(text))
}

fn packed_threshold(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let size = parse_memory(args.at(2)).filter(|size| *size < 4 << 30).ok_or(Error::text(
        "ERR argument must be a memory value bigger than 1 and smaller than 4gb",
    ))?;
    let size = match usize::try_from(size) {
        Ok(0) | Err(_) => LIST_PLAIN_LEN_MIN,
        Ok(size) => size,
    };
    on_all(host, move |shard| shard.keyspace.limits.list_plain_len_min = size)
}

fn on_all(
    host: &mut Host<'_>,
    work: impl Fn(&mut Shard) + Clone + Send + 'static,
) -> Result<Outcome, Error> {
    host.later(|shard| async move {
        ask_all(&shard, work).await;
        Tree::Simple("OK".into())
    })
}

/// Stops all shards for a while, as a command that takes long would.
fn sleep(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let seconds = std::str::from_utf8(args.at(2)).ok().and_then(|text| text.parse::<f64>().ok());
    let duration =
        seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()).ok_or(Error::NotFloat)?;
    host.later(move |shard| async move {
        let answers: Vec<_> = {
            let mut this = shard.borrow_mut();
            let others: Vec<usize> = (0..this.shards()).filter(|to| *to != this.index).collect();
            let mut stop = |to| {
                let (ticket, answer) = this.question();
                this.call(to, move |there| {
                    std::thread::sleep(duration);
                    there.answer_ticket(ticket, ());
                });
                // At once, not when this pass ends: all stop at the same time.
                this.mesh.peers().wake(to);
                answer
            };
            others.into_iter().map(&mut stop).collect()
        };
        std::thread::sleep(duration);
        for answer in answers {
            answer.get().await;
        }
        Tree::Simple("OK".into())
    })
}
