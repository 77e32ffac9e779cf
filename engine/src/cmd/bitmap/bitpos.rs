//! BITPOS.

use super::range::BitRange;
use super::{bit_at, read};
use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::num::parse_i64;

/// BITPOS: finds the first bit that is set or clear in the string under a key.
pub static BITPOS: Command = Command {
    spec: Spec {
        name: "bitpos",
        arity: -3,
        flags: Flags::READONLY,
        acl: Acl::BITMAP,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Bitmap,
        since: "2.8.7",
        complexity: "O(N)",
        summary: "Finds the first bit that is set or clear in the string under a key.",
        history: &[("7.0.0", "Added the `BYTE|BIT` option.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("bit", ArgKind::Integer),
            Arg::block(
                "index",
                &[
                    Arg::new("start", ArgKind::Integer),
                    Arg::block(
                        "end_index",
                        &[
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
            )
            .optional(),
        ],
        examples: &[
            ("SET k \"\\xff\\xf0\\x00\"", "OK"),
            ("BITPOS k 0", "(integer) 12"),
            ("BITPOS k 1 2", "(integer) -1"),
            ("BITPOS k 1 7 15 BIT", "(integer) 7"),
            ("SET k \"\\xff\"", "OK"),
            ("BITPOS k 0", "(integer) 8"),
            ("BITPOS k 0 0 0", "(integer) -1"),
            ("BITPOS k 2", "(error) ERR The bit argument must be 1 or 0."),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let wanted = match parse_i64(args.at(2)).ok_or(Error::NotInteger)? {
        0 => false,
        1 => true,
        _ => return Err(Error::text("ERR The bit argument must be 1 or 0.")),
    };
    // Without the key the rest is not even looked at.
    let found = read(&mut ctx.db, args.at(1), |bytes| {
        let range = BitRange::parse(args, 3)?;
        let Some((first, after)) = range.bits_of(bytes.len()) else { return Ok(-1) };
        let at = find(bytes, first, after, wanted);
        // Without an end, the string goes on with zeros.
        let beyond = (!wanted && range.end.is_none()).then_some(bytes.len() * 8);
        Ok(at.or(beyond).and_then(|at| i64::try_from(at).ok()).unwrap_or(-1))
    })?;
    ctx.reply.int(found.unwrap_or(Ok(if wanted { -1 } else { 0 }))?);
    Ok(())
}

fn find(bytes: &[u8], first: usize, after: usize, wanted: bool) -> Option<usize> {
    let uniform = if wanted { 0x00 } else { 0xff };
    let mut at = first;
    while at < after {
        // Whole bytes without the wanted bit are passed over.
        if at.is_multiple_of(8) {
            let rest = bytes.get(at / 8..after.div_ceil(8)).unwrap_or_default();
            at += 8 * rest.iter().take_while(|byte| **byte == uniform).count();
            if at >= after {
                return None;
            }
        }
        if bit_at(bytes, at) == wanted {
            return Some(at);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_as_one_bit_after_another_does(
            bytes in proptest::collection::vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], 1..20),
            a in 0usize..160,
            b in 0usize..160,
            wanted in any::<bool>(),
        ) {
            let bits = bytes.len() * 8;
            let (first, after) = (a.min(b) % bits, a.max(b) % bits + 1);
            let expected = (first..after).find(|at| bit_at(&bytes, *at) == wanted);
            prop_assert_eq!(find(&bytes, first, after, wanted), expected);
        }
    }
}
