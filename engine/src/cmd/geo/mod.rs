//! The geo family: places in sorted sets.
//!
//! Effects are those of sorted sets: places are recorded as the scores that they are.

use super::{Arg, ArgKind, Command};
use crate::args::Args;
use crate::error::{CmdResult, Error};
use crate::geo::Point;
use crate::keyspace::Ctx;
use crate::num::parse_f64;
use crate::reply::Reply;
use crate::types::ZSet;

pub mod geoadd;
pub mod geodist;
pub mod geohash;
pub mod geopos;
pub mod georadius;
pub mod geosearch;
mod query;
mod search;

/// The family's commands.
pub const COMMANDS: &[&Command] = &[
    &geoadd::GEOADD,
    &geodist::GEODIST,
    &geohash::GEOHASH,
    &geopos::GEOPOS,
    &georadius::GEORADIUS,
    &georadius::GEORADIUS_RO,
    &georadius::GEORADIUSBYMEMBER,
    &georadius::GEORADIUSBYMEMBER_RO,
    &geosearch::GEOSEARCH,
    &geosearch::GEOSEARCHSTORE,
];

/// `M | KM | FT | MI`
const UNIT: Arg = Arg::one_of(
    "unit",
    &[Arg::word("m", "M"), Arg::word("km", "KM"), Arg::word("ft", "FT"), Arg::word("mi", "MI")],
);

/// `[COUNT count [ANY]]`
const COUNT: Arg = Arg::block(
    "count",
    &[Arg::new("count", ArgKind::Integer).token("COUNT"), Arg::word("any", "ANY").optional()],
)
.optional();

/// The same for commands that are older than ANY.
const COUNT_THEN_ANY: Arg = Arg::block(
    "count",
    &[
        Arg::new("count", ArgKind::Integer).token("COUNT"),
        Arg::word("any", "ANY").optional().since("6.2.0"),
    ],
)
.optional();

/// `FROMMEMBER member | FROMLONLAT longitude latitude`
const FROM: Arg = Arg::one_of(
    "from",
    &[
        Arg::new("member", ArgKind::String).token("FROMMEMBER"),
        Arg::block(
            "longitude_latitude",
            &[Arg::new("longitude", ArgKind::Double), Arg::new("latitude", ArgKind::Double)],
        )
        .token("FROMLONLAT"),
    ],
);

/// `BYRADIUS radius unit | BYBOX width height unit`
const BY: Arg = Arg::one_of(
    "by",
    &[
        Arg::block("circle", &[Arg::new("radius", ArgKind::Double).token("BYRADIUS"), UNIT]),
        Arg::block(
            "box",
            &[
                Arg::new("width", ArgKind::Double).token("BYBOX"),
                Arg::new("height", ArgKind::Double),
                UNIT,
            ],
        ),
    ],
);

/// Metres a unit.
fn unit_m(text: &[u8]) -> Result<f64, Error> {
    const UNITS: [(&str, f64); 4] = [("m", 1.0), ("km", 1000.0), ("ft", 0.3048), ("mi", 1609.34)];
    let unit = UNITS.iter().find(|(name, _)| text.eq_ignore_ascii_case(name.as_bytes()));
    let unknown = Error::text("ERR unsupported unit provided. please use M, KM, FT, MI");
    unit.map(|(_, metres)| *metres).ok_or(unknown)
}

/// The longitude at argument `at` and the latitude after it.
fn point(args: Args<'_>, at: usize) -> Result<Point, Error> {
    let longitude = parse_f64(args.at(at)).ok_or(Error::NotFloat)?;
    let latitude = parse_f64(args.at(at + 1)).ok_or(Error::NotFloat)?;
    let point = Point { longitude, latitude };
    if point.is_valid() {
        return Ok(point);
    }
    Err(Error::owned(format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}")))
}

/// Answers an array of what `reply` says of each member from argument 2 on; a member that is not there has no place.
fn reply_places(
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    mut reply: impl FnMut(&mut dyn Reply, Option<Point>),
) -> CmdResult {
    let set = ctx.db.get_as::<ZSet>(args.at(1))?;
    ctx.reply.array(args.len().saturating_sub(2));
    for member in args.iter_from(2) {
        let score = set.and_then(|set| set.score(member));
        reply(ctx.reply, score.map(Point::of_score));
    }
    Ok(())
}

/// Answers a distance with four decimals, a half rounded to the even one.
#[expect(clippy::cast_possible_truncation, reason = "distances on earth; the cast saturates")]
fn reply_distance(reply: &mut dyn Reply, distance: f64) {
    let scaled = (distance * 10_000.0).round_ties_even() as i64;
    let (whole, fraction) = (scaled / 10_000, (scaled % 10_000).abs());
    reply.bulk(format!("{whole}.{fraction:04}").as_bytes());
}

/// Answers a place: longitude and latitude.
fn reply_point(reply: &mut dyn Reply, point: Point) {
    reply.array(2);
    for degrees in [point.longitude, point.latitude] {
        if reply.is_resp3() {
            reply.double(degrees);
            continue;
        }
        let text = format!("{degrees:.17}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        reply.bulk(if text == "-0" { b"0" } else { text.as_bytes() });
    }
}
