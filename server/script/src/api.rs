//! The table `redis` of scripts and functions.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use corosensei::Yielder;
use mlua::{Function, Lua, MultiValue, Scope, Table, Value};
use ringstone_engine::ArgBuf;

use crate::convert::{error_table, to_lua, to_words};
use crate::functions::Registered;
use crate::interpreter::{Answer, Ask, Input, Step};
use crate::number::to_i32;
use crate::random::Random;
use crate::raw;
use crate::value::{Arguments, Raise, define, number, outcome, to_bytes, to_number};

/// The version that scripts are told: that of the Redis whose behaviour they may rely on.
const VERSION: &str = "7.0.15";
const VERSION_NUMBER: u32 = 0x0007_000f;

/// What all functions of an interpreter know of the run.
pub(crate) struct State {
    /// A script or function runs.
    pub(crate) running: Cell<bool>,
    /// Replies of commands come in the form of RESP3.
    pub(crate) resp3: Cell<bool>,
    /// Why it is being ended.
    pub(crate) stopped: Cell<Option<&'static str>>,
    /// What the library that is being loaded has registered.
    pub(crate) registered: RefCell<Option<Registered>>,
    random: RefCell<Random>,
}

impl State {
    pub(crate) fn new() -> Rc<State> {
        Rc::new(State {
            running: Cell::new(false),
            resp3: Cell::new(false),
            stopped: Cell::new(None),
            registered: RefCell::new(None),
            random: RefCell::new(Random::new()),
        })
    }
}

/// An error table to be raised.
fn raise_error<T>(lua: &Lua, text: &str) -> Result<T, Raise> {
    Err(Raise::Value(Value::Table(error_table(lua, text.as_bytes(), false)?)))
}

/// Where functions ask whoever drives the script.
pub(crate) type Asker<'env> = &'env Yielder<Input, Step>;

fn ask(asker: Asker<'_>, what: Ask) -> Answer {
    match asker.suspend(Step::Ask(what)) {
        Input::Answer(answer) => answer,
        // Nobody starts a job while another is under way.
        Input::Job(_) | Input::Stop => Answer::Stop("the interpreter ends"),
    }
}

/// Adds the functions that ask; they live as long as `scope`.
pub(crate) fn define_asking<'scope, 'env: 'scope>(
    lua: &Lua,
    scope: &'scope Scope<'scope, 'env>,
    asker: Asker<'env>,
    state: &Rc<State>,
    redis: &Table,
) -> mlua::Result<()> {
    let add = |name: &str, inner: Function| redis.raw_set(name, raw::raising(lua, inner)?);
    for (name, raises) in [("call", true), ("pcall", false)] {
        let state = Rc::clone(state);
        let inner = scope.create_function(move |lua: &Lua, values: MultiValue| {
            outcome(lua, call(lua, asker, &state, values, raises))
        })?;
        redis.raw_set(name, raw::raising_many(lua, inner)?)?;
    }
    let shared = Rc::clone(state);
    let inner = scope.create_function(move |lua: &Lua, values: MultiValue| {
        outcome(lua, acl_check_cmd(lua, asker, &shared, values))
    })?;
    redis.raw_set("acl_check_cmd", raw::raising_many(lua, inner)?)?;
    add("log", log_function(scope, asker)?)?;
    let shared = Rc::clone(state);
    let inner = scope.create_function(move |lua: &Lua, values: MultiValue| {
        outcome(lua, set_repl(lua, asker, &shared, values))
    })?;
    add("set_repl", inner)
}

/// `redis.log`, which libraries have while they are loaded, too.
pub(crate) fn log_function<'scope, 'env: 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    asker: Asker<'env>,
) -> mlua::Result<Function> {
    scope
        .create_function(move |lua: &Lua, values: MultiValue| outcome(lua, log(lua, asker, values)))
}

/// The function that a count of instructions calls; its result is true while the script may go on.
pub(crate) fn tick_function<'scope, 'env: 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    asker: Asker<'env>,
    state: &Rc<State>,
) -> mlua::Result<Function> {
    let state = Rc::clone(state);
    scope.create_function(move |_: &Lua, (): ()| {
        if let Answer::Stop(why) = ask(asker, Ask::Tick) {
            state.stopped.set(Some(why));
        }
        Ok(state.stopped.get().is_none())
    })
}

