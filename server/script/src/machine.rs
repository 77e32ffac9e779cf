//! What runs inside the fiber: Lua, its sandbox, and the jobs.

use std::rc::Rc;

use corosensei::Yielder;
use mlua::chunk::ChunkMode;
use mlua::{Function, HookTriggers, Lua, MultiValue, Scope, Table, Value, VmState};
use ringstone_engine::{Args, Error};

use crate::api::{self, State};
use crate::functions::Registered;
use crate::interpreter::{Code, Done, Input, Job, Kind, Step, Words};
use crate::sandbox::{self, Sandbox};
use crate::{bit, cjson, cmsgpack, convert, pack};

/// Instructions between two ticks.
const TICK_INSTRUCTIONS: u32 = 100_000;
/// Where the function is that a tick calls.
const TICK: &str = "tick";

/// Serves jobs until it is told to stop.
pub(crate) fn serve(yielder: &Yielder<Input, Step>, first: Input, kind: Kind, stack_limit: usize) {
    let made = sandbox::interpreter().and_then(|lua| {
        let sandbox = Sandbox::new(&lua, stack_limit)?;
        Ok((lua, sandbox))
    });
    let result = made.and_then(|(lua, sandbox)| {
        lua.scope(|scope| {
            let machine = Machine::new(&lua, scope, yielder, sandbox, kind)?;
            let mut input = first;
            while let Input::Job(job) = input {
                let done = machine
                    .run(job)
                    .unwrap_or_else(|error| Done::Failed(Error::owned(format!("ERR {error}"))));
                input = yielder.suspend(Step::Done(done, lua.used_memory()));
            }
            Ok(())
        })
    });
    if let Err(error) = result {
        // It could not even be set up: that is the answer to whatever is asked.
        loop {
            let done = Done::Broken(error.to_string());
            if let Input::Stop = yielder.suspend(Step::Done(done, 0)) {
                return;
            }
        }
    }
}

struct Machine<'lua> {
    lua: &'lua Lua,
    state: Rc<State>,
    sandbox: Sandbox,
    /// Compiled scripts by digest.
    scripts: Table,
    /// Functions by library and name.
    libraries: Table,
    /// The globals of a library while it is loaded.
    loading: Table,
}

