//! A stream's RDB body: written as type 19 (Redis 7.0), read as types 15, 19 and 21.
//!
//! ```text
//! blocks (key:16 bytes listpack)*  len  last_id  [first_id  max_deleted_id  entries_added]          from 19 on
//! groups ( name last_id [entries_read]  pending (id:16 ms:8 deliveries)*
//!          consumers ( name seen:8 [active:8] (id:16)* )* )*                                        active: 21
//! ```

use std::ops::Bound;

use super::block::Block;
use super::group::{Group, Pending};
use super::{Stream, StreamId};
use crate::serial::{
    LoadError, LoadFault, RDB_TYPE_STREAM_LISTPACKS, RDB_TYPE_STREAM_LISTPACKS_2,
    RDB_TYPE_STREAM_LISTPACKS_3, RdbReader, RdbWriter,
};
use crate::types::SavePoint;
use crate::types::listpack::Listpack;

/// What stands for a number of entries read that is not known.
const ENTRIES_READ_UNKNOWN: u64 = u64::MAX;
/// A consumer in a group's pending list before the consumers are read.
const NO_CONSUMER: u32 = u32::MAX;

fn put_id(out: &mut RdbWriter, id: StreamId) {
    out.length(id.ms);
    out.length(id.seq);
}

/// The blocks are being written, up to the [`SavePoint`]'s id.
const IN_BLOCKS: u64 = 1;
/// This, and its number, for a group that is being written: its own pending entries (part 0) or those of its consumer `part - 1`.
const IN_GROUPS: u64 = 2;