fn words(lua: &Lua, values: MultiValue) -> Result<Result<ArgBuf, Table>, Raise> {
    let mut values: Vec<Value> = values.into_iter().collect();
    if let [mark, Value::Table(table), count] = values.as_slice()
        && raw::is_pack(mark)
    {
        let count = to_number(count).map_or(0, |count| i64::from(to_i32(count)));
        values = (1..=count).map(|at| table.raw_get(at)).collect::<mlua::Result<_>>()?;
    }
    let wrong = |text: &str| Ok(Err(error_table(lua, text.as_bytes(), false)?));
    if values.is_empty() {
        return wrong("Please specify at least one argument for this redis lib call");
    }
    match to_words(&values) {
        Some(words) => Ok(Ok(words)),
        None => wrong("Lua redis lib command arguments must be strings or integers"),
    }
}

fn call(
    lua: &Lua,
    asker: Asker<'_>,
    state: &State,
    values: MultiValue,
    raises: bool,
) -> Result<Value, Raise> {
    if !state.running.get() {
        return raise_error(lua, "redis.call/pcall can only be called inside a script invocation");
    }
    let failed = |table: Table| {
        let table = Value::Table(table);
        if raises { Err(Raise::Value(table)) } else { Ok(table) }
    };
    let words = match words(lua, values)? {
        Ok(words) => words,
        Err(table) => return failed(table),
    };
    let resp3 = state.resp3.get();
    match ask(asker, Ask::Call { words, resp3 }) {
        Answer::Reply(tree) => {
            let value = to_lua(lua, &tree, resp3)?;
            match tree {
                ringstone_engine::Tree::Error(_) if raises => Err(Raise::Value(value)),
                _ => Ok(value),
            }
        }
        Answer::Refused(text) => {
            let coded = text.starts_with('-');
            let text = text.strip_prefix('-').unwrap_or(&text);
            let table = error_table(lua, text.as_bytes(), coded)?;
            table.raw_set("ignore_error_stats_update", true)?;
            failed(table)
        }
        Answer::Stop(why) => {
            state.stopped.set(Some(why));
            raise_error(lua, why)
        }
        Answer::Allowed(_) | Answer::Nothing => Ok(Value::Nil),
    }
}

fn acl_check_cmd(
    lua: &Lua,
    asker: Asker<'_>,
    state: &State,
    values: MultiValue,
) -> Result<Value, Raise> {
    if !state.running.get() {
        let text = "redis.acl_check_cmd can only be called inside a script invocation";
        return raise_error(lua, text);
    }
    let words = match words(lua, values)? {
        Ok(words) => words,
        Err(table) => return Err(Raise::Value(Value::Table(table))),
    };
    match ask(asker, Ask::MayCall(words)) {
        Answer::Allowed(allowed) => Ok(Value::Boolean(allowed)),
        _ => raise_error(lua, "Invalid command passed to redis.acl_check_cmd()"),
    }
}

fn log(lua: &Lua, asker: Asker<'_>, values: MultiValue) -> Result<(), Raise> {
    let values: Vec<Value> = values.into_iter().collect();
    let [level, rest @ ..] = values.as_slice() else {
        return raise_error(lua, "redis.log() requires two arguments or more.");
    };
    if rest.is_empty() {
        return raise_error(lua, "redis.log() requires two arguments or more.");
    }
    let Some(level) = to_number(level) else {
        return raise_error(lua, "First argument must be a number (log level).");
    };
    let Some(level) = u8::try_from(to_i32(level)).ok().filter(|level| *level <= 3) else {
        return raise_error(lua, "Invalid debug level.");
    };
    let text = rest.iter().filter_map(to_bytes).collect::<Vec<_>>().join(&b' ');
    ask(asker, Ask::Log { level, text });
    Ok(())
}

fn set_repl(lua: &Lua, asker: Asker<'_>, state: &State, values: MultiValue) -> Result<(), Raise> {
    if !state.running.get() {
        return raise_error(lua, "redis.set_repl can only be called inside a script invocation");
    }
    let values: Vec<Value> = values.into_iter().collect();
    let [flags] = values.as_slice() else {
        return raise_error(lua, "redis.set_repl() requires two arguments.");
    };
    let flags = to_i32(to_number(flags).unwrap_or(0.0));
    match u8::try_from(flags).ok().filter(|flags| *flags <= 3) {
        Some(flags) => {
            ask(asker, Ask::SetReplication { log: flags & 1 != 0 });
            Ok(())
        }
        None => raise_error(
            lua,
            "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
        ),
    }
}

/// Adds what scripts and libraries being loaded have in common.
pub(crate) fn define_constants(redis: &Table) -> mlua::Result<()> {
    redis.raw_set("REDIS_VERSION", VERSION)?;
    redis.raw_set("REDIS_VERSION_NUM", VERSION_NUMBER)?;
    for (level, name) in
        ["LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"].iter().enumerate()
    {
        redis.raw_set(*name, level)?;
    }
    Ok(())
}

