//! Commands worth remembering: slow ones, those with large requests, those with large replies.
//!
//! Each shard keeps those of its own connections. Numbers are given out by the process, so that the logs of all shards can be
//! merged.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use ringstone_engine::cmd::Flags;
use ringstone_engine::{Args, Tree};

use super::redact::redacted;
use crate::config::Config;
use crate::conn::{Conn, ConnId};
use crate::shard::Shard;
use crate::table::Entry;

/// Words that are kept of a command; the last one says how many more there were.
const WORDS_MAX: usize = 32;
/// Bytes that are kept of a word.
const WORD_BYTES_MAX: usize = 128;

/// Why a command is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It took long.
    Slow,
    /// Its request was large.
    LargeRequest,
    /// Its reply was large.
    LargeReply,
}

impl Why {
    /// All of them.
    pub const ALL: [Why; 3] = [Why::Slow, Why::LargeRequest, Why::LargeReply];

    /// The word of COMMANDLOG for it.
    pub fn name(self) -> &'static str {
        match self {
            Why::Slow => "slow",
            Why::LargeRequest => "large-request",
            Why::LargeReply => "large-reply",
        }
    }

    /// From this value on a command is remembered: ns for slow ones, bytes for others.
    fn threshold(self, config: &Config) -> u64 {
        let (value, factor) = match self {
            Why::Slow => (config.slowlog_log_slower_than, 1000),
            Why::LargeRequest => (config.commandlog_request_larger_than, 1),
            Why::LargeReply => (config.commandlog_reply_larger_than, 1),
        };
        u64::try_from(value).map_or(u64::MAX, |value| value.saturating_mul(factor))
    }

    /// How many are kept, of all shards together.
    pub fn max_len(self, config: &Config) -> usize {
        match self {
            Why::Slow => config.slowlog_max_len,
            Why::LargeRequest => config.commandlog_large_request_max_len,
            Why::LargeReply => config.commandlog_large_reply_max_len,
        }
    }
}

/// Next numbers of the three logs.
#[derive(Debug, Default)]
pub struct NextIds([AtomicU64; 3]);

/// One command remembered.
#[derive(Clone, Debug)]
pub struct Remembered {
    id: u64,
    at_s: i64,
    /// Microseconds for a slow one, bytes for others.
    value: u64,
    words: Vec<Vec<u8>>,
    client: String,
    name: Vec<u8>,
}

impl Remembered {
    /// Its number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// As SLOWLOG GET has it.
    pub fn into_tree(self) -> Tree {
        let int = |value: u64| Tree::Int(i64::try_from(value).unwrap_or(i64::MAX));
        Tree::Array(vec![
            int(self.id),
            Tree::Int(self.at_s),
            int(self.value),
            Tree::Array(self.words.into_iter().map(Tree::Bulk).collect()),
            Tree::Bulk(self.client.into_bytes()),
            Tree::Bulk(self.name),
        ])
    }
}

/// A shard's three logs, and what gets into them.
#[derive(Debug)]
pub struct Memory {
    logs: [VecDeque<Remembered>; 3],
    /// By [`Why`].
    thresholds: [u64; 3],
    max_len: [usize; 3],
}

/// What a command took: ns, bytes of its request, bytes of its reply.
#[derive(Clone, Copy, Debug)]
pub struct Took([u64; 3]);

impl Memory {
    /// Empty logs.
    pub fn new(config: &Config) -> Memory {
        let mut memory =
            Memory { logs: Default::default(), thresholds: [u64::MAX; 3], max_len: [0; 3] };
        memory.configure(config);
        memory
    }

    /// Takes over new values of parameters.
    pub fn configure(&mut self, config: &Config) {
        self.thresholds = Why::ALL.map(|why| why.threshold(config));
        self.max_len = Why::ALL.map(|why| why.max_len(config));
        for (log, max_len) in self.logs.iter_mut().zip(self.max_len) {
            log.truncate(max_len);
        }
    }

    /// True when a command that took this belongs into a log; `took` may be too much, never too little.
    #[inline]
    pub fn is_notable(&self, took: Took) -> bool {
        let [slow, request, reply] = self.thresholds;
        let Took([ns, request_bytes, reply_bytes]) = took;
        ns >= slow || request_bytes >= request || reply_bytes >= reply
    }

    /// Commands remembered for one reason, newest first.
    pub fn newest(&self, why: Why) -> impl Iterator<Item = &Remembered> {
        self.logs.get(why as usize).into_iter().flatten()
    }

    /// Forgets them.
    pub fn forget(&mut self, why: Why) {
        if let Some(log) = self.logs.get_mut(why as usize) {
            log.clear();
        }
    }

    fn add(&mut self, why: Why, one: Remembered) {
        let max_len = self.max_len.get(why as usize).copied().unwrap_or(0);
        if let Some(log) = self.logs.get_mut(why as usize) {
            log.push_front(one);
            log.truncate(max_len);
        }
    }
}

