//! What EVAL or FCALL wants to have run.

use std::rc::Rc;
use std::sync::Arc;

use ringstone_engine::{ArgBuf, Args, Error};
use ringstone_script::{Code, Job, Kind, ScriptFlags, Words};

use super::cache::{Known, Script};
use crate::acl::User;
use crate::conn::{Conn, ConnId};
use crate::shard::Shard;

/// A script or a function.
#[derive(Clone)]
pub enum What {
    /// A script, by its digest; its text where it is to be compiled first.
    Script(String, Option<Arc<Script>>),
    /// A function: library and name.
    Function(String, String),
}

impl What {
    /// Which interpreter runs it.
    pub fn kind(&self) -> Kind {
        match self {
            What::Script(..) => Kind::Scripts,
            What::Function(..) => Kind::Functions,
        }
    }

    /// Digest or function.
    pub fn name(&self) -> &str {
        match self {
            What::Script(name, _) | What::Function(_, name) => name,
        }
    }
}

/// Who called, and in which state.
#[derive(Clone)]
pub struct Caller {
    /// Its shard.
    pub home: usize,
    /// The connection.
    pub conn: ConnId,
    /// CLIENT ID.
    pub client_id: u64,
    /// The socket, and whether it is a unix socket, for what is told about the client.
    pub socket: (std::os::fd::RawFd, bool),
    /// The command that calls the script, for the same.
    pub command: &'static str,
    /// Its user.
    pub user: Arc<User>,
    /// Selected database.
    pub db: usize,
    /// CLIENT NO-TOUCH.
    pub no_touch: bool,
    /// CLIENT TRACKING.
    pub tracks: Option<crate::tracking::Caller>,
}

impl Caller {
    /// The connection at hand.
    pub fn of(conn: &Conn, shard: usize) -> Caller {
        let (user, client_id) = (Arc::clone(&conn.user), conn.client_id);
        let (db, no_touch, tracks) = (conn.db, conn.no_touch, conn.caller(shard));
        let (socket, command) = ((conn.fd, conn.unix), conn.last_command);
        Caller {
            home: shard,
            conn: conn.id,
            client_id,
            socket,
            command,
            user,
            db,
            no_touch,
            tracks,
        }
    }

    /// The same as whoever changes keys; what the program reads is noted when it has ended.
    pub fn writer(&self) -> Option<crate::tracking::Caller> {
        self.tracks.map(|caller| crate::tracking::Caller { remembers: false, ..caller })
    }
}

/// A call.
#[derive(Clone)]
pub struct Program {
    /// What runs.
    pub what: What,
    /// What is known of it.
    pub known: Rc<Known>,
    /// The command's words; the keys begin at 3.
    pub words: ArgBuf,
    /// How many keys.
    pub keys: usize,
    /// Called by a command that only reads.
    pub read_only: bool,
    /// Who called.
    pub caller: Caller,
    /// What a run did that was undone.
    pub undone: Undone,
    /// Flushes of compiled scripts that the shard had noticed when the call came.
    pub flushes: u64,
}

/// What others have seen of a run that was undone: the run that follows does it without a trace.
#[derive(Clone, Default)]
pub struct Undone {
    /// Calls that are counted.
    pub calls: usize,
    /// Lines in the log, with their levels, as far as they are kept.
    pub lines: Vec<(u8, Vec<u8>)>,
    /// Lines that MONITOR has shown.
    pub shown: usize,
}

/// The first key of EVAL and its like.
pub const FIRST_KEY: usize = 3;

impl Program {
    /// The job for the interpreter.
    pub fn job(&self) -> Job {
        let code = match &self.what {
            What::Script(sha, _) => Code::Script(sha.clone()),
            What::Function(library, function) => {
                Code::Function { library: library.clone(), function: function.clone() }
            }
        };
        Job::Run(code, Words { words: self.words.clone(), first: FIRST_KEY, keys: self.keys })
    }

    /// The keys that the call names.
    pub fn named_keys(&self) -> impl Iterator<Item = &[u8]> {
        self.words.as_args().iter_from(FIRST_KEY).take(self.keys)
    }

    /// It may not write.
    pub fn only_reads(&self) -> bool {
        self.read_only
            || !self.known.flags.contains(ScriptFlags::COMPATIBLE)
                && self.known.flags.contains(ScriptFlags::NO_WRITES)
    }
}

/// How many keys the words name, or what is wrong with them.
pub fn count_keys(args: Args<'_>, not_a_number: &Error) -> Result<usize, Error> {
    let count = ringstone_engine::num::parse_i64(args.at(2)).ok_or_else(|| not_a_number.clone())?;
    let room = i64::try_from(args.len()).unwrap_or(i64::MAX) - 3;
    if count > room {
        return Err(Error::text("ERR Number of keys can't be greater than number of args"));
    }
    usize::try_from(count).map_err(|_| Error::text("ERR Number of keys can't be negative"))
}

impl Shard {
    /// What a script's flags say against running it now.
    pub(crate) fn may_run_script(&self, flags: ScriptFlags, read_only: bool) -> Result<(), Error> {
        if flags.contains(ScriptFlags::COMPATIBLE) || flags.contains(ScriptFlags::NO_WRITES) {
            return Ok(());
        }
        self.may_write_script(read_only)?;
        if self.room.is_out() && !flags.contains(ScriptFlags::ALLOW_OOM) {
            return Err(Error::text(
                "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
            ));
        }
        Ok(())
    }

    fn may_write_script(&self, read_only: bool) -> Result<(), Error> {
        let stop_on_save_error = self.config.stops_on_save_error();
        if let Err(error) = self.commit.check_writable(stop_on_save_error, &self.shared.saving) {
            let why = error.to_string();
            let text = match why.strip_prefix("MISCONF Errors writing to the AOF file: ") {
                Some(why) => format!(
                    "MISCONF Redis is configured to persist data to AOF, but it's currently unable to persist to disk. \
                     Writable scripts are blocked. Use 'no-writes' flag for read only scripts. AOF error: {why}"
                ),
                None => "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. \
                         Writable scripts are blocked. Use 'no-writes' flag for read only scripts."
                    .to_owned(),
            };
            return Err(Error::owned(text));
        }
        if read_only {
            return Err(Error::text(
                "ERR Can not execute a script with write flag using *_ro command.",
            ));
        }
        self.check_replicas()?;
        Ok(())
    }
}
