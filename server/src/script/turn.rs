//! One run of a program: what its calls are allowed, and how they are run.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringstone_engine::cmd::stream::xread::has_block_option;
use ringstone_engine::cmd::{Flags, Group};
use ringstone_engine::{ArgBuf, Args, Tree};
use ringstone_script::{Answer, Ask, ScriptFlags};

use super::program::{Caller, Program, Undone};
use super::reply;
use crate::cmd::script::changes_libraries;
use crate::cmd::{Host, Outcome};
use crate::conn::{Conn, ConnId};
use crate::pubsub::Message;
use crate::shard::Shard;
use crate::table::{Entry, Run};

/// How long a library may take to load.
const LOAD_TIME: Duration = Duration::from_millis(500);
/// How long a script runs before it gives way to others for the first time.
const PATIENCE: Duration = Duration::from_millis(5);

/// Bytes of MONITOR's lines that wait for the end of a run that may be undone.
const SHOWN_BYTES_MAX: usize = 1 << 20;

/// Lines in the log that a run remembers, should it be undone.
const LINES_MAX: usize = 64;

/// A run.
pub(super) struct Turn {
    pub(super) caller: Caller,
    read_only: bool,
    /// It may take memory above the limit.
    allows_oom: bool,
    /// It has called a command that writes.
    pub(super) wrote: bool,
    /// It has called a command of the engine.
    pub(super) touched: bool,
    /// It has called a command that reads.
    pub(super) reads: bool,
    /// What it has published; sent when nothing can be undone any more.
    pub(super) messages: Vec<Message>,
    /// What MONITOR shows of it; shown when nothing can be undone any more, or as much of it as is kept has gathered.
    to_show: Vec<Vec<u8>>,
    to_show_bytes: usize,
    /// Lines that MONITOR has shown of it, in runs before as well.
    shown: usize,
    /// Lines still to come that runs before have shown.
    shown_before: usize,
    /// What it writes is logged.
    pub(super) logs: bool,
    /// Calls so far.
    calls: usize,
    /// Lines that it has written to the log, as many as are kept.
    lines: Vec<(u8, Vec<u8>)>,
    /// What a run before did.
    undone: Undone,
    /// The last error reply of a command that it called: counted, when it becomes the reply of the script, too.
    failed: Option<String>,
    began: Instant,
}

/// A call that may be run.
pub(super) struct Called {
    pub(super) entry: &'static Entry,
    pub(super) words: ArgBuf,
    pub(super) resp3: bool,
}

/// What comes of a question.
pub(super) enum Asked {
    /// This answer.
    Answer(Answer),
    /// A command is to be run.
    Call(Called),
    /// It has run long enough for now.
    Tick,
}

/// The reply of a command of the server.
pub(super) enum HostReply {
    Tree(Tree),
    Later(Pin<Box<dyn Future<Output = Tree>>>),
}

impl Turn {
    pub(super) fn new(program: &Program) -> Turn {
        Turn {
            caller: program.caller.clone(),
            read_only: program.only_reads(),
            allows_oom: program.known.flags.contains(ScriptFlags::ALLOW_OOM),
            wrote: false,
            touched: false,
            reads: false,
            messages: Vec::new(),
            to_show: Vec::new(),
            to_show_bytes: 0,
            shown: program.undone.shown,
            shown_before: program.undone.shown,
            logs: true,
            calls: 0,
            lines: Vec::new(),
            undone: program.undone.clone(),
            failed: None,
            began: Instant::now(),
        }
    }

    /// Since when it runs.
    pub(super) fn duration(&self) -> Duration {
        self.began.elapsed()
    }

    /// A command that was called has run: a SELECT is shown with the database that it selected. `may_undo`: the run may be
    /// undone yet, and begin again.
    pub(super) fn show(&mut self, shard: &mut Shard, call: &Called, may_undo: bool) {
        let (db, args) = (self.caller.db, call.words.as_args());
        let Some(line) = shard.script_line(call.entry, db, args) else { return };
        if self.shown_before > 0 {
            self.shown_before -= 1;
            return;
        }
        if !may_undo {
            return shard.show_line(&line);
        }
        self.to_show_bytes += line.len();
        self.to_show.push(line);
        if self.to_show_bytes > SHOWN_BYTES_MAX {
            self.show_all(shard);
        }
    }

    /// Shows what it has done so far, since it has ended, or since that is all that is kept.
    pub(super) fn show_all(&mut self, shard: &mut Shard) {
        let lines = std::mem::take(&mut self.to_show);
        self.shown += lines.len();
        self.to_show_bytes = 0;
        lines.iter().for_each(|line| shard.show_line(line));
    }

