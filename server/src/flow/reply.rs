//! Step 7: replies leave, in order, as soon as what they acknowledge is safe.

use ringstone_engine::{Error, Reply, Tree};

use super::execute::RespReply;
use super::intake::kind;
use crate::config::types::OutputLimit;
use crate::conn::{BatchId, Conn, ConnId, OUTPUT_FREE_BYTES, ReplyMode};
use crate::rt::ring::{Completion, Token};
use crate::shard::Shard;
use crate::table::Entry;

impl Shard {
    /// Looks at the connection's output at the end of the pass.
    pub(crate) fn mark_dirty(&mut self, conn: &mut Conn) {
        if !conn.dirty {
            conn.dirty = true;
            self.dirty.push(conn.id);
        }
    }

    /// Writes an error as the reply of a command that did not run.
    pub(crate) fn reply_error(&mut self, conn: &mut Conn, error: &Error) {
        self.note_error(error);
        self.write_error(conn, error);
    }

    /// Writes an error that is counted already.
    pub(crate) fn write_error(&mut self, conn: &mut Conn, error: &Error) {
        let mark = conn.reply_mark();
        let resp3 = conn.resp3;
        RespReply::new(conn.reply_buffer(), resp3).error(error);
        self.after_reply(conn, mark);
    }

    /// What CLIENT REPLY has to say about the reply written since `mark`.
    pub(crate) fn after_reply(&mut self, conn: &mut Conn, mark: usize) {
        match conn.reply_mode {
            ReplyMode::On => {}
            ReplyMode::Off => conn.reply_buffer().truncate(mark),
            ReplyMode::Skip => {
                conn.reply_buffer().truncate(mark);
                conn.reply_mode = ReplyMode::On;
            }
        }
    }

    /// A command that left the inline path is done: its reply is written and the connection goes on.
    pub(crate) fn finish(&mut self, id: ConnId, reply: &Tree, batch: BatchId) {
        self.finish_with(id, batch, |out, resp3| reply.write_to(&mut RespReply::new(out, resp3)));
    }

    /// The same with a reply that is bytes already.
    pub(crate) fn finish_raw(&mut self, id: ConnId, reply: &[u8], batch: BatchId) {
        self.finish_with(id, batch, |out, _| out.extend_from_slice(reply));
    }

    /// Answers a command that left the inline path, and will not be run, with an error.
    pub(crate) fn reject_late(&mut self, id: ConnId, entry: &Entry, error: &Error) {
        self.measure.calls.note_rejected(entry);
        self.note_error(error);
        self.finish(id, &Tree::Error(error.clone()), 0);
    }

    fn finish_with(&mut self, id: ConnId, batch: BatchId, write: impl FnOnce(&mut Vec<u8>, bool)) {
        let Some(mut conn) = self.conns.take(id) else { return };
        self.write_late(&mut conn, batch, write);
        self.go_on(&mut conn);
        self.settle(conn);
        self.wake();
    }

    /// Writes the reply to a connection that was set aside; its next command may run.
    pub(crate) fn write_late_reply(&mut self, conn: &mut Conn, reply: &[u8], batch: BatchId) {
        self.write_late(conn, batch, |out, _| out.extend_from_slice(reply));
    }

    fn write_late(
        &mut self,
        conn: &mut Conn,
        batch: BatchId,
        write: impl FnOnce(&mut Vec<u8>, bool),
    ) {
        if let Some(number) = conn.take_task_reply() {
            conn.write_reply_at(number, batch, write);
        } else {
            let (mark, resp3) = (conn.reply_mark(), conn.resp3);
            write(conn.reply_buffer(), resp3);
            if batch > 0 {
                conn.hold_since(mark, batch);
            }
            self.after_reply(conn, mark);
        }
        conn.blocked = false;
        conn.close_after_reply |= conn.close_when_answered;
        self.mark_dirty(conn);
    }

    /// Sends what may leave, of all connections that changed.
    pub(crate) fn flush_replies(&mut self) {
        let released = self.commit.released();
        let mut dirty = std::mem::take(&mut self.dirty);
        for id in dirty.drain(..) {
            let Some(mut conn) = self.conns.take(id) else { continue };
            conn.dirty = false;
            self.flush_conn(&mut conn, released);
            self.settle(conn);
        }
        // What became dirty meanwhile waits for the next pass.
        if self.dirty.is_empty() {
            self.dirty = dirty;
        }
    }

