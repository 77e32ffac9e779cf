//! What a script finds: the allowed globals, none of which it can change.
//!
//! Stock Lua has no tables that cannot be changed. So a script gets *stand-ins*: empty tables that read through to the true ones and
//! refuse writes; functions that look past metatables (`rawset`, `next`, `table.insert` ...) are guarded.

use mlua::{Function, IntoLuaMulti, Lua, LuaOptions, StdLib, Table, Value};

use crate::raw;

/// What of Lua's base library a script gets.
const BUILTINS: &[&str] = &[
    "_VERSION",
    "assert",
    "collectgarbage",
    "coroutine",
    "error",
    "gcinfo",
    "getmetatable",
    "ipairs",
    "load",
    "loadstring",
    "math",
    "next",
    "pairs",
    "rawequal",
    "rawget",
    "rawset",
    "select",
    "setmetatable",
    "string",
    "table",
    "tonumber",
    "tostring",
    "type",
    "unpack",
    "xpcall",
];
/// Bytes that the values of an interpreter may take.
const MEMORY_MAX_BYTES: usize = 1 << 30;

/// The globals of an interpreter.
pub(crate) struct Sandbox {
    /// The true ones.
    pub(crate) globals: Table,
    /// What scripts see of them.
    pub(crate) stand_in: Table,
    /// Decides what that is.
    seen: Table,
    /// Stand-ins, and what they stand for.
    protected: Table,
    refuse_write: Function,
    /// `__index` of tables in which nothing may be missed.
    pub(crate) refuse_read: Function,
    /// Runs a function in protection.
    pub(crate) run: Function,
}

/// Makes an interpreter whose C stack ends at `stack_limit`.
pub(crate) fn interpreter() -> mlua::Result<Lua> {
    let libs = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
    let lua = Lua::new_with(libs, LuaOptions::new().catch_rust_panics(true))?;
    lua.set_memory_limit(MEMORY_MAX_BYTES)?;
    Ok(lua)
}

impl Sandbox {
    /// Reduces the globals to what is allowed. The libraries of Redis and its API are added with [`Sandbox::add`] after that.
    pub(crate) fn new(lua: &Lua, stack_limit: usize) -> mlua::Result<Sandbox> {
        let (all, globals) = (lua.globals(), lua.create_table()?);
        for name in BUILTINS {
            globals.raw_set(*name, all.raw_get::<Value>(*name)?)?;
        }
        globals.raw_set("pcall", raw::pcall(lua)?)?;
        let mut sandbox = Sandbox {
            stand_in: lua.create_table()?,
            seen: lua.create_table()?,
            protected: lua.create_table()?,
            refuse_write: raw::refusing_write(lua)?,
            refuse_read: raw::refusing_read(lua)?,
            run: raw::runner(lua, globals.raw_get("tostring")?)?,
            globals,
        };
        sandbox.guard(lua, stack_limit)?;
        (sandbox.stand_in, sandbox.seen) = sandbox.stand_in_for(lua, sandbox.globals.clone())?;
        sandbox.globals.raw_set("_G", &sandbox.stand_in)?;
        for name in ["coroutine", "math", "string", "table"] {
            let library: Table = sandbox.globals.raw_get(name)?;
            sandbox.add(lua, name, library)?;
        }
        sandbox.protect_strings(lua)?;
        let missing = lua.create_table()?;
        missing.raw_set("__index", &sandbox.refuse_read)?;
        sandbox.globals.set_metatable(Some(missing))?;
        lua.set_globals(sandbox.stand_in.clone())?;
        Ok(sandbox)
    }

    /// Adds a global table that cannot be changed.
    pub(crate) fn add(&self, lua: &Lua, name: &str, table: Table) -> mlua::Result<()> {
        self.globals.raw_set(name, self.protect(lua, table)?)
    }

    /// A stand-in for `table`.
    pub(crate) fn protect(&self, lua: &Lua, table: Table) -> mlua::Result<Table> {
        Ok(self.stand_in_for(lua, table)?.0)
    }

    fn stand_in_for(&self, lua: &Lua, table: Table) -> mlua::Result<(Table, Table)> {
        let (stand_in, meta) = (lua.create_table()?, lua.create_table()?);
        meta.raw_set("__index", &table)?;
        meta.raw_set("__newindex", &self.refuse_write)?;
        meta.raw_set("__metatable", self.sealed(lua)?)?;
        stand_in.set_metatable(Some(meta.clone()))?;
        self.protected.raw_set(&stand_in, table)?;
        Ok((stand_in, meta))
    }

