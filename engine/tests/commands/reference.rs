//! Every row equals what `COMMAND` of a real Redis 7.0.15 says about that command. This is the table's acceptance test; what
//! `COMMAND DOCS` says is compared where it is written, in the server.

use std::collections::{BTreeMap, BTreeSet};

use ringstone_engine::cmd::{Begin, Find, KeyFlags, KeySpec, Spec};
use serde_json::{Value, json};

use crate::harness::rows;

const REFERENCE: &str = include_str!("../fixtures/redis-7.0.15-command-info.json");

/// Rows that Redis 7.0.15 does not have.
const NEWER: &[&str] = &[
    "delifeq",
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
    "msetex",
    "xackdel",
    "xdelex",
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
