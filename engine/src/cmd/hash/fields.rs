//! What commands about fields that expire share.

use super::{OPCODE_HDEL, OPCODE_HPEXPIREAT};
use crate::args::Args;
use crate::cmd::{Arg, ArgKind};
use crate::error::Error;
use crate::keyspace::{Classes, Db};
use crate::num::parse_i64;
use crate::types::Hash;

/// `FIELDS numfields field [field ...]`
pub(super) const FIELDS: Arg = Arg::block(
    "fields",
    &[Arg::new("numfields", ArgKind::Integer), Arg::new("field", ArgKind::String).multiple()],
)
.token("FIELDS");

/// A count that is no positive number, as HTTL and most others say it.
pub(super) const NO_COUNT: &str = "ERR Number of fields must be a positive integer";

/// Reads `FIELDS count` at argument `at`, after which `words` arguments a field follow to the end; where those begin.
pub(super) fn parse(
    args: Args<'_>,
    at: usize,
    words: usize,
    no_count: &'static str,
) -> Result<usize, Error> {
    if !args.is(at, "FIELDS") {
        return Err(Error::text(
            "ERR Mandatory argument FIELDS is missing or not at the right position",
        ));
    }
    let count = parse_i64(args.at(at + 1)).and_then(|count| usize::try_from(count).ok());
    let count = count.filter(|count| *count > 0).ok_or(Error::text(no_count))?;
    let first = at + 2;
    if count.checked_mul(words) != Some(args.len().saturating_sub(first)) {
        return Err(Error::text(
            "ERR The `numfields` parameter must match the number of arguments",
        ));
    }
    Ok(first)
}

/// Removes fields that are there, and the key with the last one, and records it.
pub(super) fn delete(db: &mut Db<'_>, key: &[u8], fields: &[&[u8]]) {
    let Ok(Some(hash)) = db.get_mut_as::<Hash>(key) else { return };
    let removed: Vec<&[u8]> = fields.iter().copied().filter(|field| hash.remove(field)).collect();
    if removed.is_empty() {
        return;
    }
    db.notify(Classes::HASH, "hdel", key);
    let effect: Vec<&[u8]> = std::iter::once(key).chain(removed).collect();
    db.effect(OPCODE_HDEL, &effect);
    if db.remove_if_empty::<Hash>(key) {
        db.notify(Classes::GENERIC, "del", key);
    }
}

/// Lets fields that are there expire, and records it. A time that has passed removes them.
pub(super) fn expire_at(db: &mut Db<'_>, key: &[u8], fields: &[&[u8]], at_ms: i64) {
    if fields.is_empty() {
        return;
    }
    if crate::cmd::generic::is_past(db, at_ms) {
        return delete(db, key, fields);
    }
    db.set_field_times(key, fields, Some(at_ms));
    record_times(db, key, fields, at_ms);
    db.notify(Classes::HASH, "hexpire", key);
}

/// Records again when a field expires that was set, where it does: setting it alone would take its time.
pub(super) fn record_time(db: &mut Db<'_>, key: &[u8], field: &[u8]) {
    let time = db.get_mut_as::<Hash>(key).ok().flatten().and_then(|hash| hash.time_of(field));
    if let Some(at_ms) = time {
        record_times(db, key, &[field], at_ms);
    }
}

fn record_times(db: &mut Db<'_>, key: &[u8], fields: &[&[u8]], at_ms: i64) {
    let (mut at_text, mut count_text) = (itoa::Buffer::new(), itoa::Buffer::new());
    let count = count_text.format(fields.len()).as_bytes();
    let head = [key, at_text.format(at_ms).as_bytes(), b"FIELDS", count];
    let effect: Vec<&[u8]> = head.into_iter().chain(fields.iter().copied()).collect();
    db.effect(OPCODE_HPEXPIREAT, &effect);
}
