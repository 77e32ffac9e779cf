//! RESTORE.

use super::is_past;
use crate::args::Args;
use crate::cmd::*;
use crate::effect::Opcode;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};
use crate::num::parse_i64;
use crate::serial;

const OPCODE: Opcode = 73;

/// RESTORE: makes a key of what DUMP returned.
pub static RESTORE: Command = Command {
    spec: Spec {
        name: "restore",
        arity: -4,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::DANGEROUS.union(Acl::KEYSPACE),
        keys: &[KeySpec::one(KeyFlags::OW.union(KeyFlags::UPDATE))],
        opcode: OPCODE,
        since: "2.6.0",
        complexity: "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the complexity is O(N*M*log(N)) because inserting values into sorted sets is O(log(N)).",
        summary: "Makes a key of what DUMP returned.",
        history: &[
            ("3.0.0", "Added the `REPLACE` modifier."),
            ("5.0.0", "Added the `ABSTTL` modifier."),
            ("5.0.0", "Added the `IDLETIME` and `FREQ` options."),
        ],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("ttl", ArgKind::Integer),
            Arg::new("serialized-value", ArgKind::String),
            Arg::word("replace", "REPLACE").optional().since("3.0.0"),
            Arg::word("absttl", "ABSTTL").optional().since("5.0.0"),
            Arg::new("seconds", ArgKind::Integer).token("IDLETIME").optional().since("5.0.0"),
            Arg::new("frequency", ArgKind::Integer).token("FREQ").optional().since("5.0.0"),
        ],
        examples: &[
            ("RESTORE k 0 \"\\x00\\xc0\\n\\n\\x00n\\x9fWE\\x0e\\xaec\\xbb\"", "OK"),
            ("GET k", "\"10\""),
            (
                "RESTORE k 0 \"\\x00\\xc0\\n\\n\\x00n\\x9fWE\\x0e\\xaec\\xbb\"",
                "(error) BUSYKEY Target key name already exists.",
            ),
            ("RESTORE k 5000 \"\\x00\\xc0\\n\\n\\x00n\\x9fWE\\x0e\\xaec\\xbb\" REPLACE", "OK"),
            ("PTTL k", "(integer) 5000"),
            ("RESTORE k 1 \"\\x00\\xc0\\n\\n\\x00n\\x9fWE\\x0e\\xaec\\xbb\" REPLACE ABSTTL", "OK"),
            ("EXISTS k", "(integer) 0"),
            ("RESTORE k 0 nonsense", "(error) ERR DUMP payload version or checksum are wrong"),
            ("RESTORE k -1 nonsense", "(error) ERR Invalid TTL value, must be >= 0"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    idle_seconds: Option<u64>,
    frequency: Option<u8>,
    /// Where IDLETIME or FREQ stands, the last one if there are several.
    access_at: Option<usize>,
}

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (key, payload) = (args.at(1), args.at(3));
    let options = parse(args)?;
    if !options.replace && ctx.db.contains(key) {
        return Err(Error::BusyKey);
    }
    let ttl = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    if ttl < 0 {
        return Err(Error::text("ERR Invalid TTL value, must be >= 0"));
    }
    let value = serial::restore_payload(payload, &ctx.db.limits())?;
    let at_ms = match ttl {
        0 => None,
        // A sum that does not fit wraps to the past, as in Redis.
        _ if !options.absolute => Some(ttl.wrapping_add(ctx.db.now_ms())),
        _ => Some(ttl),
    };
    ctx.reply.ok();
    if at_ms.is_some_and(|at_ms| is_past(&ctx.db, at_ms)) {
        super::delete(&mut ctx.db, key);
        return Ok(());
    }
    ctx.db.remove(key);
    ctx.db.set(key, value, at_ms);
    let mut digits = itoa::Buffer::new();
    let at_ms = digits.format(at_ms.unwrap_or(0)).as_bytes();
    let mut words: Vec<&[u8]> = vec![key, at_ms, payload, b"REPLACE", b"ABSTTL"];
    // Counted from the replay, as the time since the last access is.
    words.extend(args.iter_from(options.access_at.unwrap_or(args.len())).take(2));
    ctx.db.effect(OPCODE, &words);
    ctx.db.notify(Classes::GENERIC, "restore", key);
    if let Some(seconds) = options.idle_seconds {
        ctx.db.set_idle_seconds(key, seconds);
    }
    if let Some(counter) = options.frequency {
        ctx.db.set_frequency(key, counter);
    }
    Ok(())
}

fn parse(args: Args<'_>) -> Result<Options, Error> {
    let mut options = Options::default();
    let mut at = 4;
    while at < args.len() {
        let value = args.get(at + 1);
        if args.is(at, "REPLACE") {
            options.replace = true;
        } else if args.is(at, "ABSTTL") {
            options.absolute = true;
        } else if let (true, None, Some(value)) =
            (args.is(at, "IDLETIME"), options.frequency, value)
        {
            let seconds = parse_i64(value).ok_or(Error::NotInteger)?;
            let invalid = Error::text("ERR Invalid IDLETIME value, must be >= 0");
            options.idle_seconds = Some(u64::try_from(seconds).map_err(|_| invalid)?);
            options.access_at = Some(at);
            at += 1;
        } else if let (true, None, Some(value)) = (args.is(at, "FREQ"), options.idle_seconds, value)
        {
            let counter = parse_i64(value).ok_or(Error::NotInteger)?;
            let invalid = Error::text("ERR Invalid FREQ value, must be >= 0 and <= 255");
            options.frequency = Some(u8::try_from(counter).map_err(|_| invalid)?);
            options.access_at = Some(at);
            at += 1;
        } else {
            return Err(Error::Syntax);
        }
        at += 1;
    }
    Ok(options)
}