    /// A command that was called is not run.
    fn note_refusal(&mut self, shard: &mut Shard, words: Args<'_>, why: &str) {
        let text = why.strip_prefix('-').map_or_else(|| format!("ERR {why}"), str::to_owned);
        if !self.is_repeated() {
            if let Some(entry) = find(shard, words) {
                shard.measure.calls.note_rejected(entry);
            }
            shard.note_error(&ringstone_engine::Error::owned(text.clone()));
        }
        self.failed = Some(text);
    }

    /// True when the call at hand was counted in a run that was undone.
    pub(super) fn is_repeated(&self) -> bool {
        self.calls <= self.undone.calls
    }

    /// What the run that follows must not do again, now that this one is undone at a call that was not run.
    pub(super) fn into_undone(self) -> Undone {
        let calls = self.calls.saturating_sub(1).max(self.undone.calls);
        Undone { calls, lines: self.lines, shown: self.shown }
    }

    /// Writes a line to the log, unless the run before has done that.
    fn log(&mut self, level: u8, text: Vec<u8>) {
        let is_written = match self.undone.lines.get(self.lines.len()) {
            Some((known_level, known)) => *known_level == level && *known == text,
            None => false,
        };
        if !is_written {
            // It goes another way this time.
            self.undone.lines.clear();
            log(level, &text);
        }
        if self.lines.len() < LINES_MAX {
            self.lines.push((level, text));
        }
    }

    /// A command that was called has replied.
    pub(super) fn note_reply(&mut self, tree: &Tree) {
        if let Tree::Error(error) = tree {
            self.failed = Some(error.to_string());
        }
    }

    /// Answers what needs no data.
    pub(super) fn ask(&mut self, shard: &mut Shard, ask: Ask) -> Asked {
        match ask {
            Ask::Call { words, resp3 } => {
                self.calls += 1;
                match self.admit(shard, words.as_args()) {
                    Ok(entry) => Asked::Call(Called { entry, words, resp3 }),
                    Err(why) => {
                        self.note_refusal(shard, words.as_args(), &why);
                        Asked::Answer(Answer::Refused(why))
                    }
                }
            }
            Ask::MayCall(words) => Asked::Answer(match find(shard, words.as_args()) {
                Some(entry) => {
                    Answer::Allowed(self.caller.user.may(entry, words.as_args()).is_ok())
                }
                None => Answer::Nothing,
            }),
            Ask::SetReplication { log } => {
                self.logs = log;
                Asked::Answer(Answer::Nothing)
            }
            Ask::Log { level, text } => {
                self.log(level, text);
                Asked::Answer(Answer::Nothing)
            }
            Ask::Tick if self.began.elapsed() < PATIENCE => Asked::Answer(Answer::Nothing),
            Ask::Tick => Asked::Tick,
        }
    }

