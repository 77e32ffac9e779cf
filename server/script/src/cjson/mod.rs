//! The `cjson` library.

mod decode;
mod encode;

use std::cell::Cell;
use std::rc::Rc;

use mlua::{Lua, Table, Value};

use crate::value::{Arguments, Raise, define, number, string, to_bytes, type_name};

/// What its functions are set to.
#[derive(Clone, Copy)]
struct Settings {
    sparse_convert: bool,
    sparse_ratio: i64,
    sparse_safe: i64,
    encode_depth_max: i64,
    decode_depth_max: i64,
    /// 0: an error, 1: as they are, 2: as null.
    encode_invalid_numbers: i64,
    decode_invalid_numbers: bool,
    precision: i64,
    keep_buffer: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            sparse_convert: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth_max: 1000,
            decode_depth_max: 1000,
            encode_invalid_numbers: 0,
            decode_invalid_numbers: true,
            precision: 14,
            keep_buffer: true,
        }
    }
}

type Shared = Rc<Cell<Settings>>;

/// Makes its table, with settings of its own.
pub(crate) fn open(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let shared = Shared::default();
    let settings = Rc::clone(&shared);
    define(lua, &table, "encode", move |lua, args| {
        expect_one(&args)?;
        string(lua, encode::encode(&settings.get(), args.at(1))?)
    })?;
    let settings = Rc::clone(&shared);
    define(lua, &table, "decode", move |lua, args| {
        expect_one(&args)?;
        decode::decode(lua, &settings.get(), &args.string(1)?)
    })?;
    define_options(lua, &table, &shared)?;
    define(lua, &table, "new", |lua, _| Ok(open(lua)?))?;
    table.raw_set("null", Value::NULL)?;
    table.raw_set("_NAME", "cjson")?;
    table.raw_set("_VERSION", "2.1.0")?;
    Ok(table)
}

fn expect_one(args: &Arguments) -> Result<(), Raise> {
    if args.len() == 1 { Ok(()) } else { Err(Raise::Argument(1, "expected 1 argument".to_owned())) }
}

/// Adds a function that changes and tells one setting or several.
fn option<R: mlua::IntoLuaMulti>(
    lua: &Lua,
    table: &Table,
    shared: &Shared,
    name: &str,
    arguments_max: usize,
    change: impl Fn(&mut Settings, &Arguments) -> Result<R, Raise> + 'static,
) -> mlua::Result<()> {
    let shared = Rc::clone(shared);
    define(lua, table, name, move |_, args| {
        if args.len() > arguments_max {
            let at = crate::value::position(arguments_max + 1);
            return Err(Raise::Argument(at, "found too many arguments".to_owned()));
        }
        let mut settings = shared.get();
        // What was changed before a wrong argument stays changed.
        let result = change(&mut settings, &args);
        shared.set(settings);
        result
    })
}

fn define_options(lua: &Lua, table: &Table, shared: &Shared) -> mlua::Result<()> {
    const INT_MAX: i64 = i32::MAX as i64;
    option(lua, table, shared, "encode_sparse_array", 3, |settings, args| {
        let convert = switch(args, 1, &mut settings.sparse_convert)?;
        let ratio = integer(args, 2, &mut settings.sparse_ratio, 0, INT_MAX)?;
        Ok((convert, ratio, integer(args, 3, &mut settings.sparse_safe, 0, INT_MAX)?))
    })?;
    option(lua, table, shared, "encode_max_depth", 1, |settings, args| {
        integer(args, 1, &mut settings.encode_depth_max, 1, INT_MAX)
    })?;
    option(lua, table, shared, "decode_max_depth", 1, |settings, args| {
        integer(args, 1, &mut settings.decode_depth_max, 1, INT_MAX)
    })?;
    option(lua, table, shared, "encode_number_precision", 1, |settings, args| {
        integer(args, 1, &mut settings.precision, 1, 14)
    })?;
    option(lua, table, shared, "encode_keep_buffer", 1, |settings, args| {
        switch(args, 1, &mut settings.keep_buffer)
    })?;
    option(lua, table, shared, "decode_invalid_numbers", 1, |settings, args| {
        switch(args, 1, &mut settings.decode_invalid_numbers)
    })?;
    let null = lua.create_string("null")?;
    option(lua, table, shared, "encode_invalid_numbers", 1, move |settings, args| {
        let value = &mut settings.encode_invalid_numbers;
        *value = word(args, 1, *value, &["off", "on", "null"])?;
        Ok(if *value == 2 { Value::String(null.clone()) } else { Value::Boolean(*value == 1) })
    })
}

fn integer(
    args: &Arguments,
    at: usize,
    setting: &mut i64,
    min: i64,
    max: i64,
) -> Result<Value, Raise> {
    if !args.at(at).is_nil() {
        let value = args.integer(at)?;
        if !(min..=max).contains(&value) {
            return Err(Raise::Argument(1, format!("expected integer between {min} and {max}")));
        }
        *setting = value;
    }
    #[expect(clippy::cast_precision_loss, reason = "settings are below 2^31")]
    Ok(number(*setting as f64))
}

fn switch(args: &Arguments, at: usize, setting: &mut bool) -> Result<Value, Raise> {
    *setting = word(args, at, i64::from(*setting), &["off", "on"])? == 1;
    Ok(Value::Boolean(*setting))
}

/// The position of an argument among words; a boolean is the first or the second one.
fn word(args: &Arguments, at: usize, current: i64, words: &[&str]) -> Result<i64, Raise> {
    let value = args.at(at);
    if value.is_nil() {
        return Ok(current);
    }
    if let Value::Boolean(on) = value {
        return Ok(i64::from(*on));
    }
    let position = crate::value::position(at);
    let Some(text) = to_bytes(value) else {
        let got = type_name(value);
        return Err(Raise::Argument(position, format!("string expected, got {got}")));
    };
    match words.iter().position(|word| word.as_bytes() == text) {
        Some(found) => Ok(i64::try_from(found).unwrap_or(0)),
        None => {
            let text = String::from_utf8_lossy(&text).into_owned();
            Err(Raise::Argument(position, format!("invalid option '{text}'")))
        }
    }
}