/// A command that may be remembered, as another shard tells it.
pub struct Candidate {
    name: &'static str,
    took: Took,
    words: Vec<Vec<u8>>,
}

impl Shard {
    /// Remembers the command that was measured last, if it is worth it.
    #[inline]
    pub(crate) fn remember(
        &mut self,
        conn: &Conn,
        entry: &Entry,
        args: Args<'_>,
        reply_bytes: usize,
    ) {
        let took = self.measure.took(args, reply_bytes);
        if self.measure.memory.is_notable(took) {
            self.remember_notable(conn, candidate(entry, args, took));
        }
    }

    /// The same for a connection of this shard that is not at hand.
    pub(crate) fn remember_of(
        &mut self,
        id: ConnId,
        entry: &Entry,
        args: Args<'_>,
        reply_bytes: usize,
    ) {
        let took = self.measure.took(args, reply_bytes);
        if self.measure.memory.is_notable(took)
            && let Some(conn) = self.conns.take(id)
        {
            self.remember_notable(&conn, candidate(entry, args, took));
            self.conns.put_back(conn);
        }
    }

    /// The same for a connection of shard `origin`.
    #[inline]
    pub(crate) fn remember_there(
        &mut self,
        origin: usize,
        id: ConnId,
        entry: &Entry,
        args: Args<'_>,
        reply_bytes: usize,
    ) {
        let took = self.measure.took(args, reply_bytes);
        if self.measure.memory.is_notable(took) {
            let candidate = candidate(entry, args, took);
            self.call(origin, move |there| {
                if let Some(conn) = there.conns.take(id) {
                    there.remember_notable(&conn, candidate);
                    there.conns.put_back(conn);
                }
            });
        }
    }

    #[cold]
    fn remember_notable(&mut self, conn: &Conn, candidate: Option<Candidate>) {
        let Some(candidate) = candidate else { return };
        let (client, _) = crate::cmd::client::addresses(conn, &self.config.unixsocket);
        let name = conn.info.as_ref().map(|info| info.name.clone()).unwrap_or_default();
        for why in Why::ALL {
            let at = why as usize;
            let value = candidate.took.0.get(at).copied().unwrap_or(0);
            if self.measure.memory.thresholds.get(at).is_none_or(|threshold| value < *threshold) {
                continue;
            }
            let next = self.shared.next_remembered.0.get(at);
            let one = Remembered {
                id: next.map_or(0, |next| next.fetch_add(1, Ordering::Relaxed)),
                at_s: self.now_ms / 1000,
                value: if why == Why::Slow { value / 1000 } else { value },
                words: candidate.words.clone(),
                client: client.clone(),
                name: name.clone(),
            };
            self.measure.memory.add(why, one);
        }
        tracing::debug!("{} remembered: it took {:?}", candidate.name, candidate.took);
    }
}

/// What is kept of a command; nothing when it is of those that are never remembered.
#[cold]
fn candidate(entry: &Entry, args: Args<'_>, took: Took) -> Option<Candidate> {
    if entry.spec.flags.contains(Flags::SKIP_SLOWLOG) {
        return None;
    }
    let Took([ns, _, reply_bytes]) = took;
    let took = Took([ns, request_bytes(args), reply_bytes]);
    let all = redacted(entry.spec.name, args);
    let kept = if all.len() > WORDS_MAX { WORDS_MAX - 1 } else { all.len() };
    let mut words: Vec<Vec<u8>> = all.iter().take(kept).map(|word| shortened(word)).collect();
    if kept < all.len() {
        words.push(format!("... ({} more arguments)", all.len() - kept).into_bytes());
    }
    Some(Candidate { name: entry.spec.name, took, words })
}

fn shortened(word: &[u8]) -> Vec<u8> {
    match word.split_at_checked(WORD_BYTES_MAX) {
        Some((kept, more)) if !more.is_empty() => {
            let mut out = kept.to_vec();
            out.extend_from_slice(format!("... ({} more bytes)", more.len()).as_bytes());
            out
        }
        _ => word.to_vec(),
    }
}

/// Length of a command in the protocol.
fn request_bytes(args: Args<'_>) -> u64 {
    let digits = |number: usize| number.to_string().len();
    let words: usize = args.iter_from(0).map(|word| word.len() + digits(word.len()) + 5).sum();
    (3 + digits(args.len()) + words) as u64
}

impl Took {
    /// What a command took, its request's bytes roughly, but not less than they are.
    #[inline]
    pub fn new(ns: u64, args: Args<'_>, reply_bytes: usize) -> Took {
        // At most 25 bytes of protocol a word.
        Took([ns, (args.extent() + args.len() * 25 + 25) as u64, reply_bytes as u64])
    }
}