/// Adds the functions that ask nobody.
pub(crate) fn define_plain(lua: &Lua, state: &Rc<State>, redis: &Table) -> mlua::Result<()> {
    define_constants(redis)?;
    for (name, value) in
        [("REPL_NONE", 0), ("REPL_AOF", 1), ("REPL_SLAVE", 2), ("REPL_REPLICA", 2), ("REPL_ALL", 3)]
    {
        redis.raw_set(name, value)?;
    }
    define(lua, redis, "sha1hex", |lua, args| {
        if args.len() != 1 {
            return raise_error(lua, "wrong number of arguments");
        }
        Ok(crate::sha1_hex(&to_bytes(args.at(1)).unwrap_or_default()))
    })?;
    define(lua, redis, "error_reply", |lua, args| {
        let Some(text) = only_text(&args) else { return wrong_arguments(lua) };
        let text = text.strip_prefix(b"-").unwrap_or(&text);
        Ok(error_table(lua, text, true)?)
    })?;
    define(lua, redis, "status_reply", |lua, args| {
        let Some(text) = only_text(&args) else { return wrong_arguments(lua) };
        let table = lua.create_table()?;
        table.raw_set("ok", lua.create_string(text)?)?;
        Ok(table)
    })?;
    let shared = Rc::clone(state);
    define(lua, redis, "setresp", move |lua, args| {
        if !shared.running.get() {
            return raise_error(lua, "redis.setresp can only be called inside a script invocation");
        }
        if args.len() != 1 {
            return raise_error(lua, "redis.setresp() requires one argument.");
        }
        match to_i32(to_number(args.at(1)).unwrap_or(0.0)) {
            version @ (2 | 3) => shared.resp3.set(version == 3),
            _ => return raise_error(lua, "RESP version must be 2 or 3."),
        }
        Ok(())
    })?;
    define(lua, redis, "breakpoint", |_, _| Ok(false))?;
    define(lua, redis, "debug", |_, _| Ok(()))?;
    define(lua, redis, "replicate_commands", |_, _| Ok(true))
}

fn only_text(args: &Arguments) -> Option<Vec<u8>> {
    match (args.len(), args.at(1)) {
        (1, Value::String(text)) => Some(text.as_bytes().to_vec()),
        _ => None,
    }
}

/// An error table that is returned, not raised.
fn wrong_arguments(lua: &Lua) -> Result<Table, Raise> {
    Ok(error_table(lua, b"wrong number or type of arguments", false)?)
}

/// Replaces `math.random` and `math.randomseed`.
pub(crate) fn define_random(lua: &Lua, state: &Rc<State>, math: &Table) -> mlua::Result<()> {
    let shared = Rc::clone(state);
    define(lua, math, "random", move |_, args| {
        if !shared.running.get() {
            return crate::value::raise(
                "math.random can only be called inside a script invocation",
            );
        }
        let random = shared.random.borrow_mut().next();
        let int = |at| args.number(at).map(|value| f64::from(to_i32(value)));
        let empty = |at| Err(Raise::Argument(at, "interval is empty".to_owned()));
        Ok(number(match args.len() {
            0 => random,
            1 => {
                let upper = int(1)?;
                if upper < 1.0 {
                    return empty(1);
                }
                (random * upper).floor() + 1.0
            }
            2 => {
                let (lower, upper) = (int(1)?, int(2)?);
                if lower > upper {
                    return empty(2);
                }
                (random * (upper - lower + 1.0)).floor() + lower
            }
            _ => return crate::value::raise("wrong number of arguments"),
        }))
    })?;
    let shared = Rc::clone(state);
    define(lua, math, "randomseed", move |_, args| {
        if !shared.running.get() {
            return crate::value::raise(
                "math.randomseed can only be called inside a script invocation",
            );
        }
        shared.random.borrow_mut().seed(to_i32(args.number(1)?));
        Ok(())
    })
}

/// Adds `register_function`.
pub(crate) fn define_register(lua: &Lua, state: &Rc<State>, redis: &Table) -> mlua::Result<()> {
    let shared = Rc::clone(state);
    define(lua, redis, "register_function", move |lua, args| {
        let mut registered = shared.registered.borrow_mut();
        let Some(registered) = registered.as_mut() else {
            let text = "redis.register_function can only be called on FUNCTION LOAD command";
            return raise_error(lua, text);
        };
        registered.register(&args).or_else(|text| raise_error(lua, &text))
    })
}
