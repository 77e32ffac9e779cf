//! GEODIST.

use super::{UNIT, reply_distance, unit_m};
use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::geo::Point;
use crate::keyspace::Ctx;
use crate::types::ZSet;

/// GEODIST: returns the distance between two places.
pub static GEODIST: Command = Command {
    spec: Spec {
        name: "geodist",
        arity: -4,
        flags: Flags::READONLY,
        acl: Acl::GEO,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Geo,
        since: "3.2.0",
        complexity: "O(log(N))",
        summary: "Returns the distance between two places.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("member1", ArgKind::String),
            Arg::new("member2", ArgKind::String),
            UNIT.optional(),
        ],
        examples: &[
            ("GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", "(integer) 2"),
            ("GEODIST g Palermo Catania", "\"166274.1516\""),
            ("GEODIST g Palermo Catania km", "\"166.2742\""),
            ("GEODIST g Palermo Rome", "(nil)"),
            (
                "GEODIST g Palermo Catania parsec",
                "(error) ERR unsupported unit provided. please use M, KM, FT, MI",
            ),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let unit_m = match args.len() {
        4 => 1.0,
        5 => unit_m(args.at(4))?,
        _ => return Err(Error::Syntax),
    };
    let set = ctx.db.get_as::<ZSet>(args.at(1))?;
    let place = |at| set.and_then(|set| set.score(args.at(at))).map(Point::of_score);
    match (place(2), place(3)) {
        (Some(from), Some(to)) => reply_distance(ctx.reply, from.distance(to) / unit_m),
        _ => ctx.reply.null(),
    }
    Ok(())
}
