//! HINCRBYFLOAT.

use super::OPCODE_HSET;
use super::fields::record_time;
use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};
use crate::num::LongDouble;
use crate::types::Hash;
use crate::types::listpack::Item;

/// HINCRBYFLOAT: adds to the decimal number in a hash's field; a field that is not there counts as 0.
pub static HINCRBYFLOAT: Command = Command {
    spec: Spec {
        name: "hincrbyfloat",
        arity: 4,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
        group: Group::Hash,
        since: "2.6.0",
        summary: "Adds to the decimal number in a hash's field; a field that is not there counts as 0.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("field", ArgKind::String),
            Arg::new("increment", ArgKind::Double),
        ],
        examples: &[
            ("HINCRBYFLOAT k a 10.5", "\"10.5\""),
            ("HINCRBYFLOAT k a -0.1", "\"10.4\""),
            ("HSET k b x", "(integer) 1"),
            ("HINCRBYFLOAT k b 1", "(error) ERR hash value is not a float"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (key, field) = (args.at(1), args.at(2));
    let amount = LongDouble::parse(args.at(3)).ok_or(Error::NotFloat)?;
    if LongDouble::from_i64(0).checked_add(amount).is_none() {
        return Err(Error::text("ERR value is NaN or Infinity"));
    }
    let limits = ctx.db.limits();
    let old = match ctx.db.get_mut_as::<Hash>(key)?.and_then(|hash| hash.get(field)) {
        None => LongDouble::from_i64(0),
        Some(item) => number(item)?,
    };
    let sum = old.checked_add(amount).ok_or(Error::NanOrInfinity)?.format();
    ctx.db.get_or_insert_as(key, Hash::new)?.set_value(field, sum.as_bytes(), &limits);
    ctx.db.effect(OPCODE_HSET, &[key, field, sum.as_bytes()]);
    record_time(&mut ctx.db, key, field);
    ctx.db.notify(Classes::HASH, "hincrbyfloat", key);
    ctx.reply.bulk(sum.as_bytes());
    Ok(())
}

fn number(item: Item<'_>) -> Result<LongDouble, Error> {
    match item {
        Item::Int(n) => Some(LongDouble::from_i64(n)),
        Item::Str(text) => LongDouble::parse(text),
    }
    .ok_or(Error::text("ERR hash value is not a float"))
}
