//! LCS: the longest common subsequence of two strings.

#![expect(
    clippy::indexing_slicing,
    reason = "row and column stay within the table, whose size follows from the lengths"
)]

use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Ctx, Db};
use crate::num::parse_i64;

/// LCS: finds the longest common subsequence of two strings.
pub static LCS: Command = Command {
    spec: Spec {
        name: "lcs",
        arity: -3,
        flags: Flags::READONLY,
        acl: Acl::STRING,
        keys: &[KeySpec::range(KeyFlags::RO.union(KeyFlags::ACCESS), 1, 1, 1)],
        group: Group::String,
        since: "7.0.0",
        complexity: "O(N*M) where N and M are the lengths of s1 and s2, respectively",
        summary: "Finds the longest common subsequence of two strings.",
        args: &[
            Arg::new("key1", ArgKind::Key),
            Arg::new("key2", ArgKind::Key),
            Arg::word("len", "LEN").optional(),
            Arg::word("idx", "IDX").optional(),
            Arg::new("len", ArgKind::Integer).token("MINMATCHLEN").optional(),
            Arg::word("withmatchlen", "WITHMATCHLEN").optional(),
        ],
        examples: &[
            ("MSET a ohmytext b mynewtext", "OK"),
            ("LCS a b", "\"mytext\""),
            ("LCS a b LEN", "(integer) 6"),
            (
                "LCS a b IDX",
                "1) \"matches\" 2) 1) 1) 1) (integer) 4 2) (integer) 7 2) 1) (integer) 5 2) (integer) 8 2) 1) 1) (integer) 2 2) (integer) 3 2) 1) (integer) 0 2) (integer) 1 3) \"len\" 4) (integer) 6",
            ),
            (
                "LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN",
                "1) \"matches\" 2) 1) 1) 1) (integer) 4 2) (integer) 7 2) 1) (integer) 5 2) (integer) 8 3) (integer) 4 3) \"len\" 4) (integer) 6",
            ),
            (
                "LCS a b LEN IDX",
                "(error) ERR If you want both the length and indexes, please just use IDX.",
            ),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

#[derive(Default)]
struct Options {
    len: bool,
    idx: bool,
    with_match_len: bool,
    match_len_min: usize,
}

/// A run of equal bytes: first and last position in both strings.
struct Match {
    a: (usize, usize),
    b: (usize, usize),
}

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let a = operand(&mut ctx.db, args.at(1))?;
    let b = operand(&mut ctx.db, args.at(2))?;
    let options = parse(args)?;
    if options.len && options.idx {
        return Err(Error::text(
            "ERR If you want both the length and indexes, please just use IDX.",
        ));
    }
    let table = Table::new(&a, &b, ctx.db.limits().string_len_max)?;
    let len = table.at(a.len(), b.len()) as usize;
    if options.idx {
        let (_, matches) = table.trace(&a, &b);
        reply_matches(ctx, &options, len, &matches);
    } else if options.len {
        ctx.reply.len(len);
    } else {
        let (common, _) = table.trace(&a, &b);
        ctx.reply.bulk(&common);
    }
    Ok(())
}

fn operand(db: &mut Db<'_>, key: &[u8]) -> Result<Vec<u8>, Error> {
    let Some(entry) = db.get(key) else { return Ok(Vec::new()) };
    let (value, mut scratch) = (entry.value(), itoa::Buffer::new());
    value
        .str_bytes(&mut scratch)
        .map(<[u8]>::to_vec)
        .map_err(|_| Error::text("ERR The specified keys must contain string values"))
}

fn parse(args: Args<'_>) -> Result<Options, Error> {
    let mut options = Options::default();
    let mut at = 3;
    while at < args.len() {
        if args.is(at, "IDX") {
            options.idx = true;
        } else if args.is(at, "LEN") {
            options.len = true;
        } else if args.is(at, "WITHMATCHLEN") {
            options.with_match_len = true;
        } else if args.is(at, "MINMATCHLEN") && at + 1 < args.len() {
            let len = parse_i64(args.at(at + 1)).ok_or(Error::NotInteger)?;
            options.match_len_min = usize::try_from(len).unwrap_or(0);
            at += 1;
        } else {
            return Err(Error::Syntax);
        }
        at += 1;
    }
    Ok(options)
}

fn reply_matches(ctx: &mut Ctx<'_>, options: &Options, len: usize, matches: &[Match]) {
    let long: Vec<_> = matches
        .iter()
        .map(|m| (m, m.a.1 - m.a.0 + 1))
        .filter(|(_, len)| *len >= options.match_len_min)
        .collect();
    ctx.reply.map(2);
    ctx.reply.bulk(b"matches");
    ctx.reply.array(long.len());
    for (found, match_len) in long {
        ctx.reply.array(if options.with_match_len { 3 } else { 2 });
        for (first, last) in [found.a, found.b] {
            ctx.reply.array(2);
            ctx.reply.len(first);
            ctx.reply.len(last);
        }
        if options.with_match_len {
            ctx.reply.len(match_len);
        }
    }
    ctx.reply.bulk(b"len");
    ctx.reply.len(len);
}

/// `at(i, j)` is the length of the longest common subsequence of the first `i` and the first `j` bytes.
struct Table {
    cells: Vec<u32>,
    width: usize,
}

impl Table {
    fn new(a: &[u8], b: &[u8], bytes_max: usize) -> Result<Table, Error> {
        let cells = (a.len() + 1).checked_mul(b.len() + 1);
        let fits = cells.and_then(|cells| cells.checked_mul(size_of::<u32>()));
        let (Some(cells), true) = (cells, fits.is_some_and(|bytes| bytes <= bytes_max)) else {
            return Err(Error::text(
                "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
            ));
        };
        let width = b.len() + 1;
        let mut table = Table { cells: vec![0; cells], width };
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                table.cells[i * width + j] = if a[i - 1] == b[j - 1] {
                    table.at(i - 1, j - 1) + 1
                } else {
                    table.at(i - 1, j).max(table.at(i, j - 1))
                };
            }
        }
        Ok(table)
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.cells[i * self.width + j]
    }

    /// The subsequence and its runs, last run first, found from the end backwards.
    fn trace(&self, a: &[u8], b: &[u8]) -> (Vec<u8>, Vec<Match>) {
        let (mut common, mut matches) = (Vec::new(), Vec::<Match>::new());
        let (mut i, mut j) = (a.len(), b.len());
        let mut in_run = false;
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                (i, j) = (i - 1, j - 1);
                common.push(a[i]);
                match matches.last_mut() {
                    Some(run) if in_run => (run.a.0, run.b.0) = (i, j),
                    _ => matches.push(Match { a: (i, i), b: (j, j) }),
                }
                in_run = true;
            } else {
                in_run = false;
                if self.at(i - 1, j) > self.at(i, j - 1) { i -= 1 } else { j -= 1 }
            }
        }
        common.reverse();
        (common, matches)
    }
}
