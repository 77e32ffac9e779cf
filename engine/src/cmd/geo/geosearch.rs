//! GEOSEARCH and GEOSEARCHSTORE.

use super::query::Form;
use super::search::run;
use super::{BY, COUNT, FROM};
use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// GEOSEARCH: returns the places in a circle or a box.
pub static GEOSEARCH: Command = Command {
    spec: Spec {
        name: "geosearch",
        arity: -7,
        flags: Flags::READONLY,
        acl: Acl::GEO,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Geo,
        since: "6.2.0",
        complexity: "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape provided as the filter and M is the number of items inside the shape",
        summary: "Returns the places in a circle or a box.",
        history: &[("7.0.0", "Added support for uppercase unit names.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            FROM,
            BY,
            ORDER,
            COUNT,
            Arg::word("withcoord", "WITHCOORD").optional(),
            Arg::word("withdist", "WITHDIST").optional(),
            Arg::word("withhash", "WITHHASH").optional(),
        ],
        examples: &[
            ("GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", "(integer) 2"),
            ("GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC", "1) \"Catania\" 2) \"Palermo\""),
            (
                "GEOSEARCH g FROMMEMBER Palermo BYBOX 400 400 km DESC WITHCOORD COUNT 1",
                "1) 1) \"Catania\" 2) 1) \"15.08726745843887329\" 2) \"37.50266842333162032\"",
            ),
            (
                "GEOSEARCH g ASC WITHDIST BYRADIUS 1 km",
                "(error) ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH",
            ),
            ("GEOSEARCH none FROMLONLAT 15 37 BYRADIUS 200 km", "(empty array)"),
        ],
        ..Spec::DEFAULT
    },
    run: geosearch,
    subs: &[],
};

/// GEOSEARCHSTORE: stores the places in a circle or a box as another sorted set.
pub static GEOSEARCHSTORE: Command = Command {
    spec: Spec {
        name: "geosearchstore",
        arity: -8,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::GEO,
        keys: &[
            KeySpec::one(KeyFlags::OW.union(KeyFlags::UPDATE)),
            KeySpec::range(KeyFlags::RO.union(KeyFlags::ACCESS), 2, 0, 1),
        ],
        group: Group::Geo,
        since: "6.2.0",
        complexity: "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape provided as the filter and M is the number of items inside the shape",
        summary: "Stores the places in a circle or a box as another sorted set.",
        history: &[("7.0.0", "Added support for uppercase unit names.")],
        args: &[
            Arg::new("destination", ArgKind::Key),
            Arg::new("source", ArgKind::Key),
            FROM,
            BY,
            ORDER,
            COUNT,
            Arg::word("storedist", "STOREDIST").optional(),
        ],
        examples: &[
            ("GEOADD {g} 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", "(integer) 2"),
            ("GEOSEARCHSTORE {g}2 {g} FROMLONLAT 15 37 BYRADIUS 100 km", "(integer) 1"),
            ("GEOSEARCHSTORE {g}2 {g} FROMLONLAT 15 37 BYBOX 400 400 km STOREDIST", "(integer) 2"),
            ("ZRANGE {g}2 0 -1", "1) \"Catania\" 2) \"Palermo\""),
            ("GEOSEARCHSTORE {g}2 {g} FROMLONLAT 0 0 BYRADIUS 1 m", "(integer) 0"),
            ("EXISTS {g}2", "(integer) 0"),
        ],
        ..Spec::DEFAULT
    },
    run: geosearchstore,
    subs: &[],
};

fn geosearch(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    run(ctx, args, Form::Search)
}

fn geosearchstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    run(ctx, args, Form::SearchStore)
}
