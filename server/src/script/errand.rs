//! MIGRATE in a program that runs in the shard's own keyspace, which it has for itself: keys are sent while the program is set
//! aside, and removed when it goes on.
//!
//! Invariant: only where one shard has the whole keyspace, as what another server was sent cannot be undone.

use ringstone_engine::{Error, Tree};

use super::turn::{Called, Turn};
use crate::migrate::{self, Parcel, Request};
use crate::rt::exchange::Answers;
use crate::shard::{Shard, ShardRef};
use crate::table::Entry;

/// Keys to be sent.
pub(super) struct Errand {
    entry: &'static Entry,
    db: usize,
    request: Request,
    parcel: Parcel,
}

/// What came of it.
pub(super) struct Returned {
    entry: &'static Entry,
    db: usize,
    request: Request,
    sent: Option<(Vec<Vec<u8>>, Answers)>,
}

impl Errand {
    pub(super) async fn run(self, shard: &ShardRef) -> Returned {
        let Errand { entry, db, request, parcel } = self;
        Returned { entry, db, request, sent: migrate::send(shard, parcel).await }
    }
}

impl Shard {
    /// What is to be sent, or the reply when there is nothing.
    pub(super) fn pack_errand(&mut self, turn: &mut Turn, call: &Called) -> Result<Errand, Tree> {
        let (entry, db, now_ms) = (call.entry, turn.caller.db, self.now_ms);
        let packed = Request::parse(call.words.as_args()).map(|request| {
            let parcel = migrate::pack(&mut self.keyspace, db, now_ms, &request);
            parcel.map(|parcel| Errand { entry, db, request, parcel })
        });
        match packed {
            Ok(Some(errand)) => Ok(errand),
            Ok(None) => Err(self.note_errand(turn, entry, migrate::no_key())),
            Err(error) => Err(self.note_errand(turn, entry, Tree::Error(error))),
        }
    }

    /// Removes what has arrived; the reply.
    pub(super) fn settle_errand(&mut self, turn: &mut Turn, returned: Returned) -> Tree {
        let Returned { entry, db, request, sent } = returned;
        let kept = (!turn.logs).then(|| self.keyspace.effects.take());
        let tree = migrate::settle(&mut self.keyspace, db, self.now_ms, &request, sent);
        if let Some(kept) = kept {
            let unlogged = std::mem::replace(&mut self.keyspace.effects, kept);
            self.observe_records(unlogged.bytes());
        }
        self.publish_events();
        self.note_errand(turn, entry, tree)
    }

    fn note_errand(&mut self, turn: &mut Turn, entry: &Entry, tree: Tree) -> Tree {
        let failure: Option<&Error> = tree.as_error();
        self.note_call(entry, failure);
        turn.note_reply(&tree);
        tree
    }
}
