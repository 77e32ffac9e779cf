//! From the words of EVAL and FCALL to what is to be run.

use std::sync::Arc;

use ringstone_engine::{ArgBuf, Args, Error};
use ringstone_script::{ScriptFlags, sha1_hex};

use crate::cmd::{Host, Outcome};
use crate::conn::Conn;
use crate::flow::execute::MAY_CHANGE;
use crate::script::{Program, Script, What, program};
use crate::shard::Shard;
use crate::table::Entry;
use crate::tx::multi::is_script;

pub(crate) const NO_SCRIPT: Error = Error::text("NOSCRIPT No matching script. Please use EVAL.");
const BAD_COUNT: Error = Error::text("ERR Bad number of keys provided");

/// Runs any of them.
pub(super) fn call(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    if host.shard.is_monitored()
        && let Some(entry) = host.shard.table.find(args.at(0))
    {
        host.shard.show_script(host.conn, entry, args);
    }
    let program = program_of(host.shard, host.conn, args)?;
    host.shard.start_program(host.conn, program)
}

/// What the words of EVAL, EVALSHA, FCALL or one of their twins say.
pub fn program_of(shard: &mut Shard, conn: &Conn, args: Args<'_>) -> Result<Program, Error> {
    let caller = program::Caller::of(conn, shard.index);
    program_for(shard, caller, args)
}

/// The same for a caller that may be elsewhere.
pub fn program_for(
    shard: &mut Shard,
    caller: program::Caller,
    args: Args<'_>,
) -> Result<Program, Error> {
    let name = args.at(0).to_ascii_lowercase();
    let read_only = name.ends_with(b"_ro");
    let (what, known, keys) = if name.starts_with(b"fcall") {
        let function = String::from_utf8_lossy(args.at(1));
        let found = shard.find_function(&function);
        let (library, function, known) = found.ok_or(Error::text("ERR Function not found"))?;
        let keys = program::count_keys(args, &BAD_COUNT)?;
        (What::Function(library, function), known, keys)
    } else {
        let by_digest = name.starts_with(b"evalsha");
        if by_digest && args.at(1).len() != 40 {
            return Err(NO_SCRIPT);
        }
        let keys = program::count_keys(args, &Error::NotInteger)?;
        let sha = if by_digest {
            String::from_utf8_lossy(args.at(1)).to_ascii_lowercase()
        } else {
            sha1_hex(args.at(1))
        };
        let text = (!by_digest).then(|| args.at(1));
        let (known, script) = shard.find_script(&sha, text)?;
        (What::Script(sha, script), known, keys)
    };
    shard.may_run_script(known.flags, read_only)?;
    let (words, undone) = (ArgBuf::from(args), program::Undone::default());
    let flushes = shard.script_flushes();
    Ok(Program { what, known, words, keys, read_only, caller, undone, flushes })
}

impl Shard {
    /// Whether a command may change data: one that calls a script does not, if the script says that it only reads.
    pub(crate) fn may_change_data(&mut self, entry: &Entry, args: Args<'_>) -> bool {
        entry.spec.flags.intersects(MAY_CHANGE) && !(is_script(entry) && self.says_it_reads(args))
    }

    fn says_it_reads(&mut self, args: Args<'_>) -> bool {
        let name = args.at(0).to_ascii_lowercase();
        let flags = if name.starts_with(b"fcall") {
            let function = String::from_utf8_lossy(args.at(1));
            self.shared.libraries.find_function(&function).map(|(_, row)| row.flags)
        } else if name.starts_with(b"evalsha") {
            let sha = String::from_utf8_lossy(args.at(1)).to_ascii_lowercase();
            self.shared.scripts.find(&sha).map(|script| script.flags)
        } else {
            ringstone_script::shebang::script(args.at(1)).ok().map(|(flags, _)| flags)
        };
        flags.is_some_and(|flags| {
            !flags.contains(ScriptFlags::COMPATIBLE) && flags.contains(ScriptFlags::NO_WRITES)
        })
    }

    /// What is known of a script, and its text where it was not compiled here yet.
    fn find_script(
        &mut self,
        sha: &str,
        text: Option<&[u8]>,
    ) -> Result<(std::rc::Rc<crate::script::Known>, Option<Arc<Script>>), Error> {
        if let Some(known) = self.known_script(sha) {
            return Ok((known, None));
        }
        let script = match (self.shared.scripts.find(sha), text) {
            (Some(script), _) => script,
            (None, Some(text)) => {
                let script = Script::new(text);
                Arc::new(script.map_err(|why| Error::owned(format!("ERR {why}")))?)
            }
            (None, None) => return Err(NO_SCRIPT),
        };
        Ok((std::rc::Rc::new(crate::script::Known::new(script.flags)), Some(script)))
    }
}
