//! GEOADD: ZADD of places.

use crate::args::{ArgBuf, Args};
use crate::cmd::zset::zadd;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::num::{DoubleBuffer, format_f64};

/// GEOADD: adds places to a sorted set, or moves them.
pub static GEOADD: Command = Command {
    spec: Spec {
        name: "geoadd",
        arity: -5,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::GEO,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE))],
        group: Group::Geo,
        since: "3.2.0",
        complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
        summary: "Adds places to a sorted set, or moves them.",
        history: &[("6.2.0", "Added the `CH`, `NX` and `XX` options.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::one_of("condition", &[Arg::word("nx", "NX"), Arg::word("xx", "XX")])
                .optional()
                .since("6.2.0"),
            Arg::word("change", "CH").optional().since("6.2.0"),
            Arg::block(
                "longitude_latitude_member",
                &[
                    Arg::new("longitude", ArgKind::Double),
                    Arg::new("latitude", ArgKind::Double),
                    Arg::new("member", ArgKind::String),
                ],
            )
            .multiple(),
        ],
        examples: &[
            ("GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", "(integer) 2"),
            ("GEOADD g XX CH 13.4 38.1 Palermo", "(integer) 1"),
            ("ZCARD g", "(integer) 2"),
            (
                "GEOADD g 200 0 far",
                "(error) ERR invalid longitude,latitude pair 200.000000,0.000000",
            ),
            ("GEOADD g 1 2", "(error) ERR wrong number of arguments for 'geoadd' command"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let is_option = |at| ["nx", "xx", "ch"].iter().any(|word| args.is(at, word));
    let first = (2..args.len()).find(|at| !is_option(*at)).unwrap_or(args.len());
    let given = |word| (2..first).any(|at| args.is(at, word));
    if !(args.len() - first).is_multiple_of(3) || (given("nx") && given("xx")) {
        return Err(Error::Syntax);
    }
    let mut zadd = ArgBuf::from_parts([b"zadd"]);
    (1..first).for_each(|at| zadd.push(args.at(at)));
    for at in (first..args.len()).step_by(3) {
        let score = super::point(args, at)?.score();
        zadd.push(format_f64(score, &mut DoubleBuffer::new()));
        zadd.push(args.at(at + 2));
    }
    zadd::zadd(ctx, zadd.as_args())
}
