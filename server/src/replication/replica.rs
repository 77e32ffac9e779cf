//! A replica's connection, on its shard.
//!
//! | phase | the stream |
//! |---|---|
//! | announcing: an ordinary client | is not sent |
//! | behind: it is sent a snapshot | waits for that to end |
//! | online | is sent as it comes |

use ringstone_engine::error::word;
use ringstone_engine::{Args, Error};

use super::stream::{Follower, ReplicaId};
use crate::conn::{Conn, ConnId};
use crate::shard::Shard;

/// How far a connection is on its way to be a replica's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It has said something about itself.
    Announcing,
    /// It has asked to follow, and what the stream has for it waits.
    Behind,
    /// It follows.
    Online,
}

/// What there is to know of a replica's connection.
#[derive(Debug)]
pub struct ReplicaSide {
    /// How far it is.
    pub phase: Phase,
    /// The address it says it has; empty = that of the connection.
    pub ip: String,
    /// The port it listens on; 0 = it has not said.
    pub port: u16,
    /// It can go on in a stream of another name.
    pub knows_names: bool,
    /// It wants a snapshot and nothing else.
    pub only_snapshot: bool,
    /// It wants the functions only.
    pub only_functions: bool,
    /// It came with PSYNC.
    tells: bool,
    /// What the stream has for it, behind the snapshot.
    behind: Vec<u8>,
}

impl Default for ReplicaSide {
    fn default() -> Self {
        ReplicaSide {
            phase: Phase::Announcing,
            ip: String::new(),
            port: 0,
            knows_names: false,
            only_snapshot: false,
            only_functions: false,
            tells: false,
            behind: Vec::new(),
        }
    }
}

impl ReplicaSide {
    /// Bytes of the stream that wait.
    pub fn behind_bytes(&self) -> usize {
        self.behind.len()
    }
}

impl Conn {
    /// True for a connection that follows the stream, or is about to.
    pub fn is_replica(&self) -> bool {
        self.replica.as_ref().is_some_and(|side| side.phase != Phase::Announcing)
    }
}

impl Shard {
    fn replica_id(&self, conn: &Conn) -> ReplicaId {
        (self.index, conn.id.to_bits())
    }

    /// SYNC (without `asks`), and PSYNC with the stream's name and the offset wanted next.
    pub(crate) fn begin_following(
        &mut self,
        conn: &mut Conn,
        asks: Option<(&[u8], Option<u64>)>,
    ) -> Result<(), Error> {
        let id = self.replica_id(conn);
        let peer = crate::rt::socket::names(conn.fd).0.map(|peer| peer.ip().to_canonical());
        let side = conn.replica.get_or_insert_default();
        side.phase = Phase::Behind;
        side.tells = asks.is_some();
        let ip = if side.ip.is_empty() {
            peer.map(|ip| ip.to_string()).unwrap_or_default()
        } else {
            side.ip.clone()
        };
        let (port, tells, only_functions) = (side.port, side.tells, side.only_functions);
        if only_functions {
            // There is no stream of functions alone.
            side.only_snapshot = true;
            return self.send_functions(conn);
        }
        let (stream, next) = asks.map_or((Vec::new(), None), |(name, next)| (name.to_vec(), next));
        let follower = Follower { id, ip, port, tells };
        if self.index != 0 {
            self.call(0, move |first| first.on_follower(follower, &stream, next));
        } else if let Some(me) = self.me() {
            // Not now, while the connection is at hand; by then it may be gone.
            self.queues.spawn(async move {
                let mut this = me.borrow_mut();
                let conn = this.conns.get(ConnId::from_bits(id.1));
                if conn.is_some_and(|conn| conn.is_replica()) {
                    this.on_follower(follower, &stream, next);
                }
            });
        }
        Ok(())
    }

    /// The connection of a replica is closed.
    pub(crate) fn stop_following(&mut self, conn: &mut Conn) {
        if conn.is_replica() {
            let id = self.replica_id(conn);
            conn.replica = None;
            self.call(0, move |first| first.on_follower_gone(id));
        }
    }

    /// REPLCONF ACK.
    pub(crate) fn acknowledge(&mut self, conn: &Conn, offset: u64) {
        if conn.is_replica() {
            let id = self.replica_id(conn);
            self.call(0, move |first| first.on_acknowledged(id, offset));
        }
    }

