//! SORT and SORT_RO.
//!
//! With BY or GET patterns it reads keys that its arguments do not name; [`PATTERN_KEYS`] says when, and which.

mod options;
mod order;
mod pattern;

use smallvec::SmallVec;

use self::options::Options;
use self::pattern::Pattern;
use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx, Db, OPCODE_DEL};
use crate::types::list::Side;
use crate::types::{List, Object, ValueRef, ZSet};

/// Elements that one effect of STORE names, so that no record grows without bound.
const EFFECT_ELEMENTS_MAX: usize = 1024;

/// SORT: sorts a list, a set or a sorted set, and returns or stores the result.
pub static SORT: Command = Command {
    spec: Spec {
        name: "sort",
        arity: -2,
        flags: Flags::DENYOOM.union(Flags::MOVABLEKEYS).union(Flags::WRITE),
        acl: Acl::DANGEROUS.union(Acl::LIST).union(Acl::SET).union(Acl::SORTEDSET),
        keys: &[
            KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS)),
            KeySpec {
                flags: KeyFlags::RO.union(KeyFlags::ACCESS),
                begin: Begin::Unknown,
                find: Find::Unknown,
                notes: Some(
                    "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort",
                ),
            },
            KeySpec {
                flags: KeyFlags::OW.union(KeyFlags::UPDATE),
                begin: Begin::Unknown,
                find: Find::Unknown,
                notes: Some(
                    "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array",
                ),
            },
        ],
        more_keys: Some(store_key),
        derived_keys: Some(PATTERN_KEYS),
        complexity: "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N).",
        summary: "Sorts a list, a set or a sorted set, and returns or stores the result.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("pattern", ArgKind::Pattern).token("BY").optional(),
            Arg::block(
                "offset_count",
                &[Arg::new("offset", ArgKind::Integer), Arg::new("count", ArgKind::Integer)],
            )
            .token("LIMIT")
            .optional(),
            Arg::new("pattern", ArgKind::Pattern).token("GET").optional().multiple_token(),
            ORDER,
            Arg::word("sorting", "ALPHA").optional(),
            Arg::new("destination", ArgKind::Key).token("STORE").optional(),
        ],
        examples: &[
            ("RPUSH l 3 1 2", "(integer) 3"),
            ("SORT l", "1) \"1\" 2) \"2\" 3) \"3\""),
            ("SORT l DESC LIMIT 0 2", "1) \"3\" 2) \"2\""),
            ("MSET w_1 30 w_2 20 w_3 10", "OK"),
            ("SORT l BY w_*", "1) \"3\" 2) \"2\" 3) \"1\""),
            ("SORT l BY w_* GET # GET w_* LIMIT 0 1", "1) \"3\" 2) \"10\""),
            ("SORT l BY nosort", "1) \"3\" 2) \"1\" 3) \"2\""),
            ("SORT l STORE d", "(integer) 3"),
            ("LRANGE d 0 -1", "1) \"1\" 2) \"2\" 3) \"3\""),
            ("RPUSH l x", "(integer) 4"),
            ("SORT l", "(error) ERR One or more scores can't be converted into double"),
            ("SORT l ALPHA", "1) \"1\" 2) \"2\" 3) \"3\" 4) \"x\""),
            ("SORT none STORE d", "(integer) 0"),
            ("EXISTS d", "(integer) 0"),
        ],
        ..Spec::DEFAULT
    },
    run: sort,
    subs: &[],
};

/// SORT_RO: sorts a list, a set or a sorted set, and returns the result.
pub static SORT_RO: Command = Command {
    spec: Spec {
        name: "sort_ro",
        arity: -2,
        flags: Flags::MOVABLEKEYS.union(Flags::READONLY),
        acl: Acl::DANGEROUS.union(Acl::LIST).union(Acl::SET).union(Acl::SORTEDSET),
        keys: &[
            KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS)),
            KeySpec {
                flags: KeyFlags::RO.union(KeyFlags::ACCESS),
                begin: Begin::Unknown,
                find: Find::Unknown,
                notes: Some(
                    "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort",
                ),
            },
        ],
        derived_keys: Some(PATTERN_KEYS),
        since: "7.0.0",
        complexity: "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N).",
        summary: "Sorts a list, a set or a sorted set, and returns the result.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("pattern", ArgKind::Pattern).token("BY").optional(),
            Arg::block(
                "offset_count",
                &[Arg::new("offset", ArgKind::Integer), Arg::new("count", ArgKind::Integer)],
            )
            .token("LIMIT")
            .optional(),
            Arg::new("pattern", ArgKind::Pattern).token("GET").optional().multiple_token(),
            ORDER,
            Arg::word("sorting", "ALPHA").optional(),
        ],
        examples: &[
            ("RPUSH l 3 1 2", "(integer) 3"),
            ("SORT_RO l", "1) \"1\" 2) \"2\" 3) \"3\""),
            ("SORT_RO l STORE d", "(error) ERR syntax error"),
        ],
        ..Spec::DEFAULT
    },
    run: sort_ro,
    subs: &[],
};

fn sort(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    run(ctx, args, Options::parse(args, true)?)
}

fn sort_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    run(ctx, args, Options::parse(args, false)?)
}

/// The keys that BY and GET patterns name.
const PATTERN_KEYS: DerivedKeys = DerivedKeys { wanted: has_patterns, find: pattern_keys };

