//! Values to MessagePack.

use mlua::{Table, Value};

use crate::number::to_i64;
use crate::value::{Raise, to_number};

/// Tables within tables; what is deeper becomes nil.
const DEPTH_MAX: usize = 16;

/// Appends a value.
pub(super) fn encode(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), Raise> {
    match value {
        Value::String(text) => append_bytes(out, &text.as_bytes()),
        Value::Boolean(value) => out.push(if *value { 0xc3 } else { 0xc2 }),
        Value::Integer(_) | Value::Number(_) => append_number(out, to_number(value).unwrap_or(0.0)),
        Value::Table(table) if depth < DEPTH_MAX => append_table(out, table, depth)?,
        _ => out.push(0xc0),
    }
    Ok(())
}

fn append_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ 0..32), _) => out.push(0xa0 | len),
        (Ok(len), _) => out.extend_from_slice(&[0xd9, len]),
        (_, Ok(len)) => {
            out.push(0xda);
            out.extend_from_slice(&len.to_be_bytes());
        }
        _ => {
            out.push(0xdb);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

fn append_number(out: &mut Vec<u8>, value: f64) {
    #[expect(clippy::cast_precision_loss, reason = "it is whether something is lost that is asked")]
    let whole = value.is_finite() && to_i64(value) as f64 == value;
    if whole {
        return append_integer(out, to_i64(value));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is whether something is lost that is asked"
    )]
    let float = value as f32;
    if f64::from(float) == value {
        out.push(0xca);
        out.extend_from_slice(&float.to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

fn append_integer(out: &mut Vec<u8>, value: i64) {
    let bytes = value.to_be_bytes();
    let (code, len) = match value {
        0..=127 => return out.extend(bytes.last()),
        128..=0xff => (0xcc, 1),
        0x100..=0xffff => (0xcd, 2),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        0x1_0000_0000.. => (0xcf, 8),
        -32..=-1 => return out.extend(bytes.last()),
        -128..=-33 => (0xd0, 1),
        -32768..=-129 => (0xd1, 2),
        -2_147_483_648..=-32769 => (0xd2, 4),
        _ => (0xd3, 8),
    };
    out.push(code);
    out.extend_from_slice(bytes.get(8 - len..).unwrap_or_default());
}

fn append_header(out: &mut Vec<u8>, len: usize, short: u8, wide: u8) {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ 0..16), _) => out.push(short | len),
        (_, Ok(len)) => {
            out.push(wide);
            out.extend_from_slice(&len.to_be_bytes());
        }
        _ => {
            out.push(wide + 1);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
}

fn append_table(out: &mut Vec<u8>, table: &Table, depth: usize) -> Result<(), Raise> {
    let count = count_if_array(table)?;
    if let Some(len) = count {
        append_header(out, len, 0x90, 0xdc);
        for index in 1..=len {
            encode(out, &table.get::<Value>(index)?, depth + 1)?;
        }
        return Ok(());
    }
    let mut len = 0;
    for pair in table.pairs::<Value, Value>() {
        pair?;
        len += 1;
    }
    append_header(out, len, 0x80, 0xde);
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        encode(out, &key, depth + 1)?;
        encode(out, &value, depth + 1)?;
    }
    Ok(())
}

/// The number of elements of a table whose keys are the numbers from 1 on, without a gap.
fn count_if_array(table: &Table) -> Result<Option<usize>, Raise> {
    let (mut count, mut max) = (0i64, 0i64);
    for pair in table.pairs::<Value, Value>() {
        let (key, _) = pair?;
        match key {
            Value::Integer(key) if (1..=i64::from(i32::MAX)).contains(&key) => max = max.max(key),
            _ => return Ok(None),
        }
        count += 1;
    }
    Ok((max == count).then(|| usize::try_from(count).unwrap_or(0)))
}
