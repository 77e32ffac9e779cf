//! Step 2: bytes to words, one command after another, as long as the connection may go on.

use ringstone_engine::{ArgBuf, Args, Error, Span};
use ringstone_proto::resp::{Decoded, Limits};

use crate::conn::Conn;
use crate::shard::Shard;

impl Shard {
    /// Runs the commands in `bytes`, which came after what the connection already holds; keeps what is left.
    pub(crate) fn take_input(&mut self, conn: &mut Conn, bytes: &[u8]) {
        if conn.closing || conn.close_after_reply {
            return;
        }
        if conn.inbuf.is_empty() {
            let consumed = self.run_commands(conn, bytes);
            conn.inbuf.extend_from_slice(bytes.get(consumed..).unwrap_or_default());
        } else {
            conn.inbuf.extend_from_slice(bytes);
            self.go_on(conn);
        }
        let limit = usize::try_from(self.config.client_query_buffer_limit).unwrap_or(usize::MAX);
        if conn.inbuf.len() > limit {
            tracing::warn!(
                "client id={} closed: its query buffer has {} bytes, above client-query-buffer-limit",
                conn.client_id,
                conn.inbuf.len()
            );
            self.stats.query_limit_disconnections += 1;
            self.close(conn);
        }
        self.stats.input_buffer_max = self.stats.input_buffer_max.max(conn.inbuf.len());
    }

    /// Runs the commands that the connection holds.
    pub(crate) fn go_on(&mut self, conn: &mut Conn) {
        if conn.inbuf.is_empty() || conn.is_stuck() {
            return;
        }
        let mut held = std::mem::take(&mut conn.inbuf);
        let consumed = self.run_commands(conn, &held);
        held.drain(..consumed);
        conn.inbuf = held;
    }

    fn run_commands(&mut self, conn: &mut Conn, bytes: &[u8]) -> usize {
        let mut spans = if conn.spans.is_empty() {
            std::mem::take(&mut self.spans)
        } else {
            std::mem::take(&mut conn.spans)
        };
        let mut at = 0;
        self.measure.begin();
        // Once the end has begun, what is not admitted yet never is: the log closes behind what was.
        while !conn.is_stuck() && !conn.closing && !conn.close_after_reply && !self.stopping {
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let limits = Limits {
                bulk_max_bytes: self.config.proto_max_bulk_len,
                unauthenticated: self.must_authenticate(conn),
                ..Limits::default()
            };
            match conn
                .decoder
                .decode(rest, &limits, &mut |start, len| spans.push(Span { start, len }))
            {
                Decoded::Command { consumed } => {
                    self.command(conn, Args::new(rest, &spans));
                    spans.clear();
                    at += consumed;
                }
                Decoded::Inline { args, consumed } => {
                    self.command(conn, ArgBuf::from_parts(args).as_args());
                    at += consumed;
                }
                Decoded::Empty { consumed } => at += consumed,
                Decoded::Incomplete => break,
                Decoded::Error(error) => {
                    self.protocol_error(conn, &error.message());
                    at = bytes.len();
                }
            }
        }
        if conn.decoder.is_within_command() {
            conn.spans = spans;
        } else {
            spans.clear();
            self.spans = spans;
        }
        at
    }

    fn protocol_error(&mut self, conn: &mut Conn, message: &[u8]) {
        tracing::debug!("client id={}: {}", conn.client_id, String::from_utf8_lossy(message));
        self.note_error(&Error::text("ERR Protocol error"));
        let resp3 = conn.resp3;
        ringstone_proto::resp::Encoder::new(conn.reply_buffer(), resp3).error(message);
        conn.close_after_reply = true;
        self.mark_dirty(conn);
    }
}
