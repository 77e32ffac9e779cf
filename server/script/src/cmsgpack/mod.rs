//! The `cmsgpack` library: MessagePack.

mod decode;
mod encode;

use mlua::{Lua, Table, Value};

use crate::value::{Arguments, Raise, define, number, raise, string};

/// Values that one `unpack` returns.
const RESULTS_MAX: usize = 7900;

/// Makes its table.
pub(crate) fn open(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    define(lua, &table, "pack", |lua, args: Arguments| {
        if args.len() == 0 {
            return Err(Raise::Argument(0, "MessagePack pack needs input.".to_owned()));
        }
        let mut out = Vec::new();
        for value in args.into_values() {
            encode::encode(&mut out, &value, 0)?;
        }
        string(lua, out)
    })?;
    define(lua, &table, "unpack", |lua, args| unpack(lua, &args, 0, 0))?;
    define(lua, &table, "unpack_one", |lua, args| {
        let offset = args.integer_or(2, 0)?;
        unpack(lua, &args, 1, offset)
    })?;
    define(lua, &table, "unpack_limit", |lua, args| {
        let (limit, offset) = (args.integer(2)?, args.integer_or(3, 0)?);
        unpack(lua, &args, limit, offset)
    })?;
    table.raw_set("_NAME", "cmsgpack")?;
    table.raw_set("_VERSION", "lua-cmsgpack 0.4.0")?;
    table.raw_set("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo")?;
    table.raw_set("_DESCRIPTION", "MessagePack C implementation for Lua")?;
    Ok(table)
}

/// Values from `offset` on, at most `limit`; with either of them, the next offset comes first, -1 at the end.
fn unpack(
    lua: &Lua,
    args: &Arguments,
    limit: i64,
    offset: i64,
) -> Result<mlua::Variadic<Value>, Raise> {
    let data = args.string(1)?;
    let all = limit == 0 && offset == 0;
    if offset < 0 || limit < 0 {
        let len = data.len();
        return raise(format!(
            "Invalid request to unpack with offset of {offset} and limit of {len}."
        ));
    }
    let Some(rest) = usize::try_from(offset).ok().and_then(|offset| data.get(offset..)) else {
        let len = data.len();
        return raise(format!("Start offset {offset} greater than input length {len}."));
    };
    let mut cursor = decode::Cursor::new(lua, rest);
    let mut values = Vec::new();
    let limit = if all { usize::MAX } else { usize::try_from(limit).unwrap_or(usize::MAX) };
    while cursor.left() > 0 && values.len() < limit {
        if values.len() >= RESULTS_MAX {
            return raise(
                "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)",
            );
        }
        values.push(cursor.value(0)?);
    }
    if !all {
        let left = cursor.left();
        let next = if left == 0 { -1.0 } else { (data.len() - left) as f64 };
        values.insert(0, number(next));
    }
    Ok(values.into_iter().collect())
}