    /// What a stand-in stands for.
    pub(crate) fn true_table(&self, stand_in: &Table) -> mlua::Result<Table> {
        self.protected.raw_get(stand_in)
    }

    /// Makes scripts see `globals` from now on.
    pub(crate) fn show(&self, globals: &Table) -> mlua::Result<()> {
        self.seen.raw_set("__index", globals)
    }

    /// What a script gets for the metatable of a stand-in: an empty table that cannot be changed.
    fn sealed(&self, lua: &Lua) -> mlua::Result<Table> {
        let (stand_in, meta) = (lua.create_table()?, lua.create_table()?);
        meta.raw_set("__newindex", &self.refuse_write)?;
        meta.raw_set("__metatable", false)?;
        stand_in.set_metatable(Some(meta))?;
        self.protected.raw_set(&stand_in, lua.create_table()?)?;
        Ok(stand_in)
    }

    fn protect_strings(&self, lua: &Lua) -> mlua::Result<()> {
        let get: Function = self.globals.raw_get("getmetatable")?;
        let meta: Table = get.call("")?;
        let shown = lua.create_table()?;
        shown.raw_set("__index", self.globals.raw_get::<Table>("string")?)?;
        meta.raw_set("__metatable", self.protect(lua, shown)?)
    }

    fn guard(&self, lua: &Lua, stack_limit: usize) -> mlua::Result<()> {
        let protected = || self.protected.clone();
        let change =
            |table: &Table, name: &str, wrap: &dyn Fn(Function) -> mlua::Result<Function>| {
                let original: Function = table.raw_get(name)?;
                table.raw_set(name, wrap(original)?)
            };
        let library = |name: &str| self.globals.raw_get::<Table>(name);
        let globals = &self.globals;
        for name in ["rawset", "setmetatable"] {
            change(globals, name, &|original| raw::writing(lua, original, protected()))?;
        }
        for name in ["next", "rawget"] {
            change(globals, name, &|original| raw::reading(lua, original, protected()))?;
        }
        let next: Function = globals.raw_get("next")?;
        globals.raw_set("pairs", raw::pairs(lua, next)?)?;
        change(globals, "unpack", &|original| raw::unpack(lua, original))?;
        change(globals, "loadstring", &|original| raw::loadstring(lua, original))?;
        globals.raw_set("load", load(lua, globals.raw_get("loadstring")?)?)?;
        let table = library("table")?;
        for name in ["insert", "remove", "sort", "setn"] {
            change(&table, name, &|original| raw::writing(lua, original, protected()))?;
        }
        change(&table, "foreach", &|original| raw::reading(lua, original, protected()))?;
        let string = library("string")?;
        for name in ["find", "match", "gmatch", "gfind", "gsub"] {
            if string.raw_get::<Option<Function>>(name)?.is_some() {
                change(&string, name, &|original| raw::matching(lua, original))?;
            }
        }
        change(&string, "rep", &|original| raw::rep(lua, original))?;
        let coroutine = library("coroutine")?;
        change(&coroutine, "resume", &|original| raw::resume(lua, original, stack_limit))?;
        let wrap = raw::wrap(lua, coroutine.raw_get("create")?, coroutine.raw_get("resume")?)?;
        coroutine.raw_set("wrap", wrap)
    }
}

/// `load`, which puts the pieces together and reads them as text.
fn load(lua: &Lua, loadstring: Function) -> mlua::Result<Function> {
    let inner =
        lua.create_function(move |lua, (pieces, name): (Value, Option<mlua::LuaString>)| {
            let Value::Function(pieces) = &pieces else {
                let got = crate::value::type_name(&pieces);
                return (1, format!("function expected, got {got}")).into_lua_multi(lua);
            };
            let mut text = Vec::new();
            loop {
                match pieces.call::<Value>(()) {
                    Ok(Value::String(piece)) if !piece.as_bytes().is_empty() => {
                        text.extend_from_slice(&piece.as_bytes());
                    }
                    Ok(Value::Nil | Value::String(_)) => break,
                    Ok(_) => {
                        let why = lua.create_string("reader function must return a string")?;
                        return (true, Value::Nil, why).into_lua_multi(lua);
                    }
                    Err(error) => {
                        let why = lua.create_string(error.to_string())?;
                        return (true, Value::Nil, why).into_lua_multi(lua);
                    }
                }
            }
            let name = match name {
                Some(name) => name,
                None => lua.create_string("=(load)")?,
            };
            let (function, why) =
                loadstring.call::<(Value, Value)>((lua.create_string(text)?, name))?;
            (true, function, why).into_lua_multi(lua)
        })?;
    raw::raising(lua, inner)
}
