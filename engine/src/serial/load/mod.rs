//! Builds values from RDB bytes: every type that a Redis or Valkey has written.
//!
//! Invariant: whatever the bytes, the result is a well-formed value or an error, and what is allocated stays in
//! proportion to the bytes given.

mod field_ttl;
#[cfg(test)]
mod tests;

use super::legacy;
use super::rdb_type::*;
use super::{LoadError, LoadFault, RdbReader};
use crate::types::intset::IntSet;
use crate::types::list::Side;
use crate::types::listpack::{Item, Listpack};
use crate::types::zset::Inserted;
use crate::types::{EncodingLimits, Hash, List, Object, Set, Stream, Value, ZSet};

/// Reads a value of type `rdb_type`.
pub fn load_value(
    rdb_type: u8,
    reader: &mut RdbReader<'_>,
    limits: &EncodingLimits,
) -> Result<Value, LoadError> {
    match rdb_type {
        RDB_TYPE_STRING => reader.string_value(),
        RDB_TYPE_LIST => list(reader, limits),
        RDB_TYPE_LIST_ZIPLIST => list_of_ziplists(reader, 1, limits),
        RDB_TYPE_LIST_QUICKLIST => {
            let nodes = reader.count()?;
            list_of_ziplists(reader, nodes, limits)
        }
        RDB_TYPE_LIST_QUICKLIST_2 => quicklist(reader, limits),
        RDB_TYPE_SET => set(reader, limits),
        RDB_TYPE_SET_INTSET => intset(reader, limits),
        RDB_TYPE_SET_LISTPACK => set_of_listpack(reader, limits),
        RDB_TYPE_ZSET => zset(reader, limits, RdbReader::text_double),
        RDB_TYPE_ZSET_2 => zset(reader, limits, RdbReader::double),
        RDB_TYPE_ZSET_ZIPLIST => zset_of_ziplist(reader, limits),
        RDB_TYPE_ZSET_LISTPACK => {
            let packed = listpack(reader)?;
            let set = ZSet::from_listpack(packed, limits);
            finish(reader, set.map_err(|_| reader.corrupt("sorted set"))?)
        }
        RDB_TYPE_HASH => hash(reader, limits),
        RDB_TYPE_HASH_ZIPMAP => hash_of_zipmap(reader, limits),
        RDB_TYPE_HASH_ZIPLIST => hash_of_ziplist(reader, limits),
        RDB_TYPE_HASH_LISTPACK => {
            let packed = listpack(reader)?;
            let hash = Hash::from_listpack(packed, limits);
            finish(reader, hash.map_err(|_| reader.corrupt("hash"))?)
        }
        RDB_TYPE_HASH_METADATA_PRE_GA
        | RDB_TYPE_HASH_LISTPACK_EX_PRE_GA
        | RDB_TYPE_HASH_METADATA
        | RDB_TYPE_HASH_LISTPACK_EX
        | RDB_TYPE_VALKEY_HASH_2 => field_ttl::load(rdb_type, reader, limits),
        RDB_TYPE_STREAM_LISTPACKS | RDB_TYPE_STREAM_LISTPACKS_2 | RDB_TYPE_STREAM_LISTPACKS_3 => {
            Stream::load(reader, rdb_type).map(Object::into_value)
        }
        RDB_TYPE_MODULE_PRE_GA | RDB_TYPE_MODULE_2 => Err(reader.fault(LoadFault::Unsupported {
            number: rdb_type,
            name: "MODULE",
            why: "modules' data types cannot be read without their module",
        })),
        _ => Err(reader.fault(LoadFault::UnknownType(rdb_type))),
    }
}

/// The collection as a value; without elements it is no value.
fn finish<T: Object>(reader: &RdbReader<'_>, object: T) -> Result<Value, LoadError> {
    if object.is_empty() {
        return Err(reader.fault(LoadFault::EmptyCollection));
    }
    Ok(object.into_value())
}

fn listpack(reader: &mut RdbReader<'_>) -> Result<Listpack, LoadError> {
    let bytes = reader.string()?.into_owned();
    Listpack::from_bytes(bytes).map_err(|_| reader.corrupt("listpack"))
}