impl<'lua> Machine<'lua> {
    fn new<'scope, 'env: 'scope>(
        lua: &'lua Lua,
        scope: &'scope Scope<'scope, 'env>,
        yielder: &'env Yielder<Input, Step>,
        sandbox: Sandbox,
        kind: Kind,
    ) -> mlua::Result<Machine<'lua>> {
        let state = State::new();
        let redis = lua.create_table()?;
        api::define_plain(lua, &state, &redis)?;
        api::define_asking(lua, scope, yielder, &state, &redis)?;
        if kind == Kind::Functions {
            for name in ["breakpoint", "debug", "replicate_commands"] {
                redis.raw_remove(name)?;
            }
        }
        let math = sandbox.true_table(&sandbox.globals.raw_get::<Table>("math")?)?;
        api::define_random(lua, &state, &math)?;
        sandbox.add(lua, "bit", bit::open(lua)?)?;
        sandbox.add(lua, "cjson", cjson::open(lua)?)?;
        sandbox.add(lua, "cmsgpack", cmsgpack::open(lua)?)?;
        sandbox.add(lua, "struct", pack::open(lua)?)?;
        let redis = sandbox.protect(lua, redis)?;
        sandbox.globals.raw_set("redis", &redis)?;
        sandbox.globals.raw_set("server", redis)?;
        let loading = loading_globals(lua, scope, yielder, &state, &sandbox)?;
        lua.set_named_registry_value(TICK, api::tick_function(scope, yielder, &state)?)?;
        let (scripts, libraries) = (lua.create_table()?, lua.create_table()?);
        Ok(Machine { lua, state, sandbox, scripts, libraries, loading })
    }

    fn run(&self, job: Job) -> mlua::Result<Done> {
        self.lua.gc_restart();
        match job {
            Job::Compile { name, code } => self.compile(&name, &code),
            Job::Load { name, code } => self.load(&name, &code),
            Job::Forget(name) => {
                self.libraries.raw_remove(name)?;
                Ok(Done::Ready)
            }
            Job::Run(code, words) => self.call(&code, &words),
        }
    }

    fn function(&self, code: &[u8], name: &str) -> Result<Function, String> {
        let chunk = self.lua.load(code).set_name(name).set_mode(ChunkMode::Text);
        chunk.set_environment(self.sandbox.stand_in.clone()).into_function().map_err(|error| {
            match error {
                mlua::Error::SyntaxError { message, .. } => message,
                other => other.to_string(),
            }
        })
    }

    fn compile(&self, name: &str, code: &[u8]) -> mlua::Result<Done> {
        match self.function(code, "@user_script") {
            Ok(function) => {
                self.scripts.raw_set(name, function)?;
                Ok(Done::Ready)
            }
            Err(why) => Ok(Done::Broken(format!("Error compiling script (new function): {why}"))),
        }
    }

    fn load(&self, name: &str, code: &[u8]) -> mlua::Result<Done> {
        let function = match self.function(code, "@user_function") {
            Ok(function) => function,
            Err(why) => return Ok(Done::Broken(format!("Error compiling function: {why}"))),
        };
        self.sandbox.show(&self.loading)?;
        *self.state.registered.borrow_mut() = Some(Registered::default());
        let result = self.protected(&function, &[]);
        let registered = self.state.registered.borrow_mut().take().unwrap_or_default();
        self.sandbox.show(&self.sandbox.globals)?;
        let (ok, value) = result?;
        if !ok {
            let stopped = self.state.stopped.get();
            let why = match (&value, stopped) {
                (_, Some(why)) => format!("ERR {why}"),
                (Value::Table(table), None) => {
                    let text = crate::value::to_bytes(&table.get::<Value>("err")?);
                    String::from_utf8_lossy(&text.unwrap_or_default()).into_owned()
                }
                _ => "ERR execution failure".to_owned(),
            };
            return Ok(Done::Broken(format!("Error registering functions: {why}")));
        }
        let library = self.lua.create_table()?;
        for (row, function) in registered.rows.iter().zip(&registered.functions) {
            library.raw_set(row.name.as_str(), function)?;
        }
        self.libraries.raw_set(name, library)?;
        Ok(Done::Loaded(registered.rows))
    }

    fn call(&self, code: &Code, words: &Words) -> mlua::Result<Done> {
        let args = words.words.as_args();
        let keys = self.list(args, words.first, words.keys)?;
        let behind = words.first + words.keys;
        let rest = self.list(args, behind, args.len().saturating_sub(behind))?;
        let (function, given) = match code {
            Code::Script(name) => {
                self.sandbox.globals.raw_set("KEYS", keys)?;
                self.sandbox.globals.raw_set("ARGV", rest)?;
                (self.scripts.raw_get::<Option<Function>>(name.as_str())?, Vec::new())
            }
            Code::Function { library, function } => {
                let library = self.libraries.raw_get::<Option<Table>>(library.as_str())?;
                let found = match library {
                    Some(library) => library.raw_get::<Option<Function>>(function.as_str())?,
                    None => None,
                };
                (found, vec![Value::Table(keys), Value::Table(rest)])
            }
        };
        let Some(function) = function else {
            return Ok(Done::Failed(Error::text("ERR the script is not there")));
        };
        self.state.resp3.set(false);
        self.state.running.set(true);
        let result = self.protected(&function, &given);
        self.state.running.set(false);
        let (ok, value) = result?;
        if ok {
            return Ok(Done::Reply(convert::to_tree(&value, self.state.resp3.get())?));
        }
        let stopped = self.state.stopped.get();
        Ok(Done::Failed(convert::failure(&value, code.name(), stopped)?))
    }

    fn list(&self, args: Args<'_>, first: usize, count: usize) -> mlua::Result<Table> {
        let table = self.lua.create_table_with_capacity(count.min(args.len()), 0)?;
        for (index, word) in args.iter_from(first).take(count).enumerate() {
            table.raw_set(index + 1, self.lua.create_string(word)?)?;
        }
        Ok(table)
    }

    /// Runs a function while ticks are counted.
    fn protected(&self, function: &Function, given: &[Value]) -> mlua::Result<(bool, Value)> {
        self.state.stopped.set(None);
        let ticks = HookTriggers::new().every_nth_instruction(TICK_INSTRUCTIONS);
        self.lua.set_global_hook(ticks, |lua, _| tick(lua))?;
        let mut call = MultiValue::new();
        call.push_back(Value::Function(function.clone()));
        call.extend(given.iter().cloned());
        let result = self.sandbox.run.call(call);
        self.lua.remove_global_hook();
        result
    }
}

/// Asks whether the script may go on. Once it may not, it is asked at every line, so that it cannot catch its end.
fn tick(lua: &Lua) -> mlua::Result<VmState> {
    let tick: Function = lua.named_registry_value(TICK)?;
    if tick.call::<bool>(())? {
        return Ok(VmState::Continue);
    }
    lua.set_global_hook(HookTriggers::EVERY_LINE, |_, _| Err(mlua::Error::runtime("stopped")))?;
    Err(mlua::Error::runtime("stopped"))
}

/// What a library finds while it is loaded: nothing but a small `redis`.
fn loading_globals<'scope, 'env: 'scope>(
    lua: &Lua,
    scope: &'scope Scope<'scope, 'env>,
    yielder: &'env Yielder<Input, Step>,
    state: &Rc<State>,
    sandbox: &Sandbox,
) -> mlua::Result<Table> {
    let redis = lua.create_table()?;
    api::define_constants(&redis)?;
    api::define_register(lua, state, &redis)?;
    redis.raw_set("log", crate::raw::raising(lua, api::log_function(scope, yielder)?)?)?;
    let missing = lua.create_table()?;
    missing.raw_set("__index", &sandbox.refuse_read)?;
    redis.set_metatable(Some(missing.clone()))?;
    let redis = sandbox.protect(lua, redis)?;
    let globals = lua.create_table()?;
    globals.raw_set("redis", &redis)?;
    globals.raw_set("server", redis)?;
    globals.set_metatable(Some(missing))?;
    Ok(globals)
}
