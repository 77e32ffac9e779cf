//! How a transaction gets the keys that it runs on: every owner is asked, and lends them.

use std::sync::atomic::Ordering;

use ringstone_engine::Error;

use super::held::{Ends, LentEntry, LentKey};
use crate::msg::{Patience, TxDone, TxWork};
use crate::rt::oneshot;
use crate::shard::{Shard, ShardRef};

/// Keys that were asked for: the transaction's number, and the owners' answers to come.
pub struct Asked {
    number: u64,
    answers: oneshot::Receiver<Vec<(usize, TxDone)>>,
    patience: Patience,
}

/// Gets all keys here. Refused anywhere means: give everything back and ask again with a new number.
pub(super) async fn borrow_keys(
    shard: &ShardRef,
    keys: &[LentKey],
    mut asked: Asked,
) -> Result<(u64, Vec<LentEntry>), Error> {
    let owners = owners_of(keys);
    loop {
        let Asked { number, answers, patience } = asked;
        if owners.is_empty() {
            return Ok((number, Vec::new()));
        }
        let answers = answers.await.unwrap_or_default();
        let refused = answers.iter().any(|(_, done)| matches!(done, TxDone::Refused));
        let busy = find_busy(&answers);
        let mut lent: Vec<LentEntry> = Vec::new();
        for (owner, done) in answers {
            lent.extend(name_databases(keys, owner, done));
        }
        if !refused && busy.is_none() {
            return Ok((number, lent));
        }
        shard.borrow_mut().give_up(number, &owners, lent);
        if let Some(busy) = busy {
            return Err(busy);
        }
        crate::rt::exec::yield_now().await;
        asked = shard.borrow_mut().ask_for_keys(keys, patience);
    }
}

/// The error when a script is busy that has what was asked for.
pub(super) fn find_busy(answers: &[(usize, TxDone)]) -> Option<Error> {
    answers.iter().find_map(|(_, done)| match done {
        TxDone::Busy(busy) => Some(busy.clone()),
        TxDone::Lent(_) | TxDone::Whole | TxDone::Ran(..) | TxDone::Refused => None,
    })
}

/// The owners of keys that are sorted.
fn owners_of(keys: &[LentKey]) -> Vec<usize> {
    let mut owners: Vec<usize> = keys.iter().map(|key| key.0).collect();
    owners.dedup();
    owners
}

/// The entries that `owner` lent, with their databases.
pub(super) fn name_databases(keys: &[LentKey], owner: usize, done: TxDone) -> Vec<LentEntry> {
    let TxDone::Lent(entries) = done else { return Vec::new() };
    let dbs = keys.iter().filter(|key| key.0 == owner).map(|key| key.1);
    dbs.zip(entries).filter_map(|(db, entry)| Some((db, entry?))).collect()
}

impl Shard {
    /// Asks for keys, sorted and each once, under a new number.
    pub(crate) fn ask_for_keys(&mut self, keys: &[LentKey], patience: Patience) -> Asked {
        let number = self.shared.next_transaction.fetch_add(1, Ordering::Relaxed);
        let owners = owners_of(keys);
        let answers = self.tx.expect(number, owners.len());
        for owner in owners {
            let theirs = keys.iter().filter(|key| key.0 == owner);
            let theirs = theirs.map(|(_, db, key)| (*db, key.clone())).collect();
            self.ask(owner, number, TxWork::Lend(theirs), patience);
        }
        self.wake();
        Asked { number, answers, patience }
    }

    fn by_owner(&self, entries: Vec<LentEntry>) -> Vec<Vec<LentEntry>> {
        let mut home: Vec<Vec<LentEntry>> = (0..self.shards()).map(|_| Vec::new()).collect();
        for (db, entry) in entries {
            let owner = self.shared.slots.shard_of_key(entry.key());
            if let Some(list) = home.get_mut(owner) {
                list.push((db, entry));
            }
        }
        home
    }

    /// Gives back what a transaction was lent that has to start again.
    fn give_up(&mut self, number: u64, owners: &[usize], lent: Vec<LentEntry>) {
        let home = self.by_owner(lent);
        self.end_transaction(number, None, owners, home, Ends::default());
    }
}
