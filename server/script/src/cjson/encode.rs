//! Values to JSON.

use mlua::{Table, Value};

use super::Settings;
use crate::number::general;
use crate::value::{Raise, raise, to_number, type_name};

/// Tables within tables, whatever the settings allow: each costs references of the interpreter and a part of the C stack.
const DEPTH_MAX: i64 = 1900;

/// A value as JSON.
pub(super) fn encode(settings: &Settings, value: &Value) -> Result<Vec<u8>, Raise> {
    let mut out = Vec::new();
    append(settings, &mut out, 0, value)?;
    Ok(out)
}

fn refuse<T>(value: &Value, reason: &str) -> Result<T, Raise> {
    raise(format!("Cannot serialise {}: {reason}", type_name(value)))
}

fn append(settings: &Settings, out: &mut Vec<u8>, depth: i64, value: &Value) -> Result<(), Raise> {
    match value {
        Value::String(text) => append_string(out, &text.as_bytes()),
        Value::Integer(_) | Value::Number(_) => append_number(settings, out, value)?,
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Nil => out.extend_from_slice(b"null"),
        Value::Table(table) => {
            let depth = depth + 1;
            if depth > settings.encode_depth_max.min(DEPTH_MAX) {
                return raise(format!("Cannot serialise, excessive nesting ({depth})"));
            }
            match array_len(settings, table)? {
                Some(len) if len > 0 => append_array(settings, out, depth, table, len)?,
                _ => append_object(settings, out, depth, table)?,
            }
        }
        value if value.is_null() => out.extend_from_slice(b"null"),
        other => return refuse(other, "type not supported"),
    }
    Ok(())
}

/// The largest index of a table that has nothing but whole ones; none where it is to be an object.
fn array_len(settings: &Settings, table: &Table) -> Result<Option<i64>, Raise> {
    let (mut max, mut items) = (0i64, 0i64);
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        let whole = match &key {
            Value::Integer(key) => Some(*key),
            Value::Number(key) if key.fract() == 0.0 && *key >= 1.0 => {
                Some(crate::number::to_i64(*key).max(i64::from(i32::MAX)))
            }
            _ => None,
        };
        drop(value);
        let Some(index) = whole.filter(|index| *index >= 1) else { return Ok(None) };
        max = max.max(index);
        items += 1;
    }
    if settings.sparse_ratio > 0
        && max > items.saturating_mul(settings.sparse_ratio)
        && max > settings.sparse_safe
    {
        if !settings.sparse_convert {
            return raise("Cannot serialise table: excessively sparse array");
        }
        return Ok(None);
    }
    Ok(Some(max))
}

fn append_array(
    settings: &Settings,
    out: &mut Vec<u8>,
    depth: i64,
    table: &Table,
    len: i64,
) -> Result<(), Raise> {
    out.push(b'[');
    for index in 1..=len {
        if index > 1 {
            out.push(b',');
        }
        append(settings, out, depth, &table.raw_get::<Value>(index)?)?;
    }
    out.push(b']');
    Ok(())
}

fn append_object(
    settings: &Settings,
    out: &mut Vec<u8>,
    depth: i64,
    table: &Table,
) -> Result<(), Raise> {
    out.push(b'{');
    let mut first = true;
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        if !first {
            out.push(b',');
        }
        first = false;
        match &key {
            Value::Integer(_) | Value::Number(_) => {
                out.push(b'"');
                append_number(settings, out, &key)?;
                out.push(b'"');
            }
            Value::String(text) => append_string(out, &text.as_bytes()),
            other => return refuse(other, "table key must be a number or string"),
        }
        out.push(b':');
        append(settings, out, depth, &value)?;
    }
    out.push(b'}');
    Ok(())
}

fn append_number(settings: &Settings, out: &mut Vec<u8>, value: &Value) -> Result<(), Raise> {
    let number = to_number(value).unwrap_or(0.0);
    if !number.is_finite() {
        match settings.encode_invalid_numbers {
            0 => return refuse(value, "must not be NaN or Inf"),
            1 if number.is_nan() => {
                out.extend_from_slice(b"nan");
                return Ok(());
            }
            1 => {}
            _ => {
                out.extend_from_slice(b"null");
                return Ok(());
            }
        }
    }
    let precision = usize::try_from(settings.precision).unwrap_or(14);
    out.extend_from_slice(general(number, precision).as_bytes());
    Ok(())
}

fn append_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'/' => out.extend_from_slice(b"\\/"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x00..=0x1f | 0x7f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            other => out.push(*other),
        }
    }
    out.push(b'"');
}
