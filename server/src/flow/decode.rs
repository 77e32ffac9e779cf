//! Step 2: bytes to words, one command after another, as long as the connection may go on.

use ringstone_engine::{ArgBuf, Args, Error, Span};
use ringstone_proto::resp::{Decoded, Decoder, Limits, ProtocolError};

use crate::conn::Conn;
use crate::shard::Shard;

/// Most commands that are read ahead: their keys' memory is asked for at once, and stays in the nearest cache.
const AHEAD_MAX: usize = 16;

/// Commands that are read and have not run.
#[derive(Default)]
pub struct Ahead {
    /// The arguments of all of them, one command's behind the other's, and of one that is not whole yet.
    spans: Vec<Span>,
    commands: Vec<Command>,
    /// Up to where the bytes are read.
    end: usize,
}

struct Command {
    /// Its bytes.
    start: usize,
    end: usize,
    /// Its arguments.
    spans_from: usize,
    spans_to: usize,
}

impl Command {
    /// The command's words, given what it was read from.
    fn args<'a>(&self, bytes: &'a [u8], spans: &'a [Span]) -> Args<'a> {
        let own = spans.get(self.spans_from..self.spans_to);
        Args::new(bytes.get(self.start..).unwrap_or_default(), own.unwrap_or_default())
    }
}

impl Ahead {
    /// Keeps only the arguments of the command that is not whole.
    fn forget_commands(&mut self) {
        let whole = self.commands.last().map_or(0, |command| command.spans_to);
        self.spans.drain(..whole);
        self.commands.clear();
    }
}

/// Why no more is read ahead.
enum End {
    /// Enough for now.
    Full,
    /// There are no more bytes.
    Bytes,
    /// The next command is not whole.
    Incomplete,
    /// A command in one line.
    Inline {
        args: Vec<Vec<u8>>,
        consumed: usize,
    },
    Error(ProtocolError),
}

/// Once the end has begun, what is not admitted yet never is: the log closes behind what was.
fn may_go_on(conn: &Conn, stopping: bool) -> bool {
    !conn.is_stuck() && !conn.closing && !conn.close_after_reply && !stopping
}

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

    /// Runs what is whole, several commands read ahead at a time: by the time one runs, the memory of its key is on its way.
    fn run_commands(&mut self, conn: &mut Conn, bytes: &[u8]) -> usize {
        let mut ahead = std::mem::take(&mut self.ahead);
        if !conn.spans.is_empty() {
            ahead.spans = std::mem::take(&mut conn.spans);
        }
        let mut at = 0;
        self.measure.begin();
        while may_go_on(conn, self.stopping) && at < bytes.len() {
            let end = self.read_ahead(conn, bytes, at, &mut ahead);
            for command in &ahead.commands {
                if !may_go_on(conn, self.stopping) {
                    break;
                }
                self.command(conn, command.args(bytes, &ahead.spans));
                at = command.end;
            }
            if !may_go_on(conn, self.stopping) {
                // What was read and did not run is read again when the connection goes on.
                if at < ahead.end || !matches!(end, End::Incomplete) {
                    conn.decoder = Decoder::new();
                    ahead.spans.clear();
                    ahead.commands.clear();
                }
                break;
            }
            at = ahead.end;
            match end {
                End::Full | End::Bytes => {}
                End::Incomplete => break,
                End::Inline { args, consumed } => {
                    self.command(conn, ArgBuf::from_parts(args).as_args());
                    at += consumed;
                }
                End::Error(error) => {
                    self.protocol_error(conn, &error.message());
                    at = bytes.len();
                }
            }
        }
        ahead.forget_commands();
        if conn.decoder.is_within_command() {
            conn.spans = std::mem::take(&mut ahead.spans);
        }
        ahead.spans.clear();
        self.ahead = ahead;
        at
    }

    /// Reads commands from `at` on, up to [`AHEAD_MAX`], and asks for what their keys will touch.
    fn read_ahead(&self, conn: &mut Conn, bytes: &[u8], at: usize, ahead: &mut Ahead) -> End {
        ahead.forget_commands();
        ahead.end = at;
        let unauthenticated = self.must_authenticate(conn);
        let limits = Limits {
            bulk_max_bytes: self.config.proto_max_bulk_len,
            unauthenticated,
            ..Limits::default()
        };
        // What AUTH allows counts for the command behind it.
        let most = if unauthenticated { 1 } else { AHEAD_MAX };
        let end = loop {
            let start = ahead.end;
            let rest = bytes.get(start..).unwrap_or_default();
            if rest.is_empty() {
                break End::Bytes;
            }
            if ahead.commands.len() == most {
                break End::Full;
            }
            let spans = &mut ahead.spans;
            let push = &mut |start, len| spans.push(Span { start, len });
            match conn.decoder.decode(rest, &limits, push) {
                Decoded::Command { consumed } => {
                    let first = ahead.commands.last().map_or(0, |before| before.spans_to);
                    let (spans_to, end) = (ahead.spans.len(), start + consumed);
                    ahead.commands.push(Command { start, end, spans_from: first, spans_to });
                    ahead.end = end;
                }
                Decoded::Empty { consumed } => ahead.end += consumed,
                Decoded::Inline { args, consumed } => break End::Inline { args, consumed },
                Decoded::Incomplete => break End::Incomplete,
                Decoded::Error(error) => break End::Error(error),
            }
        };
        if ahead.commands.len() > 1 && !self.keyspace.is_small() {
            self.prefetch(conn.db, bytes, ahead);
        }
        end
    }

    /// Takes the word behind a command's name for its key, as it mostly is.
    fn prefetch(&self, db: usize, bytes: &[u8], ahead: &Ahead) {
        let mut hashes = [0; AHEAD_MAX];
        for (hash, command) in hashes.iter_mut().zip(&ahead.commands) {
            let args = command.args(bytes, &ahead.spans);
            if args.len() > 1 {
                *hash = self.keyspace.hash(args.at(1));
                self.keyspace.prefetch_hash(db, *hash);
            }
        }
        for hash in hashes.iter().take(ahead.commands.len()) {
            self.keyspace.prefetch_entry(db, *hash);
        }
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
