//! How a client would say what a command did, where the log's records say it otherwise.
//!
//! Redis's replicas get nearly every command as its client sent it; what depends on clock or chance is rewritten. The records
//! are right for every replica, too. This table is for the form, so that whoever reads the stream finds what Redis sends.

use ringstone_engine::effect::{RawRecord, Records};
use ringstone_engine::{ArgBuf, Args};

use crate::table::{Entry, Table};

/// Commands that are sent as they came.
const AS_THEY_CAME: &[&str] = &[
    "append",
    "bitop",
    "decr",
    "decrby",
    "del",
    "flushall",
    "flushdb",
    "georadius",
    "georadiusbymember",
    "geosearchstore",
    "hmset",
    "hsetnx",
    "incr",
    "incrby",
    "lmove",
    "lpop",
    "lpushx",
    "mset",
    "msetnx",
    "pfadd",
    "pfcount",
    "pfmerge",
    "renamenx",
    "rpop",
    "rpoplpush",
    "rpushx",
    "sdiffstore",
    "setnx",
    "sinterstore",
    "smove",
    "sort",
    "sunionstore",
    "unlink",
    "xgroup|create",
    "zadd",
    "zincrby",
    "zpopmax",
    "zpopmin",
];

/// True for a command that is sent although it changed nothing.
pub(super) fn are_told_anyway(entry: &Entry) -> bool {
    matches!(entry.spec.name, "flushall" | "flushdb")
}

/// The commands that tell what a command did whose records these are; none: the records are best.
pub(super) fn of(entry: &Entry, args: Args<'_>, records: &[u8]) -> Vec<ArgBuf> {
    let name = entry.spec.name;
    if AS_THEY_CAME.binary_search(&name).is_ok() {
        return vec![ArgBuf::from(args)];
    }
    match name {
        "set" => set(args),
        "blmove" => vec![with_name("LMOVE", args, args.len() - 1)],
        "brpoplpush" => vec![with_name("RPOPLPUSH", args, args.len() - 1)],
        "lmpop" | "blmpop" => counted_pop(records),
        "bzpopmin" => zpop("ZPOPMIN", records, false),
        "bzpopmax" => zpop("ZPOPMAX", records, false),
        "zmpop" | "bzmpop" => {
            let min = args.iter_from(2).any(|word| word.eq_ignore_ascii_case(b"MIN"));
            zpop(if min { "ZPOPMIN" } else { "ZPOPMAX" }, records, true)
        }
        "xreadgroup" => claims(records),
        "restore" => restore(args, records),
        _ => Vec::new(),
    }
}

/// A SET without a time; GET, which only replies, is left out.
fn set(args: Args<'_>) -> Vec<ArgBuf> {
    let known = |word: &[u8]| {
        [&b"NX"[..], b"XX", b"KEEPTTL", b"GET"].iter().any(|known| word.eq_ignore_ascii_case(known))
    };
    if !args.iter_from(3).all(known) {
        return Vec::new();
    }
    let words = args.iter_from(0).enumerate();
    let kept = words.filter(|(at, word)| *at < 3 || !word.eq_ignore_ascii_case(b"GET"));
    vec![ArgBuf::from_parts(kept.map(|(_, word)| word))]
}

/// A RESTORE as it came, but with the time at which the key expires.
fn restore(args: Args<'_>, records: &[u8]) -> Vec<ArgBuf> {
    let Some(record) = last_record(records) else { return Vec::new() };
    let [_, at_ms, payload, ..] = *args_of(&record) else { return Vec::new() };
    if payload != args.at(3) {
        return Vec::new();
    }
    let words = args.iter_from(0).enumerate();
    let mut words = ArgBuf::from_parts(words.map(|(at, word)| if at == 2 { at_ms } else { word }));
    let says_so = args.iter_from(4).any(|word| word.eq_ignore_ascii_case(b"ABSTTL"));
    if at_ms != b"0" && !says_so {
        words.push(b"ABSTTL");
    }
    vec![words]
}

/// The arguments up to `to` behind another name.
fn with_name(name: &str, args: Args<'_>, to: usize) -> ArgBuf {
    let rest = args.iter_from(1).take(to.saturating_sub(1));
    ArgBuf::from_parts(std::iter::once(name.as_bytes()).chain(rest))
}

