//! GETRANGE and its old name SUBSTR.

use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::num::parse_i64;

/// GETRANGE: returns a part of the string under a key; negative positions count from its end.
pub static GETRANGE: Command = Command {
    spec: Spec {
        name: "getrange",
        arity: 4,
        flags: Flags::READONLY,
        acl: Acl::STRING,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::String,
        since: "2.4.0",
        complexity: "O(N) where N is the length of the returned string. The complexity is ultimately determined by the returned length, but because creating a substring from an existing string is very cheap, it can be considered O(1) for small strings.",
        summary: "Returns a part of the string under a key; negative positions count from its end.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("start", ArgKind::Integer),
            Arg::new("end", ArgKind::Integer),
        ],
        examples: &[
            ("SET k \"This is a string\"", "OK"),
            ("GETRANGE k 0 3", "\"This\""),
            ("GETRANGE k -3 -1", "\"ing\""),
            ("GETRANGE k 0 -1", "\"This is a string\""),
            ("GETRANGE k 20 30", "\"\""),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

/// SUBSTR: returns a part of the string under a key (the old name of GETRANGE).
pub static SUBSTR: Command = Command {
    spec: Spec {
        name: "substr",
        arity: 4,
        flags: Flags::READONLY,
        acl: Acl::STRING,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::String,
        complexity: "O(N) where N is the length of the returned string. The complexity is ultimately determined by the returned length, but because creating a substring from an existing string is very cheap, it can be considered O(1) for small strings.",
        summary: "Returns a part of the string under a key (the old name of GETRANGE).",
        deprecated: Some(("2.0.0", "`GETRANGE`")),
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("start", ArgKind::Integer),
            Arg::new("end", ArgKind::Integer),
        ],
        examples: &[("SET k hello", "OK"), ("SUBSTR k 1 2", "\"el\"")],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let start = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    let end = parse_i64(args.at(3)).ok_or(Error::NotInteger)?;
    let Some(entry) = ctx.db.get(args.at(1)) else {
        ctx.reply.bulk(b"");
        return Ok(());
    };
    let (value, mut scratch) = (entry.value(), itoa::Buffer::new());
    let bytes = value.str_bytes(&mut scratch)?;
    ctx.reply.bulk(part(bytes, start, end));
    Ok(())
}

fn part(bytes: &[u8], start: i64, end: i64) -> &[u8] {
    if start < 0 && end < 0 && start > end {
        return &[];
    }
    let len = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let from_end = |at: i64| if at < 0 { (len + at).max(0) } else { at };
    let (start, end) = (from_end(start), from_end(end).min(len - 1));
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    range.and_then(|(start, end)| bytes.get(start..=end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn positions_beyond_the_string_are_cut() {
        assert_eq!(part(b"hello", -100, 1), b"he");
        assert_eq!(part(b"hello", 3, 100), b"lo");
        assert_eq!(part(b"hello", 3, 1), b"");
        assert_eq!(part(b"hello", -1, -100), b"");
        assert_eq!(part(b"hello", -100, -100), b"h");
        assert_eq!(part(b"", 0, -1), b"");
        assert_eq!(part(b"hello", i64::MIN, i64::MAX), b"hello");
        assert_eq!(part(b"hello", i64::MAX, i64::MAX), b"");
        assert_eq!(part(b"hello", 0, -100), b"h");
    }
}
