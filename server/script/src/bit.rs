//! The `bit` library: operations on 32 bits.

use mlua::{Lua, Table, Value};

use crate::value::{Arguments, Raise, define, number, position, string, to_number, type_name};

/// Makes its table.
pub(crate) fn open(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    define(lua, &table, "tobit", |_, args| bits(&args, 1).map(signed))?;
    define(lua, &table, "bnot", |_, args| bits(&args, 1).map(|b| signed(!b)))?;
    define(lua, &table, "bswap", |_, args| bits(&args, 1).map(|b| signed(b.swap_bytes())))?;
    define(lua, &table, "band", |_, args| fold(&args, |a, b| a & b))?;
    define(lua, &table, "bor", |_, args| fold(&args, |a, b| a | b))?;
    define(lua, &table, "bxor", |_, args| fold(&args, |a, b| a ^ b))?;
    define(lua, &table, "lshift", |_, args| shift(&args, |b, n| b << n))?;
    define(lua, &table, "rshift", |_, args| shift(&args, |b, n| b >> n))?;
    define(lua, &table, "arshift", |_, args| {
        shift(&args, |b, n| (b.cast_signed() >> n).cast_unsigned())
    })?;
    define(lua, &table, "rol", |_, args| shift(&args, u32::rotate_left))?;
    define(lua, &table, "ror", |_, args| shift(&args, u32::rotate_right))?;
    define(lua, &table, "tohex", tohex)?;
    Ok(table)
}

/// The low 32 bits of a number, whose fraction is rounded to the nearest even one.
fn bits(args: &Arguments, at: usize) -> Result<u32, Raise> {
    const SHIFTED: f64 = 6_755_399_441_055_744.0;
    let value = to_number(args.at(at));
    let shifted = value.unwrap_or(0.0) + SHIFTED;
    #[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
    let low = shifted.to_bits() as u32;
    if low == 0 && value.is_none() {
        let got = if at > args.len() { "no value" } else { type_name(args.at(at)) };
        return Err(Raise::Argument(position(at), format!("number expected, got {got}")));
    }
    Ok(low)
}

fn signed(bits: u32) -> Value {
    number(f64::from(bits.cast_signed()))
}

fn fold(args: &Arguments, with: impl Fn(u32, u32) -> u32) -> Result<Value, Raise> {
    let mut result = bits(args, 1)?;
    for at in (2..=args.len()).rev() {
        result = with(result, bits(args, at)?);
    }
    Ok(signed(result))
}

fn shift(args: &Arguments, with: impl Fn(u32, u32) -> u32) -> Result<Value, Raise> {
    let value = bits(args, 1)?;
    Ok(signed(with(value, bits(args, 2)? & 31)))
}

fn tohex(lua: &Lua, args: Arguments) -> Result<Value, Raise> {
    let value = bits(&args, 1)?;
    let wanted = if args.len() < 2 { 8 } else { bits(&args, 2)?.cast_signed() };
    let digits = usize::try_from(wanted.unsigned_abs().min(8)).unwrap_or(8);
    let text = if wanted < 0 { format!("{value:08X}") } else { format!("{value:08x}") };
    string(lua, text.get(8 - digits..).unwrap_or_default())
}
