//! GEOHASH.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// GEOHASH: returns the geohashes of places.
pub static GEOHASH: Command = Command {
    spec: Spec {
        name: "geohash",
        arity: -2,
        flags: Flags::READONLY,
        acl: Acl::GEO,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Geo,
        since: "3.2.0",
        complexity: "O(log(N)) for each member requested, where N is the number of elements in the sorted set.",
        summary: "Returns the geohashes of places.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("member", ArgKind::String).multiple()],
        examples: &[
            ("GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", "(integer) 2"),
            ("GEOHASH g Palermo Catania Rome", "1) \"sqc8b49rny0\" 2) \"sqdtr74hyu0\" 3) (nil)"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    super::reply_places(ctx, args, |reply, point| match point {
        Some(point) => reply.bulk(&point.geohash()),
        None => reply.null(),
    })
}
