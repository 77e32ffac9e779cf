//! GEOPOS.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// GEOPOS: returns longitudes and latitudes of places.
pub static GEOPOS: Command = Command {
    spec: Spec {
        name: "geopos",
        arity: -2,
        flags: Flags::READONLY,
        acl: Acl::GEO,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Geo,
        since: "3.2.0",
        complexity: "O(N) where N is the number of members requested.",
        summary: "Returns longitudes and latitudes of places.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("member", ArgKind::String).multiple()],
        examples: &[
            ("GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", "(integer) 2"),
            (
                "GEOPOS g Palermo Rome",
                "1) 1) \"13.36138933897018433\" 2) \"38.11555639549629859\" 2) (nil)",
            ),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    super::reply_places(ctx, args, |reply, point| match point {
        Some(point) => super::reply_point(reply, point),
        None => reply.null_array(),
    })
}
