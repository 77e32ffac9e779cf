//! How a function of a library ends, and what it takes its arguments from.

use mlua::{Function, IntoLua, IntoLuaMulti, Lua, MultiValue, Table, Value};

/// Why a function of a library does not return.
pub(crate) enum Raise {
    /// Raises this value; a string gets the caller's position in front.
    Value(Value),
    /// Raises this text, with the caller's position in front.
    Text(String),
    /// Raises this text as it is.
    Bare(&'static str),
    /// An argument, counted from 1, is not what it should be.
    Argument(i32, String),
}

impl From<mlua::Error> for Raise {
    fn from(error: mlua::Error) -> Raise {
        match error {
            mlua::Error::MemoryError(_) => Raise::Text("not enough memory".to_owned()),
            other => Raise::Text(other.to_string()),
        }
    }
}

/// A raised text.
pub(crate) fn raise<T>(text: impl Into<String>) -> Result<T, Raise> {
    Err(Raise::Text(text.into()))
}

/// What [`crate::raw::raising`] understands.
struct Outcome<R>(Result<R, Raise>);

impl<R: IntoLuaMulti> IntoLuaMulti for Outcome<R> {
    fn into_lua_multi(self, lua: &Lua) -> mlua::Result<MultiValue> {
        match self.0 {
            Ok(results) => {
                let mut values = results.into_lua_multi(lua)?;
                values.push_front(Value::Boolean(true));
                Ok(values)
            }
            Err(Raise::Value(value)) => (false, value).into_lua_multi(lua),
            Err(Raise::Text(text)) => (false, text).into_lua_multi(lua),
            Err(Raise::Bare(text)) => (Value::Nil, text).into_lua_multi(lua),
            Err(Raise::Argument(at, text)) => (at, text).into_lua_multi(lua),
        }
    }
}

/// Turns a function of Rust into what a closure for mlua returns.
pub(crate) fn outcome<R: IntoLuaMulti>(
    lua: &Lua,
    result: Result<R, Raise>,
) -> mlua::Result<MultiValue> {
    Outcome(result).into_lua_multi(lua)
}

/// Puts `function` into `table`.
pub(crate) fn define<R, F>(lua: &Lua, table: &Table, name: &str, function: F) -> mlua::Result<()>
where
    R: IntoLuaMulti,
    F: Fn(&Lua, Arguments) -> Result<R, Raise> + 'static,
{
    let inner: Function = lua.create_function(move |lua, values: MultiValue| {
        outcome(lua, function(lua, Arguments(values.into_iter().collect())))
    })?;
    table.raw_set(name, crate::raw::raising(lua, inner)?)
}

/// A call's arguments.
pub(crate) struct Arguments(Vec<Value>);

impl Arguments {
    /// Adds a nil behind the last one.
    pub(crate) fn push_nil(&mut self) {
        self.0.push(Value::Nil);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The argument at `at`, counted from 1; nil when there is none.
    pub(crate) fn at(&self, at: usize) -> &Value {
        const NIL: &Value = &Value::Nil;
        at.checked_sub(1).and_then(|at| self.0.get(at)).unwrap_or(NIL)
    }

    fn wrong(&self, at: usize, wanted: &str) -> Raise {
        let got = if at > self.0.len() { "no value" } else { type_name(self.at(at)) };
        Raise::Argument(position(at), format!("{wanted} expected, got {got}"))
    }

    /// A number, or a string that reads as one.
    pub(crate) fn number(&self, at: usize) -> Result<f64, Raise> {
        to_number(self.at(at)).ok_or_else(|| self.wrong(at, "number"))
    }

    /// A number cut to a whole one.
    pub(crate) fn integer(&self, at: usize) -> Result<i64, Raise> {
        self.number(at).map(crate::number::to_i64)
    }

    /// The same, or `default` where there is none.
    pub(crate) fn integer_or(&self, at: usize, default: i64) -> Result<i64, Raise> {
        if self.at(at).is_nil() { Ok(default) } else { self.integer(at) }
    }

    /// A string, or a number as one.
    pub(crate) fn string(&self, at: usize) -> Result<Vec<u8>, Raise> {
        to_bytes(self.at(at)).ok_or_else(|| self.wrong(at, "string"))
    }

    /// All of them.
    pub(crate) fn into_values(self) -> Vec<Value> {
        self.0
    }
}

/// An argument's position for [`Raise::Argument`].
pub(crate) fn position(at: usize) -> i32 {
    i32::try_from(at).unwrap_or(i32::MAX)
}

/// Lua's name of a value's type.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "number",
        other => other.type_name(),
    }
}

/// A number, or a string that reads as one.
pub(crate) fn to_number(value: &Value) -> Option<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "a whole number of Lua is a double")]
        Value::Integer(value) => Some(*value as f64),
        Value::Number(value) => Some(*value),
        Value::String(text) => {
            let text = text.as_bytes();
            let text = text.trim_ascii();
            let (value, len) = crate::number::strtod(text)?;
            (len == text.len()).then_some(value)
        }
        _ => None,
    }
}

/// A string, or a number as Lua writes it.
pub(crate) fn to_bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Integer(_) | Value::Number(_) => {
            to_number(value).map(|number| crate::number::general(number, 14).into_bytes())
        }
        _ => None,
    }
}

/// A number as Lua's value.
pub(crate) fn number(value: f64) -> Value {
    Value::Number(value)
}

/// A string as Lua's value.
pub(crate) fn string(lua: &Lua, bytes: impl AsRef<[u8]>) -> Result<Value, Raise> {
    Ok(lua.create_string(bytes)?.into_lua(lua)?)
}
