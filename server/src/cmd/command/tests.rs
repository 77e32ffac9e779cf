//! COMMAND INFO and COMMAND DOCS, as the server answers them, equal those of redis-server 7.0.15 for all that both have.

use std::collections::BTreeMap;

use ringstone_engine::Tree;
use ringstone_engine::reply::TreeSink;
use serde_json::{Map, Value, json};

use super::*;

const INFO_OF_REDIS: &str =
    include_str!("../../../../engine/tests/fixtures/redis-7.0.15-command-info.json");
const DOCS_OF_REDIS: &str =
    include_str!("../../../../engine/tests/fixtures/redis-7.0.15-command-docs.json");

/// Commands that Redis 7.0.15 does not have.
const NEWER: &[&str] = &[
    "client|no-touch",
    "client|setinfo",
    "waitaof",
    "commandlog",
    "commandlog|get",
    "commandlog|len",
    "commandlog|reset",
    "commandlog|help",
    "script|show",
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

/// All commands and subcommands.
fn entries() -> Vec<&'static Entry> {
    let tops = Table::get().sorted();
    tops.into_iter()
        .flat_map(|top| std::iter::once(top).chain(top.subs.iter().map(|s| &s.1)))
        .collect()
}

fn reference(text: &str) -> BTreeMap<String, Value> {
    let commands: Vec<Value> = serde_json::from_str(text).unwrap();
    let mut all = BTreeMap::new();
    for command in commands {
        let subs = command["subcommands"].as_array().cloned().unwrap_or_default();
        for row in std::iter::once(command).chain(subs) {
            all.insert(row["name"].as_str().unwrap().to_owned(), row);
        }
    }
    all
}

/// A reply as JSON; sets sorted.
fn value(tree: &Tree) -> Value {
    match tree {
        Tree::Simple(text) => json!(text),
        Tree::Int(number) => json!(number),
        Tree::Bulk(bytes) => json!(String::from_utf8_lossy(bytes)),
        Tree::Array(items) => items.iter().map(value).collect(),
        Tree::Set(items) => {
            let mut items: Vec<Value> = items.iter().map(value).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Tree::Map(items) => {
            let pairs = items.as_chunks::<2>().0.iter();
            let text = |key: &Tree| value(key).as_str().unwrap().to_owned();
            Value::Object(pairs.map(|[key, item]| (text(key), value(item))).collect())
        }
        Tree::Error(_)
        | Tree::Null
        | Tree::NullArray
        | Tree::Push(_)
        | Tree::Double(_)
        | Tree::Bool(_)
        | Tree::Verbatim(..)
        | Tree::BigNumber(_) => panic!("{tree:?} in a reply of COMMAND"),
    }
}

fn replied(write: impl FnOnce(&mut TreeSink)) -> Value {
    let mut sink = TreeSink::new(true);
    write(&mut sink);
    value(&sink.into_reply())
}

/// The reference with lists that are sets on the wire sorted.
fn sorted(reference: &Value) -> Value {
    let mut items = reference.as_array().unwrap().clone();
    for item in &mut items {
        if let Some(flags) = item.get_mut("flags") {
            *flags = sorted(flags);
        }
    }
    items.sort_by_key(Value::to_string);
    Value::Array(items)
}

#[test]
fn info_equals_that_of_redis() {
    let reference = reference(INFO_OF_REDIS);
    let mut wrong = Vec::new();
    for entry in entries() {
        let name = entry.spec.name;
        let Some(theirs) = reference.get(name) else {
            if !NEWER.contains(&name) {
                wrong.push(format!("{name}: unknown to Redis 7.0.15"));
            }
            continue;
        };
        let ours = replied(|reply| rows::write(entry, reply));
        let fields =
            ["name", "arity", "flags", "first_key", "last_key", "step", "acl", "tips", "key_specs"];
        for (at, field) in fields.into_iter().enumerate() {
            let theirs = match field {
                "flags" | "acl" | "tips" | "key_specs" => sorted(&theirs[field]),
                _ => theirs[field].clone(),
            };
            if ours[at] != theirs {
                wrong.push(format!("{name} {field}\n  ours   {}\n  theirs {theirs}", ours[at]));
            }
        }
        let subs: Vec<&str> =
            ours[9].as_array().unwrap().iter().filter_map(|sub| sub[0].as_str()).collect();
        assert!(subs.iter().all(|sub| sub.starts_with(&format!("{name}|"))), "{subs:?}");
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// Arguments without those that came after the reference.
fn arguments(ours: &Value) -> Value {
    let is_told = |arg: &&Value| {
        let since = arg["since"].as_str().unwrap_or("1");
        since.split('.').next().unwrap().parse::<u32>().unwrap() <= 7
    };
    let argument = |arg: &Value| {
        let mut arg = arg.clone();
        if let Some(inner) = arg.get("arguments").cloned() {
            arg["arguments"] = arguments(&inner);
        }
        arg
    };
    ours.as_array().map_or(Value::Null, |args| args.iter().filter(is_told).map(argument).collect())
}

/// A history, which is a set on the wire, as [`value`] gives it.
fn sorted_if_any(history: &Value) -> Value {
    if history.is_null() { Value::Null } else { sorted(history) }
}

#[test]
fn docs_equal_those_of_redis_except_for_the_summaries() {
    let reference = reference(DOCS_OF_REDIS);
    let mut wrong = Vec::new();
    for entry in entries() {
        let name = entry.spec.name;
        let Some(theirs) = reference.get(name) else { continue };
        let docs = replied(|reply| {
            reply.map(1);
            docs::write(entry, reply);
        });
        let ours: &Map<String, Value> = docs[name].as_object().unwrap();
        assert!(ours["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{name}");
        let fields = [
            "since",
            "group",
            "complexity",
            "doc_flags",
            "deprecated_since",
            "replaced_by",
            "history",
            "arguments",
        ];
        for field in fields {
            let ours = ours.get(field).cloned().unwrap_or_default();
            let ours = if field == "arguments" { arguments(&ours) } else { ours };
            let is_untold = ours.is_null() && theirs[field] == "";
            let theirs = if field == "history" {
                sorted_if_any(&theirs[field])
            } else {
                theirs[field].clone()
            };
            if ours != theirs && !is_untold {
                wrong.push(format!("{name} {field}\n  ours   {ours}\n  theirs {theirs}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn arguments_name_the_key_specification_that_they_belong_to() {
    let indices = |name: &str| {
        let docs = replied(|reply| {
            reply.map(1);
            docs::write(Table::get().find(name.as_bytes()).unwrap(), reply);
        });
        let args = docs[name]["arguments"].as_array().unwrap().clone();
        let named =
            |arg: Value| Some((arg["name"].as_str()?.to_owned(), arg["key_spec_index"].as_u64()?));
        args.into_iter()
            .filter_map(named)
            .map(|(name, at)| format!("{name} {at}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(indices("rename"), ["key 0", "newkey 1"]);
    assert_eq!(indices("mget"), ["key 0"]);
    assert_eq!(indices("lcs"), ["key1 0", "key2 0"]);
    assert_eq!(indices("sort"), ["key 0", "pattern 1", "pattern 1", "destination 2"]);
    assert!(indices("keys").is_empty());
}
