//! A row as COMMAND INFO has it.

use ringstone_engine::Reply;
use ringstone_engine::cmd::{Begin, Find, KeyFlags, KeySpec};

use crate::table::Entry;

/// Writes one command.
pub(super) fn write(entry: &Entry, reply: &mut dyn Reply) {
    let spec = entry.spec;
    let (first, last, step) = spec.legacy_keys();
    reply.array(10);
    reply.bulk(spec.name.as_bytes());
    reply.int(i64::from(spec.arity));
    words(spec.flags.names().collect(), reply);
    reply.int(first);
    reply.int(last);
    reply.int(step);
    words(spec.acl_categories(), reply);
    reply.set(spec.tips.len());
    spec.tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    reply.set(spec.keys.len());
    spec.keys.iter().for_each(|key| write_key(key, reply));
    reply.set(entry.subs.len());
    entry.subs.iter().for_each(|(_, sub)| write(sub, reply));
}

fn words(words: Vec<&str>, reply: &mut dyn Reply) {
    reply.set(words.len());
    words.into_iter().for_each(|word| reply.simple(word));
}

/// Redis's names of a key's flags.
pub(super) fn key_flag_names(flags: KeyFlags) -> impl Iterator<Item = &'static str> {
    const NAMES: &[(KeyFlags, &str)] = &[
        (KeyFlags::RO, "RO"),
        (KeyFlags::RW, "RW"),
        (KeyFlags::OW, "OW"),
        (KeyFlags::RM, "RM"),
        (KeyFlags::ACCESS, "access"),
        (KeyFlags::UPDATE, "update"),
        (KeyFlags::INSERT, "insert"),
        (KeyFlags::DELETE, "delete"),
        (KeyFlags::NOT_KEY, "not_key"),
        (KeyFlags::INCOMPLETE, "incomplete"),
        (KeyFlags::VARIABLE_FLAGS, "variable_flags"),
    ];
    NAMES.iter().filter(move |(flag, _)| flags.contains(*flag)).map(|(_, name)| *name)
}

fn write_key(key: &KeySpec, reply: &mut dyn Reply) {
    reply.map(if key.notes.is_some() { 4 } else { 3 });
    if let Some(notes) = key.notes {
        reply.bulk(b"notes");
        reply.bulk(notes.as_bytes());
    }
    reply.bulk(b"flags");
    words(key_flag_names(key.flags).collect(), reply);
    reply.bulk(b"begin_search");
    match key.begin {
        Begin::Index(index) => numbers("index", &[("index", index)], reply),
        Begin::Keyword(word, from) => {
            head("keyword", 2, reply);
            reply.bulk(b"keyword");
            reply.bulk(word.as_bytes());
            reply.bulk(b"startfrom");
            reply.int(i64::from(from));
        }
        Begin::Unknown => head("unknown", 0, reply),
    }
    reply.bulk(b"find_keys");
    match key.find {
        Find::Range(last, step, limit) => {
            numbers("range", &[("lastkey", last), ("keystep", step), ("limit", limit)], reply)
        }
        Find::KeyNum(count, first, step) => numbers(
            "keynum",
            &[("keynumidx", count), ("firstkey", first), ("keystep", step)],
            reply,
        ),
        Find::Unknown => head("unknown", 0, reply),
    }
}

fn head(kind: &str, fields: usize, reply: &mut dyn Reply) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(fields);
}

fn numbers(kind: &str, fields: &[(&str, i16)], reply: &mut dyn Reply) {
    head(kind, fields.len(), reply);
    for (name, value) in fields {
        reply.bulk(name.as_bytes());
        reply.int(i64::from(*value));
    }
}
