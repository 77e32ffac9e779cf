//! INCRBYFLOAT.

use super::set;
use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};
use crate::num::LongDouble;
use crate::types::{Value, ValueRef};

/// INCRBYFLOAT: adds to the decimal number under a key; a key that is not there counts as 0.
pub static INCRBYFLOAT: Command = Command {
    spec: Spec {
        name: "incrbyfloat",
        arity: 3,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::STRING,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
        group: Group::String,
        since: "2.6.0",
        summary: "Adds to the decimal number under a key; a key that is not there counts as 0.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("increment", ArgKind::Double)],
        examples: &[
            ("SET k 10.50", "OK"),
            ("INCRBYFLOAT k 0.1", "\"10.6\""),
            ("INCRBYFLOAT k -5", "\"5.6\""),
            ("SET k 5.0e3", "OK"),
            ("INCRBYFLOAT k 2.0e2", "\"5200\""),
            ("INCRBYFLOAT k x", "(error) ERR value is not a valid float"),
            ("INCRBYFLOAT k inf", "(error) ERR increment would produce NaN or Infinity"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let key = args.at(1);
    let old = match ctx.db.peek(key) {
        None => LongDouble::from_i64(0),
        Some(entry) => number(entry.value())?,
    };
    let amount = LongDouble::parse(args.at(2)).ok_or(Error::NotFloat)?;
    let sum = old.checked_add(amount).ok_or(Error::NanOrInfinity)?.format();
    let value = Value::Bytes(sum.as_bytes().to_vec());
    match ctx.db.get_mut(key) {
        Some(entry) => entry.set_value(value),
        None => ctx.db.set(key, value, None),
    }
    ctx.db.effect(set::OPCODE, &[key, sum.as_bytes(), b"KEEPTTL"]);
    ctx.db.notify(Classes::STRING, "incrbyfloat", key);
    ctx.reply.bulk(sum.as_bytes());
    Ok(())
}

fn number(value: ValueRef<'_>) -> Result<LongDouble, Error> {
    if let ValueRef::Int(int) = value {
        return Ok(LongDouble::from_i64(int));
    }
    LongDouble::parse(value.str_bytes(&mut itoa::Buffer::new())?).ok_or(Error::NotFloat)
}