    fn flush_conn(&mut self, conn: &mut Conn, released: BatchId) {
        let (fd, id) = (conn.fd, conn.id);
        self.check_output_limit(conn);
        if let Some(bytes) = conn.next_send(released) {
            self.net.send(fd, bytes, Token::new(kind::SEND, id.to_bits()));
        }
        if conn.is_held() {
            self.commit.wait_for_release(id);
        }
        if conn.close_after_reply && conn.is_drained() && !conn.closing {
            self.close(conn);
        }
    }

    fn output_limit(&self, conn: &Conn) -> OutputLimit {
        let limits = &self.config.client_output_buffer_limit;
        // Both get what they did not ask for line by line.
        let pushed = conn.is_subscriber() || conn.monitors;
        if !conn.is_replica() {
            return if pushed { limits.pubsub } else { limits.normal };
        }
        let mut limit = limits.replica;
        // Whoever may come back for so much may as well be behind by so much.
        if limit.hard_bytes > 0 {
            limit.hard_bytes = limit.hard_bytes.max(self.config.repl_backlog_size);
        }
        limit
    }

    /// The most bytes that a connection's output can have; with more it is dropped at the end of the pass.
    pub(crate) fn output_max_bytes(&self, conn: &Conn) -> usize {
        match self.output_limit(conn).hard_bytes {
            0 => usize::MAX,
            bytes => usize::try_from(bytes).unwrap_or(usize::MAX).max(OUTPUT_FREE_BYTES),
        }
    }

    pub(crate) fn check_output_limit(&mut self, conn: &mut Conn) {
        let limit = self.output_limit(conn);
        let output = conn.output_bytes();
        let bytes = if output > OUTPUT_FREE_BYTES { output as u64 } else { 0 };
        conn.output_peak = conn.output_peak.max(output);
        self.stats.output_buffer_max = self.stats.output_buffer_max.max(output);
        let soft = limit.soft_bytes > 0 && bytes > limit.soft_bytes;
        let since = if soft { Some(conn.soft_limit_since_ms.unwrap_or(self.now_ms)) } else { None };
        if soft && conn.soft_limit_since_ms.is_none() {
            self.slow_readers.push(conn.id);
        }
        conn.soft_limit_since_ms = since;
        let soft_s = i64::try_from(limit.soft_seconds).unwrap_or(i64::MAX);
        let too_long = since.is_some_and(|since| self.now_ms / 1000 - since / 1000 > soft_s);
        if (limit.hard_bytes > 0 && bytes > limit.hard_bytes) || too_long {
            self.close_for_output(conn);
        }
    }

    fn close_for_output(&mut self, conn: &mut Conn) {
        if !conn.closing {
            tracing::warn!(
                "client id={} closed: {} bytes of output are above client-output-buffer-limit",
                conn.client_id,
                conn.output_bytes()
            );
            self.stats.output_limit_disconnections += 1;
            self.close(conn);
        }
    }

    /// A reply on its way to this connection is longer than its limit.
    pub(crate) fn drop_for_output(&mut self, id: ConnId) {
        if let Some(mut conn) = self.conns.take(id) {
            self.close_for_output(&mut conn);
            self.settle(conn);
        }
    }

    /// Looks at those that are above their soft limit, whether they get anything or not.
    pub(crate) fn check_slow_readers(&mut self) {
        for id in std::mem::take(&mut self.slow_readers) {
            let Some(mut conn) = self.conns.take(id) else { continue };
            self.check_output_limit(&mut conn);
            let is_slow = conn.soft_limit_since_ms.is_some() && !conn.closing;
            if is_slow && !self.slow_readers.contains(&id) {
                self.slow_readers.push(id);
            }
            self.settle(conn);
        }
    }

    pub(crate) fn on_sent(&mut self, completion: Completion) {
        let id = ConnId::from_bits(completion.token.id());
        let Some(mut conn) = self.conns.take(id) else { return };
        match completion.to_result() {
            Ok(len) => {
                self.stats.output_bytes += len as u64;
                self.stats.writes += 1;
                conn.sent(len);
                if !conn.is_drained() || conn.close_after_reply {
                    self.mark_dirty(&mut conn);
                }
                self.go_on(&mut conn);
            }
            Err(_) => {
                conn.sent(0);
                self.close(&mut conn);
            }
        }
        self.settle(conn);
    }
}
