//! MONITOR: every command that runs, on whichever shard, is shown to those who watch.
//!
//! The shard of the command's connection makes the line, tells its own watchers, and sends the line to the other shards if
//! there are watchers there. While nobody watches, this costs one look at a shared number a command.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ringstone_engine::Args;
use ringstone_engine::cmd::Flags;

use crate::conn::{Conn, ConnId};
use crate::measure::redact::redacted;
use crate::rt::clock;
use crate::shard::Shard;
use crate::table::Entry;

/// Who runs a command, as its line says.
#[derive(Clone, Copy)]
pub enum Caller<'a> {
    /// A connection.
    Client(&'a Conn),
    /// A script.
    Script,
}

/// Lines on their way to a shard from the others.
#[derive(Debug, Default)]
pub struct LinesUnderWay {
    bytes: AtomicU64,
    /// There were too many, and some were left out: the shard is told to drop its watchers.
    is_cut: AtomicBool,
}

impl Shard {
    /// True when somebody watches, on any shard.
    #[inline]
    pub(crate) fn is_monitored(&self) -> bool {
        self.shared.monitors.load(Ordering::Relaxed) > 0
    }

    /// The connection begins to watch.
    pub(crate) fn start_monitoring(&mut self, conn: &mut Conn) {
        if !conn.monitors {
            conn.monitors = true;
            self.monitors.push(conn.id);
            self.shared.monitors.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The connection watches no more.
    pub(crate) fn stop_monitoring(&mut self, conn: &mut Conn) {
        if conn.monitors {
            conn.monitors = false;
            self.monitors.retain(|id| *id != conn.id);
            self.shared.monitors.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Shows a command of a connection that is at hand. If that connection watches as well, it must be given the lines that
    /// gather in `own` when its reply is written.
    pub(crate) fn show(
        &mut self,
        conn: &Conn,
        entry: &Entry,
        db: usize,
        args: Args<'_>,
        own: &mut Vec<u8>,
    ) {
        if self.is_monitored() && is_shown(entry) {
            let line = self.line(Caller::Client(conn), entry, db, args);
            if conn.monitors {
                own.extend_from_slice(&line);
            }
            self.show_line(&line);
        }
    }

    /// Shows a command of a connection of this shard that is not at hand; `db` when it is not the one selected now.
    pub(crate) fn show_of(&mut self, id: ConnId, entry: &Entry, db: Option<usize>, args: Args<'_>) {
        if self.is_monitored()
            && is_shown(entry)
            && let Some(conn) = self.conns.take(id)
        {
            let db = db.unwrap_or(conn.db);
            let line = self.line(Caller::Client(&conn), entry, db, args);
            self.conns.put_back(conn);
            self.show_line(&line);
        }
    }

    /// Shows the call of a script by a connection that is at hand: before what the script does, and so before its reply.
    pub(crate) fn show_script(&mut self, conn: &mut Conn, entry: &Entry, args: Args<'_>) {
        if self.is_monitored() {
            let line = self.line(Caller::Client(conn), entry, conn.db, args);
            if conn.monitors {
                conn.push(&line);
            }
            self.show_line(&line);
        }
    }

    /// The same for a connection that is not at hand.
    pub(crate) fn show_script_of(&mut self, id: ConnId, entry: &Entry, db: usize, args: Args<'_>) {
        if self.is_monitored()
            && let Some(conn) = self.conns.take(id)
        {
            let line = self.line(Caller::Client(&conn), entry, db, args);
            self.conns.put_back(conn);
            self.show_line(&line);
        }
    }

    /// The line of a command that a script runs, if somebody watches.
    pub(crate) fn script_line(&self, entry: &Entry, db: usize, args: Args<'_>) -> Option<Vec<u8>> {
        (self.is_monitored() && is_shown(entry)).then(|| self.line(Caller::Script, entry, db, args))
    }

    fn line(&self, caller: Caller<'_>, entry: &Entry, db: usize, args: Args<'_>) -> Vec<u8> {
        let now_us = clock::unix_us();
        let who = match caller {
            Caller::Script => "lua".to_owned(),
            Caller::Client(conn) if conn.unix => {
                format!("unix:{}", self.config.unixsocket.display())
            }
            Caller::Client(conn) => crate::cmd::client::addresses(conn, &self.config.unixsocket).0,
        };
        let mut line = format!("+{}.{:06} [{db} {who}]", now_us / 1_000_000, now_us % 1_000_000);
        for word in redacted(entry.spec.name, args) {
            line.push(' ');
            quote(&word, &mut line);
        }
        line.push_str("\r\n");
        line.into_bytes()
    }

    /// Shows a line to all who watch.
    pub(crate) fn show_line(&mut self, line: &[u8]) {
        if self.shared.monitors.load(Ordering::Relaxed) > self.monitors.len() {
            let line: Arc<[u8]> = Arc::from(line);
            let here = self.index;
            for peer in (0..self.shards()).filter(|peer| *peer != here) {
                self.send_line(peer, &line);
            }
        }
        self.show_line_here(line);
    }

    /// Sends a line to a shard that may have watchers. What that shard has not taken yet counts as their output: a script can
    /// make lines faster than they are taken.
    fn send_line(&mut self, peer: usize, line: &Arc<[u8]>) {
        let shared = Arc::clone(&self.shared);
        let Some(lines) = shared.monitor_lines.get(peer) else { return };
        let bytes = line.len() as u64;
        let limit = self.config.client_output_buffer_limit.pubsub.hard_bytes;
        if limit > 0 && lines.bytes.load(Ordering::Relaxed) > limit {
            if !lines.is_cut.swap(true, Ordering::Relaxed) {
                self.call(peer, Shard::drop_watchers);
            }
            return;
        }
        lines.bytes.fetch_add(bytes, Ordering::Relaxed);
        let line = Arc::clone(line);
        self.call(peer, move |there| {
            if let Some(lines) = there.shared.monitor_lines.get(there.index) {
                lines.bytes.fetch_sub(bytes, Ordering::Relaxed);
            }
            there.show_line_here(&line);
        });
    }

    /// The watchers here have missed lines: they are too far behind.
    fn drop_watchers(&mut self) {
        for id in self.monitors.clone() {
            self.drop_for_output(id);
        }
        if let Some(lines) = self.shared.monitor_lines.get(self.index) {
            lines.is_cut.store(false, Ordering::Relaxed);
        }
    }

    fn show_line_here(&mut self, line: &[u8]) {
        for at in 0..self.monitors.len() {
            let Some(id) = self.monitors.get(at).copied() else { break };
            // One that is at hand gets the line otherwise.
            let Some(mut conn) = self.conns.take(id) else { continue };
            conn.push(line);
            self.mark_dirty(&mut conn);
            self.check_output_limit(&mut conn);
            self.conns.put_back(conn);
        }
    }
}

/// What administrators do is not shown, nor what shows itself otherwise.
fn is_shown(entry: &Entry) -> bool {
    !entry.spec.flags.intersects(Flags::ADMIN | Flags::SKIP_MONITOR)
}

/// A word in quotes, with escapes for what cannot be printed.
pub(crate) fn quote(word: &[u8], out: &mut String) {
    out.push('"');
    for byte in word {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(*byte)]),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            b' '..=b'~' => out.push(char::from(*byte)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_redis_does() {
        let mut out = String::new();
        quote(b"a b\"\\\n\r\t\x07\x08\x00\xff~", &mut out);
        assert_eq!(out, r#""a b\"\\\n\r\t\a\b\x00\xff~""#);
    }
}
