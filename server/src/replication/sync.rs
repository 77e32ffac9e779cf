//! The snapshot that a replica begins with.
//!
//! ```text
//!   shard 0:  claim ─ file ─ cut: the stream begins for those that wait ─ blocks ─ tail ─┬─> a task a replica sends it
//! ```
//!
//! Invariant: a replica's snapshot holds exactly what was changed before the cut, and it is sent exactly what the stream says
//! after it. The cut is one instant of all shards, at which every batch has been closed and none is open.

mod content;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringstone_engine::Error;
use ringstone_peer::replication::Stage;
use ringstone_persist::rdb::write::{Header, tail};

use super::stream::ReplicaId;
use crate::ask::{ask, ask_all};
use crate::conn::{Conn, ConnId};
use crate::rt::exec::sleep;
use crate::shard::{Shard, ShardRef};
use crate::snapshot::{Target, claim, end_claim, on_helper, write_file};
use content::Content;

/// How often a wait looks again.
const POLL: Duration = Duration::from_millis(2);
/// Bytes that may wait in a connection before the next piece is read.
const UNSENT_BYTES_MAX: usize = 1 << 20;

impl Shard {
    /// Makes a snapshot for those that wait for one, unless that is under way; shard 0.
    pub(super) fn save_for_replicas(&mut self) {
        let Some(me) = self.me().filter(|_| !self.replication.is_saving) else { return };
        self.replication.is_saving = true;
        self.queues.spawn(async move { save_while_wanted(me).await });
    }

    /// The instant of the cut, once all shards have taken it: what the stream says from here on is for those that wait.
    pub(crate) fn begin_stream_at_cut(&mut self) {
        self.flush_stream();
        let next_chunk = self.shared.replication.next_chunk();
        let size = usize::try_from(self.config.repl_backlog_size).unwrap_or(usize::MAX);
        let source = &mut self.replication.source;
        if !source.is_active() {
            source.set_backlog_size(size);
            let name = crate::start::random::<20>().unwrap_or_else(|_| {
                let seed = crate::rt::clock::unix_us().to_le_bytes();
                std::array::from_fn(|at| seed.get(at % seed.len()).copied().unwrap_or(0))
            });
            let name = name.iter().map(|byte| format!("{byte:02x}")).collect();
            source.begin(next_chunk, name);
        }
        let (stream, offset) = (source.id().to_owned(), source.offset());
        for id in source.begin_snapshot() {
            let stream = stream.clone();
            self.call(id.0, move |there| there.begin_snapshot_for(id, &stream, offset));
        }
    }

    fn set_stage(&mut self, id: ReplicaId, stage: Stage) {
        if let Some(replica) = self.replication.source.replica(id) {
            replica.stage = stage;
        }
    }

    fn saved_for(&self) -> Vec<ReplicaId> {
        let all = self.replication.source.replicas();
        all.filter(|(_, replica)| replica.stage == Stage::Saving).map(|(id, _)| id).collect()
    }

    /// Sends the functions and no keys.
    pub(super) fn send_functions(&mut self, conn: &mut Conn) -> Result<(), Error> {
        let functions = self.shared.libraries.codes();
        let header = Header {
            created_s: u64::try_from(self.now_ms / 1000).unwrap_or(0),
            used_memory_bytes: crate::memory::used_bytes() as u64,
            functions: &functions,
            ..Header::default()
        }
        .encode();
        let (_, tail) = tail(&header, Vec::new()).map_err(|e| Error::owned(format!("ERR {e}")))?;
        let len = header.bytes.len() + tail.len();
        conn.push(format!("${len}\r\n").as_bytes());
        conn.push(&header.bytes);
        conn.push(&tail);
        Ok(())
    }
}

async fn save_while_wanted(shard: ShardRef) {
    loop {
        claim(&shard, Target::Replicas).await;
        let result = save(&shard).await;
        end_claim(&shard, Target::Replicas);
        let mut this = shard.borrow_mut();
        let saved_for = this.saved_for();
        match result {
            Ok(content) => {
                let len = content.len();
                tracing::info!(
                    "a snapshot of {len} bytes for {} replicas is ready",
                    saved_for.len()
                );
                let content = Arc::new(content);
                for id in saved_for {
                    this.set_stage(id, Stage::Sending);
                    let (me, content) = (shard.clone(), Arc::clone(&content));
                    this.queues.spawn(async move { send(&me, id, &content).await });
                }
            }
            Err(reason) => {
                tracing::error!("the snapshot for replicas failed: {reason}");
                for id in saved_for {
                    this.call(id.0, move |there| there.close_id(ConnId::from_bits(id.1)));
                }
            }
        }
        if !this.replication.source.has_waiting() {
            this.replication.is_saving = false;
            return;
        }
    }
}

/// Writes the snapshot into a file that has no name any more.
async fn save(shard: &ShardRef) -> Result<Content, String> {
    let path = {
        let this = shard.borrow();
        this.shared.saving.note_begin(crate::rt::clock::unix_ms());
        this.config.dir.join(format!("temp-replicas-{}.rdb", std::process::id()))
    };
    let written = write_file(shard, Target::Replicas, &path).await;
    if written.is_err() {
        ask_all(shard, Shard::end_snapshot).await;
    }
    let keyring = shard.borrow().shared.encryption.keyring();
    let opened = on_helper(shard, move || Content::open_and_unlink(&path, &keyring)).await;
    written?;
    opened.unwrap_or_else(|| Err("the helper is gone".into()))
}

async fn send(shard: &ShardRef, id: ReplicaId, content: &Arc<Content>) {
    let len = content.len();
    let head = format!("${len}\r\n");
    let mut piece: Arc<[u8]> = head.as_bytes().into();
    let mut at = 0;
    loop {
        if !has_room(shard, id).await {
            return;
        }
        ask(shard, id.0, move |there| there.push_to_replica(id, &piece)).await;
        if at >= len {
            break;
        }
        let content = Arc::clone(content);
        let read = on_helper(shard, move || content.piece_at(at));
        match read.await {
            Some(Ok(bytes)) => {
                at += bytes.len() as u64;
                piece = bytes.into();
            }
            Some(Err(_)) | None => {
                tracing::error!("the snapshot for a replica cannot be read any more");
                ask(shard, id.0, move |there| there.close_id(ConnId::from_bits(id.1))).await;
                return;
            }
        }
    }
    ask(shard, id.0, move |there| there.end_snapshot_for(id)).await;
}

/// Waits until a replica has taken most of what it was sent; false when it is gone, or takes nothing for long.
async fn has_room(shard: &ShardRef, id: ReplicaId) -> bool {
    let mut since = (usize::MAX, Instant::now());
    loop {
        match ask(shard, id.0, move |there| there.unsent_to_replica(id)).await.flatten() {
            None => return false,
            Some(unsent) if unsent <= UNSENT_BYTES_MAX => return true,
            Some(unsent) if unsent < since.0 => since = (unsent, Instant::now()),
            Some(_) => {}
        }
        let patience = Duration::from_secs(u64::from(shard.borrow().config.repl_timeout));
        if since.1.elapsed() > patience {
            tracing::warn!("a replica is dropped: it takes nothing of its snapshot");
            ask(shard, id.0, move |there| there.close_id(ConnId::from_bits(id.1))).await;
            return false;
        }
        sleep(POLL).await;
    }
}
