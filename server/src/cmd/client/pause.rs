//! CLIENT PAUSE and UNPAUSE. Every shard keeps its own copy of the pause; a command that may not run yet waits with its
//! connection. While it lasts, nothing expires and nothing is evicted; keys whose time is up are not seen.

use std::collections::VecDeque;

use ringstone_engine::cmd::{Arg, ArgKind, Spec};
use ringstone_engine::num::parse_i64;
use ringstone_engine::{ArgBuf, Args, Error, Tree};

use super::super::{HostCommand, wrong_subcommand};
use super::ADMIN_SUB;
use crate::ask::ask_all;
use crate::conn::{Conn, ConnId};
use crate::shard::Shard;
use crate::table::Entry;
use crate::tx::multi::Queue;

/// Whether commands have to wait, and which do.
#[derive(Default)]
pub struct Pause {
    until_ms: i64,
    writes_only: bool,
    waiting: VecDeque<(ConnId, &'static Entry, ArgBuf)>,
}

impl Pause {
    /// True at `now_ms` when some commands have to wait.
    #[inline]
    pub fn is_on(&self, now_ms: i64) -> bool {
        now_ms < self.until_ms
    }

    /// Number of connections that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// True when the pause has run out and nobody has ended it yet.
    pub fn is_over(&self, now_ms: i64) -> bool {
        self.until_ms > 0 && now_ms >= self.until_ms
    }
}

impl Shard {
    /// Whether the command is one that has to wait while a pause is on.
    #[cold]
    pub(crate) fn must_wait_for_unpause(
        &mut self,
        conn: &Conn,
        entry: &Entry,
        args: Args<'_>,
    ) -> bool {
        if entry.spec.name.starts_with("client|") {
            false
        } else if !self.pause.writes_only {
            true
        } else if entry.spec.name == "exec" {
            conn.tx.as_ref().and_then(|tx| tx.queue.as_ref()).is_some_and(Queue::writes)
        } else {
            self.may_change_data(entry, args)
        }
    }

    /// The command waits until the pause is over.
    pub(crate) fn wait_for_unpause(
        &mut self,
        conn: &mut Conn,
        entry: &'static Entry,
        args: Args<'_>,
    ) {
        conn.blocked = true;
        self.pause.waiting.push_back((conn.id, entry, ArgBuf::from(args)));
    }

    /// Ends the pause and runs what waited; true when something did.
    pub(crate) fn resume_paused(&mut self) -> bool {
        self.pause.until_ms = 0;
        self.keyspace.set_paused(false);
        let waited = !self.pause.waiting.is_empty();
        for (id, _, args) in std::mem::take(&mut self.pause.waiting) {
            let Some(mut conn) = self.conns.take(id) else { continue };
            conn.blocked = false;
            self.command(&mut conn, args.as_args());
            self.go_on(&mut conn);
            self.settle(conn);
        }
        waited
    }
}

pub(super) static PAUSE: HostCommand = HostCommand {
    spec: Spec {
        name: "client|pause",
        arity: -3,
        since: "2.9.50",
        summary: "Has commands wait for a while.",
        history: &[("6.2.0", "`CLIENT PAUSE WRITE` mode added along with the `mode` option.")],
        args: &[
            Arg::new("timeout", ArgKind::Integer),
            Arg {
                optional: true,
                ..Arg::one_of("mode", &[Arg::word("write", "WRITE"), Arg::word("all", "ALL")])
                    .since("6.2.0")
            },
        ],
        ..ADMIN_SUB
    },
    run: |host, args| {
        let writes_only = match args.len() {
            3 => false,
            4 if args.is(3, "WRITE") => true,
            4 if args.is(3, "ALL") => false,
            4 => return Err(Error::text("ERR CLIENT PAUSE mode must be WRITE or ALL")),
            _ => return Err(wrong_subcommand("CLIENT", args.at(1))),
        };
        let timeout = parse_i64(args.at(2))
            .ok_or(Error::text("ERR timeout is not an integer or out of range"))?;
        if timeout < 0 {
            return Err(Error::text("ERR timeout is negative"));
        }
        let until_ms = host
            .shard
            .now_ms
            .checked_add(timeout)
            .ok_or(Error::text("ERR timeout is out of range"))?;
        host.later(|shard| async move {
            ask_all(&shard, move |there| {
                // A pause that is under way is never weakened or shortened.
                let running = there.now_ms < there.pause.until_ms;
                there.pause.writes_only = writes_only && (!running || there.pause.writes_only);
                there.pause.until_ms =
                    if running { there.pause.until_ms.max(until_ms) } else { until_ms };
                there.keyspace.set_paused(there.pause.until_ms > there.now_ms);
            })
            .await;
            Tree::Simple("OK".into())
        })
    },
    subs: &[],
};

pub(super) static UNPAUSE: HostCommand = HostCommand {
    spec: Spec {
        name: "client|unpause",
        arity: 2,
        since: "6.2.0",
        summary: "Ends CLIENT PAUSE.",
        complexity: "O(N) Where N is the number of paused clients",
        ..ADMIN_SUB
    },
    run: |host, _| {
        host.later(|shard| async move {
            ask_all(&shard, Shard::resume_paused).await;
            Tree::Simple("OK".into())
        })
    },
    subs: &[],
};