/// Reads a ziplist and calls `each` with its elements.
fn ziplist(
    reader: &mut RdbReader<'_>,
    what: &'static str,
    each: impl FnOnce(&[Item<'_>]) -> Option<()>,
) -> Result<(), LoadError> {
    let bytes = reader.string()?;
    let items = legacy::ziplist(&bytes).map_err(|_| reader.corrupt("ziplist"))?;
    each(&items).ok_or_else(|| reader.corrupt(what))
}

fn list(reader: &mut RdbReader<'_>, limits: &EncodingLimits) -> Result<Value, LoadError> {
    let mut list = List::new(limits);
    for _ in 0..reader.count()? {
        list.push(Side::Right, &reader.string()?);
    }
    finish(reader, list)
}

fn list_of_ziplists(
    reader: &mut RdbReader<'_>,
    nodes: usize,
    limits: &EncodingLimits,
) -> Result<Value, LoadError> {
    let mut list = List::new(limits);
    let mut text = itoa::Buffer::new();
    for _ in 0..nodes {
        ziplist(reader, "list", |items| {
            items.iter().for_each(|item| list.push(Side::Right, item.bytes(&mut text)));
            Some(())
        })?;
    }
    finish(reader, list)
}

fn quicklist(reader: &mut RdbReader<'_>, limits: &EncodingLimits) -> Result<Value, LoadError> {
    let mut list = List::new(limits);
    for _ in 0..reader.count()? {
        match reader.length()? {
            QUICKLIST_NODE_PLAIN => list.push_plain(reader.string()?.into_owned()),
            QUICKLIST_NODE_PACKED => {
                // Nodes without elements are passed over, as in Redis.
                let _ = list.push_packed(listpack(reader)?);
            }
            _ => return Err(reader.corrupt("list node")),
        }
    }
    finish(reader, list)
}

fn set(reader: &mut RdbReader<'_>, limits: &EncodingLimits) -> Result<Value, LoadError> {
    let mut set = Set::new(limits);
    for _ in 0..reader.count()? {
        if !set.add(&reader.string()?, limits) {
            return Err(reader.corrupt("set: a member is there twice"));
        }
    }
    finish(reader, set)
}

fn intset(reader: &mut RdbReader<'_>, limits: &EncodingLimits) -> Result<Value, LoadError> {
    let bytes = reader.string()?.into_owned();
    let ints = IntSet::from_bytes(bytes).map_err(|_| reader.corrupt("intset"))?;
    finish(reader, Set::from_intset(ints, limits))
}

fn set_of_listpack(
    reader: &mut RdbReader<'_>,
    limits: &EncodingLimits,
) -> Result<Value, LoadError> {
    let packed = listpack(reader)?;
    let mut set = Set::new(limits);
    let mut text = itoa::Buffer::new();
    if !packed.iter().all(|item| set.add(item.bytes(&mut text), limits)) {
        return Err(reader.corrupt("set: a member is there twice"));
    }
    finish(reader, set)
}

fn zset<'a>(
    reader: &mut RdbReader<'a>,
    limits: &EncodingLimits,
    score: fn(&mut RdbReader<'a>) -> Result<f64, LoadError>,
) -> Result<Value, LoadError> {
    let mut set = ZSet::new();
    for _ in 0..reader.count()? {
        let member = reader.string()?;
        let score = score(reader)?;
        add_scored(&mut set, &member, score, limits).ok_or_else(|| reader.corrupt("sorted set"))?;
    }
    finish(reader, set)
}

fn zset_of_ziplist(
    reader: &mut RdbReader<'_>,
    limits: &EncodingLimits,
) -> Result<Value, LoadError> {
    let mut set = ZSet::new();
    ziplist(reader, "sorted set", |items| {
        let (pairs, odd) = items.as_chunks::<2>();
        let mut text = itoa::Buffer::new();
        for [member, score] in pairs {
            add_scored(&mut set, member.bytes(&mut text), score_of(*score)?, limits)?;
        }
        odd.is_empty().then_some(())
    })?;
    finish(reader, set)
}

/// Adds a member; `None` when it was there or its score is no number.
fn add_scored(set: &mut ZSet, member: &[u8], score: f64, limits: &EncodingLimits) -> Option<()> {
    let added = !score.is_nan() && matches!(set.insert(member, score, limits), Inserted::Added);
    added.then_some(())
}

/// A score as a ziplist has it.
fn score_of(item: Item<'_>) -> Option<f64> {
    match item {
        #[expect(clippy::cast_precision_loss, reason = "scores are doubles, as in Redis")]
        Item::Int(score) => Some(score as f64),
        Item::Str(text) => std::str::from_utf8(text).ok()?.trim().parse().ok(),
    }
}

fn hash(reader: &mut RdbReader<'_>, limits: &EncodingLimits) -> Result<Value, LoadError> {
    let mut hash = Hash::new(limits);
    for _ in 0..reader.count()? {
        let field = reader.string()?;
        let value = reader.string()?;
        set_field(&mut hash, &field, &value, limits).ok_or_else(|| twice(reader))?;
    }
    finish(reader, hash)
}

fn hash_of_zipmap(reader: &mut RdbReader<'_>, limits: &EncodingLimits) -> Result<Value, LoadError> {
    let bytes = reader.string()?;
    let pairs = legacy::zipmap(&bytes).map_err(|_| reader.corrupt("zipmap"))?;
    let mut hash = Hash::new(limits);
    for (field, value) in pairs {
        set_field(&mut hash, field, value, limits).ok_or_else(|| twice(reader))?;
    }
    finish(reader, hash)
}

fn hash_of_ziplist(
    reader: &mut RdbReader<'_>,
    limits: &EncodingLimits,
) -> Result<Value, LoadError> {
    let mut hash = Hash::new(limits);
    ziplist(reader, "hash", |items| {
        let (pairs, odd) = items.as_chunks::<2>();
        let (mut field_text, mut value_text) = (itoa::Buffer::new(), itoa::Buffer::new());
        for [field, value] in pairs {
            let (field, value) = (field.bytes(&mut field_text), value.bytes(&mut value_text));
            set_field(&mut hash, field, value, limits)?;
        }
        odd.is_empty().then_some(())
    })?;
    finish(reader, hash)
}

/// Adds a field; `None` when it was there.
fn set_field(hash: &mut Hash, field: &[u8], value: &[u8], limits: &EncodingLimits) -> Option<()> {
    hash.set(field, value, limits).then_some(())
}

fn twice(reader: &RdbReader<'_>) -> LoadError {
    reader.corrupt("hash: a field is there twice")
}
