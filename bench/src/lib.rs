//! A shard without a server, for the benches: commands in, nothing out.

use ringstone_engine::cmd::{self, Command};
use ringstone_engine::keyspace::Mode;
use ringstone_engine::reply::NoReply;
use ringstone_engine::{ArgBuf, Ctx, Keyspace};

/// A time at which nothing expires, milliseconds since 1970.
const NOW_MS: i64 = 1_700_000_000_000;

/// A shard.
pub struct Shard {
    keyspace: Keyspace,
}

/// A command with its arguments, found once.
pub struct Call {
    command: &'static Command,
    args: ArgBuf,
}

impl Call {
    /// From a command line without quoting; none when there is no such command.
    pub fn new(line: &str) -> Option<Call> {
        let name = line.split(' ').next()?.to_lowercase();
        let command = cmd::all().find(|c| c.spec.name == name)?;
        Some(Call { command, args: ArgBuf::from_parts(line.split(' ')) })
    }
}

impl Default for Shard {
    fn default() -> Self {
        Shard { keyspace: Keyspace::new(1, 7) }
    }
}

impl Shard {
    /// Runs a command; true when it succeeded.
    pub fn call(&mut self, call: &Call) -> bool {
        let mut sink = NoReply::default();
        let mut ctx = Ctx { db: self.keyspace.db(0, NOW_MS, Mode::Live), reply: &mut sink };
        let done = (call.command.run)(&mut ctx, call.args.as_args()).is_ok();
        self.keyspace.effects.clear();
        done
    }
}
