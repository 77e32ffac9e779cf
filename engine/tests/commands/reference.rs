//! Every row equals what `COMMAND` and `COMMAND DOCS` of a real Redis 7.0.15 say about that command. This is the table's acceptance test.

use std::collections::{BTreeMap, BTreeSet};

use ringstone_engine::cmd::{Arg, ArgKind, Begin, Find, KeyFlags, KeySpec, Spec};
use serde_json::{Value, json};

use crate::harness::rows;

const REFERENCE: &str = include_str!("../fixtures/redis-7.0.15-command-info.json");
const DOCS: &str = include_str!("../fixtures/redis-7.0.15-command-docs.json");

/// Rows that Redis 7.0.15 does not have.
const NEWER: &[&str] = &[
    "hexpire",
    "hexpireat",
    "hexpiretime",
    "hgetdel",
    "hgetex",
    "hpersist",
    "hpexpire",
    "hpexpireat",
    "hpexpiretime",
    "hpttl",
    "hsetex",
    "httl",
];

fn reference() -> BTreeMap<String, Value> {
    let commands: Vec<Value> = serde_json::from_str(REFERENCE).expect("valid JSON");
    let mut all = BTreeMap::new();
    for command in commands {
        let subs = command["subcommands"].as_array().cloned().unwrap_or_default();
        for row in std::iter::once(command).chain(subs) {
            all.insert(row["name"].as_str().expect("a name").to_owned(), row);
        }
    }
    all
}

#[test]
fn rows_equal_those_of_redis() {
    let reference = reference();
    let mut wrong = Vec::new();
    for row in rows() {
        let Some(theirs) = reference.get(row.spec.name) else {
            if !NEWER.contains(&row.spec.name) {
                wrong.push(format!("{}: unknown to Redis 7.0.15", row.spec.name));
            }
            continue;
        };
        for (field, ours) in describe(&row.spec) {
            let theirs = normal(field, &theirs[field]);
            if ours != theirs {
                wrong
                    .push(format!("{} {field}\n  ours   {ours}\n  theirs {theirs}", row.spec.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// Since, group, complexity and arguments; summaries are our own.
#[test]
fn docs_equal_those_of_redis() {
    let docs: Vec<Value> = serde_json::from_str(DOCS).expect("valid JSON");
    let mut wrong = Vec::new();
    for row in rows() {
        let spec = &row.spec;
        let Some(theirs) = docs.iter().find(|docs| docs["name"] == spec.name) else { continue };
        let ours = [
            ("since", json!(spec.since)),
            ("group", json!(spec.group.name())),
            ("complexity", json!(spec.complexity)),
            ("arguments", arguments(spec.args)),
        ];
        for (field, ours) in ours {
            if ours != theirs[field] {
                wrong.push(format!(
                    "{} {field}\n  ours   {ours}\n  theirs {}",
                    spec.name, theirs[field]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// Arguments as the fixture has them; null when there are none.
fn arguments(args: &[Arg]) -> Value {
    if args.is_empty() { Value::Null } else { args.iter().map(argument).collect() }
}

fn argument(arg: &Arg) -> Value {
    let kind = match arg.kind {
        ArgKind::Key => "key",
        ArgKind::String => "string",
        ArgKind::Integer => "integer",
        ArgKind::Double => "double",
        ArgKind::Pattern => "pattern",
        ArgKind::UnixTime => "unix-time",
        ArgKind::PureToken => "pure-token",
        ArgKind::OneOf => "oneof",
        ArgKind::Block => "block",
    };
    let mut out = json!({ "name": arg.name, "type": kind });
    if let Some(token) = arg.token {
        out["token"] = json!(token);
    }
    let flags = [
        (arg.multiple, "multiple"),
        (arg.multiple_token, "multiple_token"),
        (arg.optional, "optional"),
    ];
    let flags: Vec<_> = flags.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
    if !flags.is_empty() {
        out["flags"] = json!(flags);
    }
    if !arg.args.is_empty() {
        out["arguments"] = arguments(arg.args);
    }
    out
}

fn describe(spec: &Spec) -> Vec<(&'static str, Value)> {
    let (first, last, step) = spec.legacy_keys();
    vec![
        ("arity", json!(spec.arity)),
        ("flags", sorted(spec.flags.names())),
        ("first_key", json!(first)),
        ("last_key", json!(last)),
        ("step", json!(step)),
        ("acl", sorted(spec.acl_categories())),
        ("tips", sorted(spec.tips.iter().copied())),
        ("key_specs", Value::Array(spec.keys.iter().map(key_spec).collect())),
    ]
}

fn key_spec(key: &KeySpec) -> Value {
    let mut out = json!({
        "flags": sorted(key.flags.iter_names().map(|(name, _)| wire_name(name))),
        "begin_search": match key.begin {
            Begin::Index(index) => json!({"type": "index", "spec": {"index": index}}),
            Begin::Keyword(word, from) => {
                json!({"type": "keyword", "spec": {"keyword": word, "startfrom": from}})
            }
            Begin::Unknown => json!({"type": "unknown", "spec": {}}),
        },
        "find_keys": match key.find {
            Find::Range(last, step, limit) => json!({
                "type": "range",
                "spec": {"lastkey": last, "keystep": step, "limit": limit},
            }),
            Find::KeyNum(at, first, step) => json!({
                "type": "keynum",
                "spec": {"keynumidx": at, "firstkey": first, "keystep": step},
            }),
            Find::Unknown => json!({"type": "unknown", "spec": {}}),
        },
    });
    if let Some(notes) = key.notes {
        out["notes"] = json!(notes);
    }
    out
}

/// RW, RO, OW and RM are in capitals on the wire, the others are not.
fn wire_name(name: &str) -> String {
    let capital = [KeyFlags::RW, KeyFlags::RO, KeyFlags::OW, KeyFlags::RM];
    let capital = capital.iter().flat_map(KeyFlags::iter_names).any(|(capital, _)| capital == name);
    if capital { name.to_owned() } else { name.to_ascii_lowercase() }
}

/// The reference, with lists whose order means nothing sorted.
fn normal(field: &str, value: &Value) -> Value {
    let strings = |value: &Value| {
        let items = value.as_array().expect("a list");
        sorted(items.iter().map(|item| item.as_str().expect("a string").to_owned()))
    };
    match field {
        "flags" | "acl" | "tips" => strings(value),
        "key_specs" => {
            let mut specs = value.clone();
            for spec in specs.as_array_mut().expect("a list") {
                spec["flags"] = strings(&spec["flags"]);
            }
            specs
        }
        _ => value.clone(),
    }
}

fn sorted(items: impl IntoIterator<Item = impl Into<String>>) -> Value {
    let items: BTreeSet<String> = items.into_iter().map(Into::into).collect();
    json!(items)
}
