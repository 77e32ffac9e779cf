//! What shards say to each other.

use ringstone_engine::raw::Entry as KeyEntry;
use ringstone_engine::{ArgBuf, Effects, Error, Tree};

use crate::conn::ConnId;
use crate::observe::TouchedKey;
use crate::shard::Shard;
use crate::table::Entry;
use crate::tracking::{Author, Caller};
use crate::tx::exec_hop::ExecHop;
use crate::tx::held::{LentEntry, ReadKeys};

/// A command for the shard that owns its keys.
pub struct Hop {
    /// Shard of the connection.
    pub origin: usize,
    /// The connection.
    pub conn: ConnId,
    /// Place of its reply there.
    pub number: u64,
    /// Selected database.
    pub db: usize,
    /// Form of the reply.
    pub resp3: bool,
    /// It does not count as an access.
    pub no_touch: bool,
    /// Who runs it, if it is a client that tracks keys.
    pub caller: Option<Caller>,
    /// The client is dropped for a reply longer than this, in bytes.
    pub reply_max: usize,
    /// The command.
    pub entry: &'static Entry,
    /// Its arguments.
    pub args: ArgBuf,
    /// For SCAN that goes on here: what it found on the shards before.
    pub carried: Option<Vec<Tree>>,
}

/// A command that runs on every shard at one instant.
#[derive(Clone)]
pub struct Part {
    /// Selected database.
    pub db: usize,
    /// Form of replies that depend on it.
    pub resp3: bool,
    /// The command.
    pub entry: &'static Entry,
    /// Its arguments.
    pub args: ArgBuf,
}

/// A transaction's question for its part.
pub struct TxAsk {
    /// The transaction.
    pub number: u64,
    /// Its coordinator's shard.
    pub coordinator: usize,
    /// What is asked for.
    pub work: TxWork,
    /// Whether it waits for scripts that run for too long.
    pub patience: Patience,
}

/// Whether a transaction waits for scripts that run for longer than `busy-reply-threshold`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// It is a client's command, which gets an error then.
    UntilBusy,
    /// It has been promised to somebody.
    Endless,
}

/// What a transaction wants of a shard.
pub enum TxWork {
    /// These keys, of these databases, lent to the coordinator.
    Lend(Vec<(usize, Vec<u8>)>),
    /// The whole shard to itself, to run something there.
    Whole,
}

/// What a transaction that has every shard to itself runs on each.
#[derive(Clone)]
pub enum WholeRun {
    /// These keys, of these databases, are lent to the coordinator.
    Lend(Vec<(usize, Vec<u8>)>),
    /// A command's part.
    Part(Part),
    /// A step that all shards take at one instant, such as a snapshot's cut.
    Step(fn(&mut Shard)),
}

/// What a shard has done for a transaction.
pub enum TxDone {
    /// The keys lent, in the order asked; `None` where there is no such key.
    Lent(Vec<Option<KeyEntry>>),
    /// The shard is the transaction's.
    Whole,
    /// The reply of a part and what it recorded; nothing for a step.
    Ran(Tree, Effects),
    /// Came out of order: start again.
    Refused,
    /// A script has what is asked for that has been running for too long: nobody waits for that one.
    Busy(Error),
}

impl TxDone {
    /// The reply of a part and what it recorded.
    pub fn ran(self) -> Option<(Tree, Effects)> {
        match self {
            TxDone::Ran(reply, effects) => Some((reply, effects)),
            TxDone::Lent(_) | TxDone::Whole | TxDone::Refused | TxDone::Busy(_) => None,
        }
    }
}

/// A closure that runs on another shard.
pub type Call = Box<dyn FnOnce(&mut Shard) + Send>;

/// The end of a transaction, for a shard that has granted it something.
pub struct TxEnd {
    /// The transaction.
    pub number: u64,
    /// Its place in the log, if it is there.
    pub gsn: Option<u64>,
    /// Keys that come back, with their databases.
    pub entries: Vec<LentEntry>,
    /// Keys that it changed, with their databases, when somebody observes.
    pub touched: Vec<TouchedKey>,
    /// Keys that it read, when its client tracks them.
    pub read: ReadKeys,
    /// Who changed and read them.
    pub author: Author,
}

/// A message.
pub enum Msg {
    /// Run this and answer.
    Hop(Box<Hop>),
    /// Run this transaction and answer.
    Exec(Box<ExecHop>),
    /// The answer.
    HopReply {
        /// The connection.
        conn: ConnId,
        /// Place of the reply.
        number: u64,
        /// RESP bytes.
        bytes: Vec<u8>,
    },
    /// A transaction asks for its part.
    TxAsk(Box<TxAsk>),
    /// A transaction that was given the whole shard runs something there.
    TxRun {
        /// The transaction.
        number: u64,
        /// Its coordinator's shard.
        coordinator: usize,
        /// What it runs.
        run: WholeRun,
    },
    /// The part is done, and held until [`Msg::TxEnd`].
    TxDone {
        /// The transaction.
        number: u64,
        /// The shard that answers.
        shard: usize,
        /// What it did.
        done: TxDone,
    },
    /// The transaction is over: what was lent comes back.
    TxEnd(Box<TxEnd>),
    /// Run this.
    Call(Call),
}
