//! GEORADIUS and GEORADIUSBYMEMBER, and their forms that only read.

use smallvec::SmallVec;

use super::query::Form;
use super::search::run;
use super::{COUNT, COUNT_THEN_ANY, UNIT};
use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// GEORADIUS: returns or stores the places within a distance of a point.
pub static GEORADIUS: Command = Command {
    spec: Spec {
        name: "georadius",
        arity: -6,
        flags: Flags::DENYOOM.union(Flags::MOVABLEKEYS).union(Flags::WRITE),
        acl: Acl::GEO,
        keys: &[
            KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS)),
            KeySpec {
                flags: KeyFlags::OW.union(KeyFlags::UPDATE),
                begin: Begin::Keyword("STORE", 6),
                find: Find::Range(0, 1, 0),
                notes: None,
            },
            KeySpec {
                flags: KeyFlags::OW.union(KeyFlags::UPDATE),
                begin: Begin::Keyword("STOREDIST", 6),
                find: Find::Range(0, 1, 0),
                notes: None,
            },
        ],
        more_keys: Some(store_keys),
        group: Group::Geo,
        since: "3.2.0",
        complexity: "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.",
        summary: "Returns or stores the places within a distance of a point.",
        history: &[
            ("6.2.0", "Added the `ANY` option for `COUNT`."),
            ("7.0.0", "Added support for uppercase unit names."),
        ],
        deprecated: Some((
            "6.2.0",
            "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
        )),
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("longitude", ArgKind::Double),
            Arg::new("latitude", ArgKind::Double),
            Arg::new("radius", ArgKind::Double),
            UNIT,
            Arg::word("withcoord", "WITHCOORD").optional(),
            Arg::word("withdist", "WITHDIST").optional(),
            Arg::word("withhash", "WITHHASH").optional(),
            COUNT_THEN_ANY,
            ORDER,
            Arg::new("key", ArgKind::Key).token("STORE").optional(),
            Arg::new("key", ArgKind::Key).token("STOREDIST").optional(),
        ],
        examples: &[
            ("GEOADD {g} 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", "(integer) 2"),
            ("GEORADIUS {g} 15 37 200 km ASC", "1) \"Catania\" 2) \"Palermo\""),
            ("GEORADIUS {g} 15 37 200 km ASC WITHDIST COUNT 1", "1) 1) \"Catania\" 2) \"56.4413\""),
            ("GEORADIUS {g} 15 37 100 km STORE {g}2", "(integer) 1"),
            ("GEORADIUS {g} 15 37 100 km STOREDIST {g}2", "(integer) 1"),
            ("ZSCORE {g}2 Catania", "\"56.4412578701582\""),
        ],
        ..Spec::DEFAULT
    },
    run: georadius,
    subs: &[],
};

/// GEORADIUS_RO: returns the places within a distance of a point.
pub static GEORADIUS_RO: Command = Command {
    spec: Spec {
        name: "georadius_ro",
        arity: -6,
        flags: Flags::READONLY,
        acl: Acl::GEO,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Geo,
        since: "3.2.10",
        complexity: "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.",
        summary: "Returns the places within a distance of a point.",
        history: &[("6.2.0", "Added the `ANY` option for `COUNT`.")],
        deprecated: Some(("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument")),
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("longitude", ArgKind::Double),
            Arg::new("latitude", ArgKind::Double),
            Arg::new("radius", ArgKind::Double),
            UNIT,
            Arg::word("withcoord", "WITHCOORD").optional(),
            Arg::word("withdist", "WITHDIST").optional(),
            Arg::word("withhash", "WITHHASH").optional(),
            COUNT_THEN_ANY,
            ORDER,
        ],
        examples: &[
            ("GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", "(integer) 2"),
            ("GEORADIUS_RO g 15 37 200 km DESC", "1) \"Palermo\" 2) \"Catania\""),
            ("GEORADIUS_RO g 15 37 200 km STORE x", "(error) ERR syntax error"),
        ],
        ..Spec::DEFAULT
    },
    run: georadius_ro,
    subs: &[],
};