fn pattern_keys(db: &mut Db<'_>, args: Args<'_>) -> Vec<Vec<u8>> {
    let Ok(options) = Options::parse(args, true) else { return Vec::new() };
    let Ok((elements, _)) = load(db, args.at(1)) else { return Vec::new() };
    db.close_list(args.at(1));
    let patterns = options.by.iter().chain(&options.get).map(|pattern| Pattern::new(pattern));
    let names = patterns
        .flat_map(|pattern| elements.iter().filter_map(move |element| pattern.key_name(element)));
    names.collect()
}

fn has_patterns(args: Args<'_>) -> bool {
    Options::parse(args, true).is_ok_and(|options| {
        options.by.is_some_and(|by| by.contains(&b'*'))
            || options.get.iter().any(|pattern| pattern.contains(&b'*'))
    })
}

/// The position of STORE's key, the last one when there are several.
fn store_key(args: Args<'_>, positions: &mut SmallVec<[usize; 4]>) {
    let (mut at, mut found) = (2, None);
    while at < args.len() {
        if args.is(at, "LIMIT") {
            at += 2;
        } else if args.is(at, "GET") || args.is(at, "BY") {
            at += 1;
        } else if args.is(at, "STORE") && at + 1 < args.len() {
            found = Some(at + 1);
        }
        at += 1;
    }
    positions.extend(found);
}

fn run(ctx: &mut Ctx<'_>, args: Args<'_>, mut options: Options<'_>) -> CmdResult {
    let (mut elements, is_set) = load(&mut ctx.db, args.at(1))?;
    ctx.db.close_list(args.at(1));
    enlarge(&mut ctx.db, args.at(1));
    let mut unsorted = options.by.is_some_and(|by| !by.contains(&b'*'));
    if unsorted && is_set && (options.store.is_some() || ctx.db.is_in_script()) {
        // A set has no order of its own, and neither what is stored nor what a script gets may depend on chance.
        (unsorted, options.alpha, options.by) = (false, true, None);
    }
    if !unsorted {
        let (start, end) = options.window(elements.len());
        order::sort(&mut ctx.db, &mut elements, &options, start..end)?;
    } else if options.descending && !is_set {
        elements.reverse();
    }
    let (start, end) = options.window(elements.len());
    let elements = elements.get(start..end).unwrap_or_default();
    let found = fetch(&mut ctx.db, elements, &options);
    match options.store {
        Some(key) => store(ctx, key, found),
        None => {
            ctx.reply.array(found.len());
            found.iter().for_each(|value| ctx.reply.bulk_or_null(value.as_deref()));
            Ok(())
        }
    }
}

/// The elements in their own order, and whether they are a set's, which has none.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other type is the wrong one")]
fn load(db: &mut Db<'_>, key: &[u8]) -> Result<(Vec<Vec<u8>>, bool), Error> {
    let Some(entry) = db.get(key) else { return Ok((Vec::new(), false)) };
    match entry.value() {
        ValueRef::List(list) => Ok((list.iter_from(0).map(|item| item.to_vec()).collect(), false)),
        ValueRef::Set(set) => Ok((set.iter().map(|item| item.to_vec()).collect(), true)),
        ValueRef::ZSet(zset) => {
            let mut scratch = itoa::Buffer::new();
            let members = zset.iter().map(|(item, _)| item.bytes(&mut scratch).to_vec());
            Ok((members.collect(), false))
        }
        _ => Err(Error::WrongType),
    }
}

/// A sorted set that was sorted is large from then on, as in Redis (OBJECT ENCODING).
fn enlarge(db: &mut Db<'_>, key: &[u8]) {
    let is_small = db
        .peek(key)
        .and_then(|entry| ZSet::from_ref(entry.value()))
        .is_some_and(|zset| !zset.is_large());
    if is_small && let Ok(Some(zset)) = db.get_mut_as::<ZSet>(key) {
        zset.enlarge();
    }
}

/// What the GET patterns name for each element, or the elements themselves.
fn fetch(db: &mut Db<'_>, elements: &[Vec<u8>], options: &Options<'_>) -> Vec<Option<Vec<u8>>> {
    if options.get.is_empty() {
        return elements.iter().cloned().map(Some).collect();
    }
    let patterns: Vec<_> = options.get.iter().map(|pattern| Pattern::new(pattern)).collect();
    let mut found = Vec::with_capacity(elements.len() * patterns.len());
    for element in elements {
        found.extend(patterns.iter().map(|pattern| pattern.look_up(db, element)));
    }
    found
}

fn store(ctx: &mut Ctx<'_>, key: &[u8], found: Vec<Option<Vec<u8>>>) -> CmdResult {
    ctx.reply.len(found.len());
    if found.is_empty() {
        generic::delete(&mut ctx.db, key);
        return Ok(());
    }
    if ctx.db.contains(key) {
        ctx.db.effect(OPCODE_DEL, &[key]);
    }
    let found: Vec<_> = found.into_iter().map(Option::unwrap_or_default).collect();
    let mut list = List::new(&ctx.db.limits());
    found.iter().for_each(|element| list.push(Side::Right, element));
    ctx.db.set(key, list.into_value(), None);
    for elements in found.chunks(EFFECT_ELEMENTS_MAX) {
        let elements = elements.iter().map(Vec::as_slice);
        let effect: Vec<_> = std::iter::once(key).chain(elements).collect();
        ctx.db.effect(list::OPCODE_RPUSH, &effect);
    }
    ctx.db.notify(Classes::LIST, "sortstore", key);
    Ok(())
}
