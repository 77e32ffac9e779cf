//! Replies to Lua's values, and Lua's values to replies.

use mlua::{Lua, Table, Value};
use ringstone_engine::error::any_bytes;
use ringstone_engine::num::{DoubleBuffer, format_f64};
use ringstone_engine::{ArgBuf, Error, Tree};

use crate::number::{general, to_i64};
use crate::value::to_bytes;

/// Tables within tables that become a reply, which takes a part of the stack for each.
const DEPTH_MAX: usize = 300;

/// A reply as a script sees it: with RESP2 only what that has.
pub(crate) fn to_lua(lua: &Lua, tree: &Tree, resp3: bool) -> mlua::Result<Value> {
    let text = |bytes: &[u8]| lua.create_string(bytes).map(Value::String);
    Ok(match tree {
        Tree::Simple(status) => single(lua, "ok", text(status.as_bytes())?)?,
        Tree::Error(error) => {
            let table = error_table(lua, &error.wire(), true)?;
            table.raw_set("ignore_error_stats_update", true)?;
            Value::Table(table)
        }
        #[expect(clippy::cast_precision_loss, reason = "numbers of Lua are doubles")]
        Tree::Int(value) => Value::Number(*value as f64),
        Tree::Bulk(bytes) => text(bytes)?,
        Tree::Null | Tree::NullArray if resp3 => Value::Nil,
        Tree::Null | Tree::NullArray => Value::Boolean(false),
        Tree::Array(items) | Tree::Push(items) => sequence(lua, items, resp3)?,
        Tree::Map(items) if resp3 => {
            let map = lua.create_table()?;
            for pair in items.chunks(2) {
                if let [key, value] = pair {
                    map.raw_set(to_lua(lua, key, resp3)?, to_lua(lua, value, resp3)?)?;
                }
            }
            single(lua, "map", Value::Table(map))?
        }
        Tree::Set(items) if resp3 => {
            let set = lua.create_table()?;
            for item in items {
                set.raw_set(to_lua(lua, item, resp3)?, true)?;
            }
            single(lua, "set", Value::Table(set))?
        }
        Tree::Map(items) | Tree::Set(items) => sequence(lua, items, resp3)?,
        Tree::Double(value) if resp3 => single(lua, "double", Value::Number(*value))?,
        Tree::Double(value) => text(format_f64(*value, &mut DoubleBuffer::new()))?,
        Tree::Bool(value) if resp3 => Value::Boolean(*value),
        Tree::Bool(value) => Value::Number(f64::from(u8::from(*value))),
        Tree::Verbatim(format, body) if resp3 => {
            let inner = lua.create_table()?;
            inner.raw_set("string", text(body)?)?;
            inner.raw_set("format", text(format.as_bytes())?)?;
            single(lua, "verbatim_string", Value::Table(inner))?
        }
        Tree::Verbatim(_, body) => text(body)?,
        Tree::BigNumber(digits) if resp3 => single(lua, "big_number", text(digits.as_bytes())?)?,
        Tree::BigNumber(digits) => text(digits.as_bytes())?,
    })
}

fn single(lua: &Lua, name: &str, value: Value) -> mlua::Result<Value> {
    let table = lua.create_table()?;
    table.raw_set(name, value)?;
    Ok(Value::Table(table))
}

fn sequence(lua: &Lua, items: &[Tree], resp3: bool) -> mlua::Result<Value> {
    let table = lua.create_table_with_capacity(items.len().min(1 << 16), 0)?;
    for (index, item) in items.iter().enumerate() {
        table.raw_set(index + 1, to_lua(lua, item, resp3)?)?;
    }
    Ok(Value::Table(table))
}

/// The table that stands for an error. Where `has_code` says so, the first word is its code; without one it is `ERR`.
pub(crate) fn error_table(lua: &Lua, text: &[u8], has_code: bool) -> mlua::Result<Table> {
    let trim = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let end = text.iter().rposition(|byte| !trim(byte)).map_or(0, |at| at + 1);
    let text = text.get(..end).unwrap_or_default();
    let coded = has_code && text.contains(&b' ');
    let text = if coded { text.to_vec() } else { [b"ERR ", text].concat() };
    let table = lua.create_table()?;
    table.raw_set("err", lua.create_string(text)?)?;
    Ok(table)
}

/// A command's words.
pub(crate) fn to_words(values: &[Value]) -> Option<ArgBuf> {
    let mut words = ArgBuf::default();
    for value in values {
        match value {
            Value::String(text) => words.push(&text.as_bytes()),
            Value::Integer(number) => {
                // 2^53 and beyond are written with 17 digits, as any double is.
                let plain = number.unsigned_abs() < 1 << 53;
                if plain {
                    words.push(number.to_string().as_bytes());
                } else {
                    #[expect(clippy::cast_precision_loss, reason = "it was a double")]
                    words.push(general(*number as f64, 17).as_bytes());
                }
            }
            Value::Number(number) => words.push(general(*number, 17).as_bytes()),
            _ => return None,
        }
    }
    Some(words)
}

