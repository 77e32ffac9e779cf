//! SCAN.

use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::glob;
use crate::keyspace::Ctx;
use crate::num::parse_i64;
use crate::raw::Entry;

/// SCAN: walks over the keys in steps.
pub static SCAN: Command = Command {
    spec: Spec {
        name: "scan",
        arity: -2,
        flags: Flags::READONLY,
        acl: Acl::KEYSPACE,
        scope: Scope::Cursor(1),
        since: "2.8.0",
        complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
        summary: "Walks over the keys in steps.",
        history: &[("6.0.0", "Added the `TYPE` subcommand.")],
        args: &[
            Arg::new("cursor", ArgKind::Integer),
            Arg::new("pattern", ArgKind::Pattern).token("MATCH").optional(),
            Arg::new("count", ArgKind::Integer).token("COUNT").optional(),
            Arg::new("type", ArgKind::String).token("TYPE").optional().since("6.0.0"),
        ],
        tips: &["nondeterministic_output", "request_policy:special"],
        examples: &[
            ("SET k v", "OK"),
            ("SCAN 0", "1) \"0\" 2) 1) \"k\""),
            ("SCAN 0 MATCH x* COUNT 100", "1) \"0\" 2) (empty array)"),
            ("SCAN 0 TYPE string", "1) \"0\" 2) 1) \"k\""),
            ("SCAN 0 TYPE list", "1) \"0\" 2) (empty array)"),
            ("SCAN x", "(error) ERR invalid cursor"),
            ("SCAN 0 COUNT 0", "(error) ERR syntax error"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

/// Keys a call without COUNT asks for.
const DEFAULT_COUNT: usize = 10;

struct Options<'a> {
    count: usize,
    pattern: Option<&'a [u8]>,
    type_name: Option<&'a [u8]>,
}

impl Options<'_> {
    fn wants(&self, entry: &Entry) -> bool {
        let right_type =
            |name: &[u8]| name.eq_ignore_ascii_case(entry.value().type_name().as_bytes());
        self.pattern.is_none_or(|pattern| glob::matches(pattern, entry.key()))
            && self.type_name.is_none_or(right_type)
    }
}

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let cursor = parse_cursor(args.at(1)).ok_or(Error::InvalidCursor)?;
    let options = parse(args)?;
    let mut keys = Vec::new();
    let next = ctx.db.scan(cursor, options.count, &mut |entry| {
        if options.wants(entry) {
            keys.push(entry.key().to_vec());
        }
    });
    ctx.reply.array(2);
    ctx.reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    ctx.reply.array(keys.len());
    keys.iter().for_each(|key| ctx.reply.bulk(key));
    Ok(())
}

/// How many keys SCAN's arguments ask for, about.
pub fn scan_count(args: Args<'_>) -> usize {
    parse(args).map_or(DEFAULT_COUNT, |options| options.count)
}

fn parse(args: Args<'_>) -> Result<Options<'_>, Error> {
    let mut options = Options { count: DEFAULT_COUNT, pattern: None, type_name: None };
    for at in (2..args.len()).step_by(2) {
        let Some(value) = args.get(at + 1) else { return Err(Error::Syntax) };
        if args.is(at, "COUNT") {
            let count = parse_i64(value).ok_or(Error::NotInteger)?;
            options.count = usize::try_from(count).map_err(|_| Error::Syntax)?;
            if options.count == 0 {
                return Err(Error::Syntax);
            }
        } else if args.is(at, "MATCH") {
            options.pattern = (value != b"*").then_some(value);
        } else if args.is(at, "TYPE") {
            options.type_name = Some(value);
        } else {
            return Err(Error::Syntax);
        }
    }
    Ok(options)
}

/// A cursor as C's `strtoul` reads it: a sign is allowed, nothing at all is 0.
pub(crate) fn parse_cursor(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return Some(0);
    }
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if negative { value.wrapping_neg() } else { value })
}

#[cfg(test)]
mod tests {
    use super::parse_cursor;

    #[test]
    fn cursors_are_read_as_strtoul_reads_them() {
        assert_eq!(parse_cursor(b""), Some(0));
        assert_eq!(parse_cursor(b"007"), Some(7));
        assert_eq!(parse_cursor(b"-1"), Some(u64::MAX));
        assert_eq!(parse_cursor(b"18446744073709551615"), Some(u64::MAX));
        for bad in ["x", " 1", "1 ", "-", "18446744073709551616", "0x1"] {
            assert_eq!(parse_cursor(bad.as_bytes()), None, "{bad}");
        }
    }
}
