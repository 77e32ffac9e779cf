//! `redis.register_function`: what a library says of its functions while it is loaded.

use mlua::{Function, Table, Value};

use crate::shebang::{BAD_NAME, ScriptFlags, is_name};
use crate::value::{Arguments, to_bytes};

/// A function of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionRow {
    /// Its name.
    pub name: String,
    /// What it is good for.
    pub description: Option<String>,
    /// Its flags.
    pub flags: ScriptFlags,
}

/// Functions registered so far.
#[derive(Default)]
pub(crate) struct Registered {
    pub(crate) rows: Vec<FunctionRow>,
    pub(crate) functions: Vec<Function>,
}

impl Registered {
    /// Adds the function that a call of `register_function` describes.
    pub(crate) fn register(&mut self, args: &Arguments) -> Result<(), String> {
        let (row, function) = match args.len() {
            1 => named(args.at(1))?,
            2 => positional(args)?,
            _ => return Err("wrong number of arguments to redis.register_function".to_owned()),
        };
        if !is_name(row.name.as_bytes()) {
            return Err(BAD_NAME.to_owned());
        }
        if self.rows.iter().any(|known| known.name == row.name) {
            return Err("Function already exists in the library".to_owned());
        }
        self.rows.push(row);
        self.functions.push(function);
        Ok(())
    }
}

fn text(value: &Value) -> Option<String> {
    to_bytes(value).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn positional(args: &Arguments) -> Result<(FunctionRow, Function), String> {
    let Some(name) = text(args.at(1)) else {
        return Err("first argument to redis.register_function must be a string".to_owned());
    };
    let Value::Function(function) = args.at(2) else {
        return Err("second argument to redis.register_function must be a function".to_owned());
    };
    let row = FunctionRow { name, description: None, flags: ScriptFlags::default() };
    Ok((row, function.clone()))
}

fn named(value: &Value) -> Result<(FunctionRow, Function), String> {
    let Value::Table(table) = value else {
        return Err(
            "calling redis.register_function with a single argument is only applicable to Lua table (representing named \
             arguments)."
                .to_owned(),
        );
    };
    let must_be = |what: &str, kind: &str| {
        Err(format!("{what} argument given to redis.register_function must be {kind}"))
    };
    let (mut name, mut description, mut callback) = (None, None, None);
    let mut flags = ScriptFlags::default();
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|error| error.to_string())?;
        let Some(key) = text(&key) else {
            return Err(
                "named argument key given to redis.register_function is not a string".to_owned()
            );
        };
        match key.to_ascii_lowercase().as_str() {
            "function_name" => match text(&value) {
                Some(value) => name = Some(value),
                None => return must_be("function_name", "a string"),
            },
            "description" => match text(&value) {
                Some(value) => description = Some(value),
                None => return must_be("description", "a string"),
            },
            "callback" => match value {
                Value::Function(function) => callback = Some(function),
                _ => return must_be("callback", "a function"),
            },
            "flags" => match &value {
                Value::Table(list) => flags = read_flags(list)?,
                _ => {
                    return Err(
                        "flags argument to redis.register_function must be a table representing function flags"
                            .to_owned(),
                    );
                }
            },
            _ => return Err("unknown argument given to redis.register_function".to_owned()),
        }
    }
    let missing = |what: &str| format!("redis.register_function must get a {what} argument");
    let name = name.ok_or_else(|| missing("function name"))?;
    let callback = callback.ok_or_else(|| missing("callback"))?;
    Ok((FunctionRow { name, description, flags }, callback))
}

fn read_flags(list: &Table) -> Result<ScriptFlags, String> {
    let mut flags = ScriptFlags::default();
    for index in 1i64.. {
        let value = list.get::<Value>(index).map_err(|error| error.to_string())?;
        if value.is_nil() {
            break;
        }
        let flag = to_bytes(&value).and_then(|name| ScriptFlags::named(&name, true));
        flags = flags.with(flag.ok_or_else(|| "unknown flag given".to_owned())?);
    }
    Ok(flags)
}