/// What a script returned, as a reply.
pub(crate) fn to_tree(value: &Value, resp3: bool) -> mlua::Result<Tree> {
    reply(value, resp3, 0)
}

fn reply(value: &Value, resp3: bool, depth: usize) -> mlua::Result<Tree> {
    if depth > DEPTH_MAX {
        return Ok(Tree::Error(Error::text("ERR reached lua stack limit")));
    }
    Ok(match value {
        Value::String(text) => Tree::Bulk(text.as_bytes().to_vec()),
        Value::Boolean(value) if resp3 => Tree::Bool(*value),
        Value::Boolean(true) => Tree::Int(1),
        Value::Integer(number) => Tree::Int(*number),
        Value::Number(number) => Tree::Int(to_i64(*number)),
        Value::Table(table) => table_reply(table, resp3, depth)?,
        _ => Tree::Null,
    })
}

fn table_reply(table: &Table, resp3: bool, depth: usize) -> mlua::Result<Tree> {
    let text = |name: &str| -> mlua::Result<Option<Vec<u8>>> {
        match table.raw_get::<Value>(name)? {
            Value::String(text) => Ok(Some(text.as_bytes().to_vec())),
            _ => Ok(None),
        }
    };
    if let Some(error) = text("err")? {
        return Ok(Tree::Error(to_error(&error)));
    }
    if let Some(status) = text("ok")? {
        let end = status.iter().position(|byte| *byte == 0).unwrap_or(status.len());
        return Ok(Tree::Simple(one_line(status.get(..end).unwrap_or_default())));
    }
    if let value @ (Value::Integer(_) | Value::Number(_)) = table.raw_get::<Value>("double")? {
        return Ok(Tree::Double(crate::value::to_number(&value).unwrap_or(0.0)));
    }
    if let Some(digits) = text("big_number")? {
        return Ok(Tree::BigNumber(one_line(&digits)));
    }
    if let Value::Table(inner) = table.raw_get::<Value>("verbatim_string")?
        && let Value::String(format) = inner.raw_get::<Value>("format")?
        && let Value::String(body) = inner.raw_get::<Value>("string")?
    {
        let format = String::from_utf8_lossy(&format.as_bytes()).into_owned();
        return Ok(Tree::Verbatim(format, body.as_bytes().to_vec()));
    }
    let mut items = Vec::new();
    if let Value::Table(inner) = table.raw_get::<Value>("map")? {
        for pair in inner.pairs::<Value, Value>() {
            let (key, value) = pair?;
            items.push(reply(&key, resp3, depth + 1)?);
            items.push(reply(&value, resp3, depth + 1)?);
        }
        return Ok(Tree::Map(items));
    }
    if let Value::Table(inner) = table.raw_get::<Value>("set")? {
        for pair in inner.pairs::<Value, Value>() {
            items.push(reply(&pair?.0, resp3, depth + 1)?);
        }
        return Ok(Tree::Set(items));
    }
    for index in 1i64.. {
        let item = table.raw_get::<Value>(index)?;
        if item.is_nil() {
            break;
        }
        items.push(reply(&item, resp3, depth + 1)?);
    }
    Ok(Tree::Array(items))
}

fn one_line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace(['\r', '\n'], " ")
}

/// An error's text as an error.
pub(crate) fn to_error(text: &[u8]) -> Error {
    Error::owned(any_bytes(text).trim_end_matches(['\r', '\n']).to_owned())
}

/// The error of a run that failed, with its place.
pub(crate) fn failure(value: &Value, name: &str, killed: Option<&str>) -> mlua::Result<Error> {
    let Value::Table(table) = value else {
        let text = to_bytes(value).unwrap_or_else(|| b"execution failure".to_vec());
        let text = text.get(..text.len().min(100)).unwrap_or_default();
        let text = any_bytes(text);
        return Ok(Error::owned(format!("ERR Error running script {name}, {text}")));
    };
    let field = |name: &str| -> mlua::Result<Option<String>> {
        let bytes = to_bytes(&table.get::<Value>(name)?);
        Ok(bytes.map(|bytes| any_bytes(&bytes)))
    };
    let mut text = match killed {
        Some(why) => format!("ERR {why}"),
        None => field("err")?.unwrap_or_else(|| "ERR unknown error".to_owned()),
    };
    if let (Some(source), Some(line)) = (field("source")?, field("line")?) {
        text.push_str(&format!(" script: {name}, on {source}:{line}."));
    }
    Ok(Error::owned(text))
}