    fn admit(&mut self, shard: &mut Shard, words: Args<'_>) -> Result<&'static Entry, String> {
        let Some(entry) = find(shard, words) else {
            return Err("Unknown Redis command called from script".to_owned());
        };
        let flags = entry.spec.flags;
        if !entry.spec.arity_fits(words.len()) {
            return Err("Wrong number of args calling Redis command from script".to_owned());
        }
        let any = shard.shared.scripts_call_any.load(Ordering::Relaxed);
        // What a script could change of the libraries could be what it consists of.
        if flags.contains(Flags::NOSCRIPT) && (!any || changes_libraries(entry.spec.name)) {
            return Err("This Redis command is not allowed from script".to_owned());
        }
        if entry.spec.flags.contains(Flags::BLOCKING)
            && entry.spec.group == Group::Stream
            && has_block_option(words)
        {
            let name = String::from_utf8_lossy(words.at(0)).into_owned();
            let why = "command is not allowed with BLOCK option from scripts";
            return Err(format!("-ERR {name} {why}"));
        }
        if !self.caller.user.is_unrestricted() {
            let mut client = shard.client_of_script(&self.caller, false);
            // ACL LOG tells of the client that called the script.
            (client.fd, client.unix) = self.caller.socket;
            client.last_command = self.caller.command;
            let permitted = shard.permit_in_script(&client, entry, words);
            (client.fd, client.unix) = (-1, true);
            shard.scripts.client = Some(client);
            permitted.map_err(|error| format!("-{error}"))?;
        }
        if self.read_only && flags.intersects(Flags::WRITE | Flags::MAY_REPLICATE) {
            return Err("Write commands are not allowed from read-only scripts.".to_owned());
        }
        if flags.contains(Flags::WRITE) && !self.wrote {
            let on_save_error = shard.config.stops_on_save_error();
            let writable = shard.commit.check_writable(on_save_error, &shard.shared.saving);
            writable.map_err(|error| format!("-{error}"))?;
            shard.check_replicas().map_err(|error| format!("-{error}"))?;
        }
        if flags.contains(Flags::DENYOOM) && !self.wrote && !self.allows_oom && shard.room.is_out()
        {
            return Err(format!("-{}", crate::room::out_of_memory()));
        }
        self.wrote |= flags.contains(Flags::WRITE);
        self.touched |= matches!(entry.run, Run::Data(_));
        Ok(entry)
    }
}

fn find(shard: &Shard, words: Args<'_>) -> Option<&'static Entry> {
    let top = shard.table.find(words.at(0))?;
    if top.subs.is_empty() {
        return Some(top);
    }
    if words.len() < 2 { Some(top) } else { top.sub(words) }
}

fn log(level: u8, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    match level {
        0 => tracing::trace!("{text}"),
        1 => tracing::debug!("{text}"),
        2 => tracing::info!("{text}"),
        _ => tracing::warn!("{text}"),
    }
}

/// Answers a library that is being loaded.
pub(super) fn answer_loading(ask: Ask, began: Instant) -> Answer {
    match ask {
        Ask::Tick if began.elapsed() > LOAD_TIME => Answer::Stop("FUNCTION LOAD timeout"),
        Ask::Log { level, text } => {
            log(level, &text);
            Answer::Nothing
        }
        Ask::Call { .. } | Ask::MayCall(_) | Ask::SetReplication { .. } | Ask::Tick => {
            Answer::Nothing
        }
    }
}

impl Shard {
    /// A script has ended with this reply: its error counts, unless it is one of a command that has been counted.
    pub(super) fn note_script_end(&mut self, turn: &Turn, tree: &Tree) {
        if let Tree::Error(error) = tree
            && !turn.failed.as_ref().is_some_and(|failed| error.to_string().starts_with(failed))
        {
            self.note_error(error);
        }
    }

    /// The connection for which scripts call commands of the server.
    fn client_of_script(&mut self, caller: &Caller, resp3: bool) -> Box<Conn> {
        let mut client = self.scripts.client.take().unwrap_or_else(|| {
            // No connection has this slot, so that nothing is ever sent to it.
            let id = ConnId { slot: 0x00ff_ffff, generation: u32::MAX };
            let user = Arc::clone(&caller.user);
            Box::new(Conn::new(id, 0, -1, true, self.now_ms, user))
        });
        client.authenticated = true;
        client.client_id = caller.client_id;
        client.user = Arc::clone(&caller.user);
        client.db = caller.db;
        client.resp3 = resp3;
        client.dirty = true;
        client.in_exec = true;
        client
    }

    /// Runs a command of the server for a script.
    pub(super) fn run_host_for_script(&mut self, turn: &mut Turn, call: &Called) -> HostReply {
        let Run::Host(run) = call.entry.run else { return HostReply::Tree(Tree::Null) };
        let mut client = self.client_of_script(&turn.caller, call.resp3);
        let mark = client.reply_mark();
        let args = call.words.as_args();
        let outcome = if self.shards() == 1 {
            // Nothing is undone where one shard has it all.
            run(&mut Host { shard: self, conn: &mut client }, args)
        } else {
            self.defer_messages(&mut turn.messages, |shard| {
                run(&mut Host { shard, conn: &mut client }, args)
            })
        };
        let bytes = client.reply_buffer().split_off(mark);
        turn.caller.db = client.db;
        self.scripts.client = Some(client);
        let (counts, began) = (!turn.is_repeated(), self.measure.began());
        if counts && !matches!(outcome, Ok(Outcome::Later(_))) {
            self.note_call(call.entry, outcome.as_ref().err());
        }
        match outcome {
            Ok(Outcome::Later(task)) => {
                let (me, entry) = (self.me(), call.entry);
                HostReply::Later(Box::pin(async move {
                    let tree = task.await;
                    if let Some(me) = me.filter(|_| counts) {
                        me.borrow_mut().note_call_since(entry, began, tree.as_error());
                    }
                    tree
                }))
            }
            Ok(Outcome::Done | Outcome::Failed | Outcome::Silent | Outcome::Aside) => {
                HostReply::Tree(reply::read(&bytes))
            }
            Err(error) => {
                turn.failed = Some(error.to_string());
                HostReply::Tree(Tree::Error(error))
            }
        }
    }
}