/// The ids above the one written last.
fn above(id: Option<StreamId>) -> (Bound<StreamId>, Bound<StreamId>) {
    (id.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

pub(super) fn save_some(
    stream: &Stream,
    from: SavePoint,
    budget_bytes: usize,
    out: &mut RdbWriter,
) -> Option<SavePoint> {
    let limit = out.buf.len().saturating_add(budget_bytes);
    if from.at == 0 {
        out.length(stream.blocks.len() as u64);
    }
    if from.at < IN_GROUPS {
        for (master, block) in stream.blocks.range(above(from.id)) {
            out.string(&master.to_bytes());
            out.string(block.listpack().as_bytes());
            if out.buf.len() >= limit {
                return Some(SavePoint { at: IN_BLOCKS, part: 0, id: Some(*master) });
            }
        }
        out.length(stream.len);
        put_id(out, stream.last_id);
        put_id(out, stream.first_id);
        put_id(out, stream.max_deleted_id);
        out.length(stream.entries_added);
        out.length(stream.groups.len() as u64);
    }
    let first = usize::try_from(from.at.saturating_sub(IN_GROUPS)).unwrap_or(usize::MAX);
    for (at, (name, group)) in (IN_GROUPS..).zip(&stream.groups).skip(first) {
        let from = if from.at == at { from } else { SavePoint::at(at) };
        let next = save_group(name, group, from, limit, out);
        if next.is_some() {
            return next;
        }
        if out.buf.len() >= limit {
            return Some(SavePoint::at(at + 1));
        }
    }
    None
}

fn save_group(
    name: &[u8],
    group: &Group,
    from: SavePoint,
    limit: usize,
    out: &mut RdbWriter,
) -> Option<SavePoint> {
    let consumers = group.consumers();
    if from.part == 0 {
        if from.id.is_none() {
            out.string(name);
            put_id(out, group.last_id);
            out.length(group.entries_read.unwrap_or(ENTRIES_READ_UNKNOWN));
            out.length(group.pending().len() as u64);
        }
        for (id, pending) in group.pending().range(above(from.id)) {
            out.raw(&id.to_bytes());
            out.ms_time(pending.delivered_at_ms);
            out.length(pending.deliveries);
            if out.buf.len() >= limit {
                return Some(SavePoint { id: Some(*id), ..from });
            }
        }
        out.length(consumers.len() as u64);
    }
    let first = usize::try_from(from.part.saturating_sub(1)).unwrap_or(usize::MAX);
    for (part, consumer) in (1..).zip(consumers).skip(first) {
        let from = SavePoint { part, id: from.id.filter(|_| from.part == part), ..from };
        if from.id.is_none() {
            out.string(&consumer.name);
            out.ms_time(consumer.seen_at_ms);
            out.length(consumer.pending().len() as u64);
        }
        for id in consumer.pending().range(above(from.id)) {
            out.raw(&id.to_bytes());
            if out.buf.len() >= limit {
                return Some(SavePoint { id: Some(*id), ..from });
            }
        }
        if out.buf.len() >= limit {
            return Some(SavePoint { part: part + 1, id: None, ..from });
        }
    }
    None
}

impl Stream {
    /// Reads a stream's body of the given RDB type.
    pub fn load(input: &mut RdbReader<'_>, rdb_type: u8) -> Result<Stream, LoadError> {
        let version = match rdb_type {
            RDB_TYPE_STREAM_LISTPACKS => 1,
            RDB_TYPE_STREAM_LISTPACKS_2 => 2,
            RDB_TYPE_STREAM_LISTPACKS_3 => 3,
            other => return Err(input.fault(LoadFault::UnknownType(other))),
        };
        let mut stream = Stream::new();
        let blocks = input.count()?;
        for _ in 0..blocks {
            load_block(&mut stream, input)?;
        }
        let live: u64 = stream.blocks.values().map(Block::live).sum();
        stream.len = input.length()?;
        stream.last_id = load_id(input)?;
        let last = stream.blocks.last_key_value().map(|(master, block)| block.last_id(*master));
        if stream.len != live || last.is_some_and(|last| last > stream.last_id) {
            return Err(input.corrupt("stream length or last id"));
        }
        // Redis keeps blocks of which every entry is deleted; none of ours is empty.
        stream.blocks.retain(|_, block| block.live() > 0);
        if version >= 2 {
            stream.first_id = load_id(input)?;
            stream.max_deleted_id = load_id(input)?;
            stream.entries_added = input.length()?;
        } else {
            stream.find_first();
            stream.entries_added = stream.len;
        }
        let groups = input.count()?;
        for _ in 0..groups {
            let name = input.string()?;
            let group = load_group(&stream, input, version)?;
            if !stream.add_group(&name, group) {
                return Err(input.corrupt("stream: a group twice"));
            }
        }
        Ok(stream)
    }
}

fn load_block(stream: &mut Stream, input: &mut RdbReader<'_>) -> Result<(), LoadError> {
    let key = input.string()?;
    let key = <[u8; 16]>::try_from(&*key).map_err(|_| input.corrupt("stream block key"))?;
    let master = StreamId::from_bytes(key);
    let last = stream.blocks.last_key_value().map(|(master, block)| block.last_id(*master));
    if last.is_some_and(|last| last >= master) {
        return Err(input.corrupt("stream block order"));
    }
    let bytes = input.string()?.into_owned();
    let list = Listpack::from_bytes(bytes).map_err(|_| input.corrupt("stream listpack"))?;
    let block = Block::from_listpack(list, master).ok_or_else(|| input.corrupt("stream block"))?;
    stream.blocks.insert(master, block);
    Ok(())
}

fn load_id(input: &mut RdbReader<'_>) -> Result<StreamId, LoadError> {
    Ok(StreamId::new(input.length()?, input.length()?))
}

fn load_group(stream: &Stream, input: &mut RdbReader<'_>, version: u8) -> Result<Group, LoadError> {
    let last_id = load_id(input)?;
    let entries_read = if version >= 2 {
        Some(input.length()?).filter(|n| *n != ENTRIES_READ_UNKNOWN)
    } else {
        stream.entries_up_to(last_id)
    };
    let mut group = Group::new(last_id, entries_read);
    let pending_len = input.count()?;
    let mut pending = std::collections::BTreeMap::new();
    for _ in 0..pending_len {
        let id = StreamId::from_bytes(input.array()?);
        let delivered_at_ms = input.ms_time()?;
        let deliveries = input.length()?;
        let entry = Pending { consumer: NO_CONSUMER, delivered_at_ms, deliveries };
        if pending.insert(id, entry).is_some() {
            return Err(input.corrupt("stream: an entry pending twice"));
        }
    }
    let consumers = input.count()?;
    for _ in 0..consumers {
        let name = input.string()?;
        let seen_at_ms = input.ms_time()?;
        let active_at_ms = if version >= 3 { input.ms_time()? } else { -1 };
        let (number, new) = group.find_or_add(&name, seen_at_ms);
        if !new {
            return Err(input.corrupt("stream: a consumer twice"));
        }
        if let Some(consumer) = group.consumer_mut(number) {
            consumer.active_at_ms = active_at_ms;
        }
        let own = input.count()?;
        for _ in 0..own {
            let id = StreamId::from_bytes(input.array()?);
            let Some(entry) = pending.remove(&id) else {
                return Err(input.corrupt("stream: a consumer's entry that is not pending"));
            };
            group.set_pending(id, Pending { consumer: number, ..entry });
        }
    }
    if pending.is_empty() { Ok(group) } else { Err(input.corrupt("stream: pending for nobody")) }
}
