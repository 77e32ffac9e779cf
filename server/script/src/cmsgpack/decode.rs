//! MessagePack to values.

use mlua::{Lua, Value};

use crate::value::{Raise, number, raise, string};

/// Values within values.
const DEPTH_MAX: usize = 1000;

/// Where the reading is.
pub(super) struct Cursor<'a> {
    lua: &'a Lua,
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// At the beginning of `data`.
    pub(super) fn new(lua: &'a Lua, data: &'a [u8]) -> Cursor<'a> {
        Cursor { lua, rest: data }
    }

    /// Bytes not read yet.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Raise> {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => raise("Missing bytes in input."),
        }
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Raise> {
        Ok(self.take(N)?.try_into().unwrap_or([0; N]))
    }

    fn unsigned(&mut self, len: usize) -> Result<u64, Raise> {
        Ok(self.take(len)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn len(&mut self, len: usize) -> Result<usize, Raise> {
        Ok(usize::try_from(self.unsigned(len)?).unwrap_or(usize::MAX))
    }

    fn text(&mut self, len: usize) -> Result<Value, Raise> {
        let text = self.take(len)?;
        string(self.lua, text)
    }

    /// The next value.
    #[expect(clippy::cast_precision_loss, reason = "numbers of Lua are doubles")]
    pub(super) fn value(&mut self, depth: usize) -> Result<Value, Raise> {
        if depth > DEPTH_MAX {
            return raise("stack overflow (too many nested values)");
        }
        let [code] = self.bytes()?;
        Ok(match code {
            0x00..=0x7f => number(f64::from(code)),
            0x80..=0x8f => self.map(usize::from(code & 0xf), depth)?,
            0x90..=0x9f => self.array(usize::from(code & 0xf), depth)?,
            0xa0..=0xbf => self.text(usize::from(code & 0x1f))?,
            0xc0 => Value::Nil,
            0xc2 => Value::Boolean(false),
            0xc3 => Value::Boolean(true),
            0xca => number(f64::from(f32::from_be_bytes(self.bytes()?))),
            0xcb => number(f64::from_be_bytes(self.bytes()?)),
            0xcc => number(self.unsigned(1)? as f64),
            0xcd => number(self.unsigned(2)? as f64),
            0xce => number(self.unsigned(4)? as f64),
            0xcf => number(self.unsigned(8)? as f64),
            0xd0 => number(f64::from(i8::from_be_bytes(self.bytes()?))),
            0xd1 => number(f64::from(i16::from_be_bytes(self.bytes()?))),
            0xd2 => number(f64::from(i32::from_be_bytes(self.bytes()?))),
            0xd3 => number(i64::from_be_bytes(self.bytes()?) as f64),
            0xd9 => {
                let len = self.len(1)?;
                self.text(len)?
            }
            0xda => {
                let len = self.len(2)?;
                self.text(len)?
            }
            0xdb => {
                let len = self.len(4)?;
                self.text(len)?
            }
            0xdc => {
                let len = self.len(2)?;
                self.array(len, depth)?
            }
            0xdd => {
                let len = self.len(4)?;
                self.array(len, depth)?
            }
            0xde => {
                let len = self.len(2)?;
                self.map(len, depth)?
            }
            0xdf => {
                let len = self.len(4)?;
                self.map(len, depth)?
            }
            0xe0..=0xff => number(f64::from(code.cast_signed())),
            _ => return raise("Bad data format in input."),
        })
    }

    fn array(&mut self, len: usize, depth: usize) -> Result<Value, Raise> {
        let table = self.lua.create_table()?;
        for index in 1..=len {
            let value = self.value(depth + 1)?;
            table.raw_set(index, value)?;
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self, len: usize, depth: usize) -> Result<Value, Raise> {
        let table = self.lua.create_table()?;
        for _ in 0..len {
            let key = self.value(depth + 1)?;
            let value = self.value(depth + 1)?;
            match &key {
                Value::Nil => return Err(Raise::Bare("table index is nil")),
                Value::Number(key) if key.is_nan() => {
                    return Err(Raise::Bare("table index is NaN"));
                }
                _ => table.raw_set(key, value)?,
            }
        }
        Ok(Value::Table(table))
    }
}