    /// Works with a replica's connection; nothing when it is gone.
    fn with_replica<T>(&mut self, id: ReplicaId, work: impl FnOnce(&mut Conn) -> T) -> Option<T> {
        let mut conn = self.conns.take(ConnId::from_bits(id.1))?;
        let is_there = conn.is_replica() && !conn.closing;
        let result = is_there.then(|| work(&mut conn));
        self.mark_dirty(&mut conn);
        self.settle(conn);
        self.wake();
        result
    }

    /// A replica goes on where it was, and gets what it has missed.
    pub(super) fn go_on_following(&mut self, id: ReplicaId, stream: &str, missed: &[u8]) {
        self.with_replica(id, |conn| {
            let Some(side) = &mut conn.replica else { return };
            side.phase = Phase::Online;
            let name = if side.knows_names { format!(" {stream}") } else { String::new() };
            conn.push(format!("+CONTINUE{name}\r\n").as_bytes());
            conn.push(missed);
        });
    }

    /// A snapshot for this replica begins: from here on the stream is for it.
    pub(super) fn begin_snapshot_for(&mut self, id: ReplicaId, stream: &str, offset: u64) {
        self.with_replica(id, |conn| {
            if conn.replica.as_ref().is_some_and(|side| side.tells) {
                conn.push(format!("+FULLRESYNC {stream} {offset}\r\n").as_bytes());
            }
        });
    }

    /// Bytes for a replica that are not of the stream.
    pub(super) fn push_to_replica(&mut self, id: ReplicaId, bytes: &[u8]) {
        self.with_replica(id, |conn| conn.push(bytes));
    }

    /// Bytes of a replica's output that have not left, those behind the snapshot not counted; nothing when it is gone.
    pub(super) fn unsent_to_replica(&mut self, id: ReplicaId) -> Option<usize> {
        let conn = self.conns.get(ConnId::from_bits(id.1))?;
        let behind = conn.replica.as_ref().map(|side| side.behind.len())?;
        (!conn.closing).then(|| conn.output_bytes() - behind)
    }

    /// A replica has been sent its snapshot: the stream follows.
    pub(super) fn end_snapshot_for(&mut self, id: ReplicaId) {
        let online = self.with_replica(id, |conn| {
            let Some(side) = conn.replica.as_mut().filter(|side| !side.only_snapshot) else {
                return false;
            };
            side.phase = Phase::Online;
            let behind = std::mem::take(&mut side.behind);
            conn.push(&behind);
            true
        });
        if online == Some(true) {
            self.call(0, move |first| first.on_online(id));
        }
    }

    /// The stream goes on.
    pub(super) fn follow(&mut self, id: ReplicaId, bytes: &[u8]) {
        self.with_replica(id, |conn| match &mut conn.replica {
            Some(side) if side.only_snapshot => {}
            Some(side) if side.phase == Phase::Behind => side.behind.extend_from_slice(bytes),
            Some(_) | None => conn.push(bytes),
        });
    }
}

/// What REPLCONF says of a replica, option by option.
pub(crate) fn configure(side: &mut ReplicaSide, args: Args<'_>, at: usize) -> Result<(), Error> {
    use ringstone_engine::num::parse_i64;
    let value = args.at(at + 1);
    let number = || parse_i64(value).ok_or(Error::NotInteger);
    if args.is(at, "listening-port") {
        side.port = u16::try_from(number()?).unwrap_or(0);
    } else if args.is(at, "ip-address") {
        if value.len() >= HOST_LEN_MAX {
            return Err(Error::owned(format!(
                "ERR REPLCONF ip-address provided by replica instance is too long: {} bytes",
                value.len()
            )));
        }
        side.ip = String::from_utf8_lossy(value).into_owned();
    } else if args.is(at, "capa") {
        side.knows_names |= value.eq_ignore_ascii_case(b"psync2");
    } else if args.is(at, "rdb-only") {
        let only = number()?;
        if !(0..=1).contains(&only) {
            return Err(Error::text("ERR value is out of range"));
        }
        side.only_snapshot = only == 1;
    } else if args.is(at, "rdb-filter-only") {
        side.only_functions = false;
        let text = String::from_utf8_lossy(value).into_owned();
        for word in text.split_whitespace() {
            if !word.eq_ignore_ascii_case("functions") {
                return Err(Error::owned(format!(
                    "ERR Unsupported rdb-filter-only option: {word}"
                )));
            }
            side.only_functions = true;
        }
    } else {
        let option = word(args.at(at));
        return Err(Error::owned(format!("ERR Unrecognized REPLCONF option: {option}")));
    }
    Ok(())
}

/// The longest name of a host, in bytes.
const HOST_LEN_MAX: usize = 256;