/// GEORADIUSBYMEMBER: returns or stores the places within a distance of one of them.
pub static GEORADIUSBYMEMBER: Command = Command {
    spec: Spec {
        name: "georadiusbymember",
        arity: -5,
        flags: Flags::DENYOOM.union(Flags::MOVABLEKEYS).union(Flags::WRITE),
        acl: Acl::GEO,
        keys: &[
            KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS)),
            KeySpec {
                flags: KeyFlags::OW.union(KeyFlags::UPDATE),
                begin: Begin::Keyword("STORE", 5),
                find: Find::Range(0, 1, 0),
                notes: None,
            },
            KeySpec {
                flags: KeyFlags::OW.union(KeyFlags::UPDATE),
                begin: Begin::Keyword("STOREDIST", 5),
                find: Find::Range(0, 1, 0),
                notes: None,
            },
        ],
        more_keys: Some(store_keys),
        group: Group::Geo,
        since: "3.2.0",
        complexity: "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.",
        summary: "Returns or stores the places within a distance of one of them.",
        history: &[("7.0.0", "Added support for uppercase unit names.")],
        deprecated: Some((
            "6.2.0",
            "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
        )),
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("member", ArgKind::String),
            Arg::new("radius", ArgKind::Double),
            UNIT,
            Arg::word("withcoord", "WITHCOORD").optional(),
            Arg::word("withdist", "WITHDIST").optional(),
            Arg::word("withhash", "WITHHASH").optional(),
            COUNT,
            ORDER,
            Arg::new("key", ArgKind::Key).token("STORE").optional(),
            Arg::new("key", ArgKind::Key).token("STOREDIST").optional(),
        ],
        examples: &[
            ("GEOADD {g} 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", "(integer) 2"),
            ("GEORADIUSBYMEMBER {g} Palermo 200 km ASC", "1) \"Palermo\" 2) \"Catania\""),
            ("GEORADIUSBYMEMBER {g} Palermo 100 km STORE {g}2", "(integer) 1"),
            (
                "GEORADIUSBYMEMBER {g} Rome 100 km",
                "(error) ERR could not decode requested zset member",
            ),
        ],
        ..Spec::DEFAULT
    },
    run: georadiusbymember,
    subs: &[],
};

/// GEORADIUSBYMEMBER_RO: returns the places within a distance of one of them.
pub static GEORADIUSBYMEMBER_RO: Command = Command {
    spec: Spec {
        name: "georadiusbymember_ro",
        arity: -5,
        flags: Flags::READONLY,
        acl: Acl::GEO,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Geo,
        since: "3.2.10",
        complexity: "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.",
        summary: "Returns the places within a distance of one of them.",
        deprecated: Some(("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments")),
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("member", ArgKind::String),
            Arg::new("radius", ArgKind::Double),
            UNIT,
            Arg::word("withcoord", "WITHCOORD").optional(),
            Arg::word("withdist", "WITHDIST").optional(),
            Arg::word("withhash", "WITHHASH").optional(),
            COUNT,
            ORDER,
        ],
        examples: &[
            ("GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", "(integer) 2"),
            (
                "GEORADIUSBYMEMBER_RO g Catania 200 km WITHHASH ASC",
                "1) 1) \"Catania\" 2) (integer) 3479447370796909 2) 1) \"Palermo\" 2) (integer) 3479099956230698",
            ),
        ],
        ..Spec::DEFAULT
    },
    run: georadiusbymember_ro,
    subs: &[],
};

/// The key specifications find the first STORE and STOREDIST; the last one given is the one that counts.
fn store_keys(args: Args<'_>, positions: &mut SmallVec<[usize; 4]>) {
    for at in 5..args.len() {
        let names_key = args.is(at - 1, "store") || args.is(at - 1, "storedist");
        if names_key && !positions.contains(&at) {
            positions.push(at);
        }
    }
}

fn georadius(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    run(ctx, args, Form::Around { stores: true })
}

fn georadius_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    run(ctx, args, Form::Around { stores: false })
}

fn georadiusbymember(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    run(ctx, args, Form::AroundMember { stores: true })
}

fn georadiusbymember_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    run(ctx, args, Form::AroundMember { stores: false })
}