fn last_record(records: &[u8]) -> Option<RawRecord<'_>> {
    let mut all = Records::new(records);
    let mut last = None;
    while let Some(Ok(record)) = all.next_raw() {
        last = Some(record);
    }
    last
}

fn args_of<'a>(record: &RawRecord<'a>) -> Vec<&'a [u8]> {
    let mut args = Vec::new();
    record.each_arg(|arg| args.push(arg));
    args
}

/// A pop from a list, with its count.
fn counted_pop(records: &[u8]) -> Vec<ArgBuf> {
    let Some(record) = last_record(records) else { return Vec::new() };
    let Some(command) = Table::get().by_opcode(record.opcode) else {
        return Vec::new();
    };
    let name = command.spec.name.to_ascii_uppercase();
    match *args_of(&record) {
        [key] => vec![ArgBuf::from_parts([name.as_bytes(), key, b"1"])],
        [key, count] => vec![ArgBuf::from_parts([name.as_bytes(), key, count])],
        _ => Vec::new(),
    }
}

/// A pop from a sorted set whose record names the members.
fn zpop(name: &str, records: &[u8], counted: bool) -> Vec<ArgBuf> {
    let is_removal = |record: &RawRecord<'_>| {
        Table::get().by_opcode(record.opcode).is_some_and(|command| command.spec.name == "zrem")
    };
    let Some(record) = last_record(records).filter(is_removal) else { return Vec::new() };
    let Some(key) = record.first_arg() else { return Vec::new() };
    let mut words = ArgBuf::from_parts([name.as_bytes(), key]);
    if counted {
        words.push((record.argc() - 1).to_string().as_bytes());
    }
    vec![words]
}

/// What a consumer was given: a claim for each entry, which says the group's last one, too.
fn claims(records: &[u8]) -> Vec<ArgBuf> {
    let mut all = Records::new(records);
    let mut claims: Vec<Vec<&[u8]>> = Vec::new();
    let mut last: Vec<(&[u8], &[u8], &[u8])> = Vec::new();
    while let Some(Ok(record)) = all.next_raw() {
        let args = args_of(&record);
        let name = Table::get().by_opcode(record.opcode).map(|c| c.spec.name);
        match name {
            Some("xclaim") => claims.push(args),
            Some("xgroup|setid") => {
                if let [_, key, group, id, ..] = *args {
                    last.push((key, group, id));
                }
            }
            // Made by the claim.
            Some("xgroup|createconsumer") => {}
            _ => return Vec::new(),
        }
    }
    let is_claimed = |key: &[u8], group: &[u8]| {
        claims.iter().any(|claim| claim.first() == Some(&key) && claim.get(1) == Some(&group))
    };
    if claims.is_empty() || !last.iter().all(|(key, group, _)| is_claimed(key, group)) {
        return Vec::new();
    }
    let mut out = Vec::new();
    for claim in &claims {
        // key group consumer 0 id... TIME ms RETRYCOUNT n FORCE JUSTID
        let (Some(head), Some(ids_to)) = (claim.get(..4), claim.len().checked_sub(6)) else {
            return Vec::new();
        };
        let (ids, options) = (claim.get(4..ids_to), claim.get(ids_to..));
        let (key, group) = (head.first(), head.get(1));
        let last = last.iter().find(|(k, g, _)| Some(k) == key && Some(g) == group);
        for id in ids.unwrap_or_default() {
            let name = std::iter::once(&b"XCLAIM"[..]);
            let words = name.chain(head.iter().copied()).chain([*id]);
            let mut words =
                ArgBuf::from_parts(words.chain(options.unwrap_or_default().iter().copied()));
            if let Some((_, _, last)) = last {
                words.push(b"LASTID");
                words.push(last);
            }
            out.push(words);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_is_sorted_and_names_commands() {
        assert!(super::AS_THEY_CAME.is_sorted());
        for name in super::AS_THEY_CAME {
            assert!(crate::table::Table::get().find_full(name.as_bytes()).is_some(), "{name}");
        }
    }
}
