//! BITCOUNT.

use super::range::BitRange;
use super::read;
use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::num::parse_i64;

/// BITCOUNT: counts the bits that are set in the string under a key, or in a part of it.
pub static BITCOUNT: Command = Command {
    spec: Spec {
        name: "bitcount",
        arity: -2,
        flags: Flags::READONLY,
        acl: Acl::BITMAP,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Bitmap,
        since: "2.6.0",
        complexity: "O(N)",
        summary: "Counts the bits that are set in the string under a key, or in a part of it.",
        history: &[("7.0.0", "Added the `BYTE|BIT` option.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::block(
                "index",
                &[
                    Arg::new("start", ArgKind::Integer),
                    Arg::new("end", ArgKind::Integer),
                    Arg::one_of(
                        "index_unit",
                        &[Arg::word("byte", "BYTE"), Arg::word("bit", "BIT")],
                    )
                    .optional()
                    .since("7.0.0"),
                ],
            )
            .optional(),
        ],
        examples: &[
            ("SET k foobar", "OK"),
            ("BITCOUNT k", "(integer) 26"),
            ("BITCOUNT k 1 1", "(integer) 6"),
            ("BITCOUNT k 5 30 BIT", "(integer) 17"),
            ("BITCOUNT k -8 -9", "(integer) 0"),
            ("BITCOUNT k 1", "(error) ERR syntax error"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    // Without the key the rest is not even looked at.
    let count = read(&mut ctx.db, args.at(1), |bytes| {
        if args.len() == 3 {
            return Err(Error::Syntax);
        }
        if args.len() == 4 || args.len() == 5 {
            // Redis looks at the unit only when the numbers can mean something.
            let number = |at| parse_i64(args.at(at)).ok_or(Error::NotInteger);
            let (start, end) = (number(2)?, number(3)?);
            if start < 0 && end < 0 && start > end {
                return Ok(0);
            }
        }
        let range = BitRange::parse(args, 2)?;
        Ok(range.bits_of(bytes.len()).map_or(0, |(first, after)| count(bytes, first, after)))
    })?;
    ctx.reply.int(count.unwrap_or(Ok(0))?);
    Ok(())
}

/// Bits set from `first` up to before `after`.
fn count(bytes: &[u8], first: usize, after: usize) -> i64 {
    let part = bytes.get(first / 8..after.div_ceil(8)).unwrap_or_default();
    let (words, rest) = part.as_chunks::<8>();
    let words: i64 = words.iter().map(|w| i64::from(u64::from_ne_bytes(*w).count_ones())).sum();
    let rest: i64 = rest.iter().map(|byte| i64::from(byte.count_ones())).sum();
    let outside = |from: usize, to: usize| {
        (from..to).map(|at| i64::from(super::bit_at(bytes, at))).sum::<i64>()
    };
    words + rest - outside(first / 8 * 8, first) - outside(after, after.next_multiple_of(8))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_as_one_bit_after_another_does(
            bytes in proptest::collection::vec(any::<u8>(), 1..40),
            a in 0usize..320,
            b in 0usize..320,
        ) {
            let bits = bytes.len() * 8;
            let (first, after) = (a.min(b) % bits, a.max(b) % bits + 1);
            prop_assume!(first < after);
            let expected = (first..after).filter(|at| super::super::bit_at(&bytes, *at)).count();
            prop_assert_eq!(super::count(&bytes, first, after), expected as i64);
        }
    }
}
