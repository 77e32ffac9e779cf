//! COMMAND DOCS beside a real redis-server: all that it says of a command that both have, summaries left out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests"
)]

use std::collections::BTreeMap;

use ringstone_tests::resp::Value;
use ringstone_tests::server::{Home, Launch};

/// What a command's documentation says, field by field, those of its subcommands too.
fn told(docs: &Value) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for [name, fields] in docs.items().as_chunks::<2>().0 {
        for [field, value] in fields.items().as_chunks::<2>().0 {
            match field.text().as_str() {
                "summary" => {}
                "subcommands" => all.extend(told(value)),
                text => {
                    let value = if text == "arguments" { show(&known(value)) } else { show(value) };
                    all.insert(format!("{} {text}", name.text()), value);
                }
            }
        }
    }
    all
}

/// Arguments without those that came after Redis 7.
fn known(arguments: &Value) -> Value {
    let is_known = |argument: &&Value| {
        let fields = argument.items().as_chunks::<2>().0.iter();
        let mut since = fields.filter(|[field, _]| field.text() == "since");
        since.all(|[_, version]| version.text().starts_with(|c| ('1'..='7').contains(&c)))
    };
    let known_within = |argument: &Value| {
        let fields = argument.items().as_chunks::<2>().0.iter();
        let fields = fields.flat_map(|[field, value]| {
            let value = if field.text() == "arguments" { known(value) } else { value.clone() };
            [field.clone(), value]
        });
        Value::Map(fields.collect())
    };
    Value::Array(arguments.items().iter().filter(is_known).map(known_within).collect())
}

fn show(value: &Value) -> String {
    if value.items().is_empty() {
        return value.text();
    }
    let items: Vec<String> = value.items().iter().map(show).collect();
    format!("[{}]", items.join(" "))
}

#[test]
fn documentation_of_every_command_equals_that_of_redis() {
    let homes = [Home::new(), Home::new()];
    let ours = Launch::ringstone().start(&homes[0]);
    let theirs = Launch::redis().start(&homes[1]);
    for protocol in ["2", "3"] {
        let docs = |conn: &mut ringstone_tests::resp::Conn| {
            conn.line(&format!("HELLO {protocol}"));
            told(&conn.line("COMMAND DOCS"))
        };
        let (ours, theirs) = (docs(&mut ours.conn()), docs(&mut theirs.conn()));
        let has = |name: &str| ours.contains_key(&format!("{name} since"));
        let name_of = |field: &str| field.split(' ').next().unwrap().to_owned();
        let mut differences = Vec::new();
        for (field, text) in &theirs {
            if has(&name_of(field)) && ours.get(field) != Some(text) {
                let mine = ours.get(field).map_or("nothing", String::as_str);
                differences.push(format!("{field}\n    ringstone {mine}\n    redis     {text}"));
            }
        }
        for (field, text) in &ours {
            let is_theirs = theirs.contains_key(&format!("{} since", name_of(field)));
            if is_theirs && !theirs.contains_key(field) {
                differences.push(format!("{field}\n    ringstone {text}\n    redis     nothing"));
            }
        }
        let count = differences.len();
        assert!(differences.is_empty(), "{count} differences:\n{}", differences.join("\n"));
    }
}
