//! What stream commands share: ids, lookups and entries as replies.

use crate::error::Error;
use crate::num::parse_i64;
use crate::reply::Reply;
use crate::types::stream::{Entry, StreamId};

/// An integer argument.
pub(super) fn integer(text: &[u8]) -> Result<i64, Error> {
    parse_i64(text).ok_or(Error::NotInteger)
}

const INVALID_ID: Error = Error::text("ERR Invalid stream ID specified as stream command argument");

/// An id with a number in every place; a missing sequence is 0.
pub(super) fn strict_id(text: &[u8]) -> Result<StreamId, Error> {
    StreamId::parse(text, 0).ok_or(INVALID_ID)
}

/// An id, or `-` and `+` for the smallest and the largest.
pub(super) fn id(text: &[u8], missing_seq: u64) -> Result<StreamId, Error> {
    match text {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        _ => StreamId::parse(text, missing_seq).ok_or(INVALID_ID),
    }
}

/// The lower end of an interval; `(` before an id leaves it out.
pub(super) fn interval_start(text: &[u8]) -> Result<StreamId, Error> {
    match text.split_first() {
        Some((b'(', rest)) if !rest.is_empty() => {
            strict_id(rest)?.next().ok_or(Error::text("ERR invalid start ID for the interval"))
        }
        _ => id(text, 0),
    }
}

/// The upper end of an interval; `(` before an id leaves it out.
pub(super) fn interval_end(text: &[u8]) -> Result<StreamId, Error> {
    match text.split_first() {
        Some((b'(', rest)) if !rest.is_empty() => StreamId::parse(rest, u64::MAX)
            .ok_or(INVALID_ID)?
            .prev()
            .ok_or(Error::text("ERR invalid end ID for the interval")),
        _ => id(text, u64::MAX),
    }
}

/// Writes an id.
pub(super) fn reply_id(out: &mut dyn Reply, id: StreamId) {
    out.bulk(id.to_string().as_bytes());
}

/// Writes an entry: its id, and fields and values in turn.
pub(super) fn reply_entry(out: &mut dyn Reply, entry: &Entry<'_>) {
    out.array(2);
    reply_id(out, entry.id);
    out.array(entry.len() * 2);
    let mut scratch = itoa::Buffer::new();
    for (field, value) in entry.fields() {
        out.bulk(field.bytes(&mut scratch));
        out.bulk(value.bytes(&mut scratch));
    }
}

/// Writes entries as an array.
pub(super) fn reply_entries(out: &mut dyn Reply, entries: &[Entry<'_>]) {
    out.array(entries.len());
    entries.iter().for_each(|entry| reply_entry(out, entry));
}

/// How many at most: none or 0 means all.
pub(super) fn limit(count: i64) -> usize {
    usize::try_from(count).ok().filter(|n| *n > 0).unwrap_or(usize::MAX)
}

/// A name within an error text.
pub(super) fn text(name: &[u8]) -> String {
    crate::error::word(name)
}

/// The group is not there (or its key is not).
pub(super) fn no_group(key: &[u8], group: &[u8]) -> Error {
    Error::owned(format!("NOGROUP No such key '{}' or consumer group '{}'", text(key), text(group)))
}

/// The group is not there, the key is.
pub(super) fn no_group_at(key: &[u8], group: &[u8]) -> Error {
    Error::owned(format!(
        "NOGROUP No such consumer group '{}' for key name '{}'",
        text(group),
        text(key)
    ))
}
