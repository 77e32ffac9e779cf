//! Users and what they may do: beside redis-server where replies must be the same, on one shard and over two.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod beside_redis;
mod users;

use ringstone_tests::resp::Value;
use ringstone_tests::server::{Home, Launch, Server};

/// A server of each kind, redis-server last.
fn all() -> Vec<(Home, Server)> {
    Launch::all()
        .into_iter()
        .map(|launch| {
            let home = Home::new();
            let server = launch.start(&home);
            (home, server)
        })
        .collect()
}

fn on_shards(test: impl Fn(usize, &Server)) {
    for shards in [1, 2] {
        let home = Home::new();
        let server = Launch::ringstone().shards(shards).start(&home);
        test(shards, &server);
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.items().iter().map(Value::text).collect()
}

/// The reply as text, aggregates in brackets.
fn shown(value: &Value) -> String {
    match value {
        Value::Error(text) => format!("-{text}"),
        Value::Null => "null".to_owned(),
        Value::Array(items) | Value::Map(items) | Value::Set(items) | Value::Push(items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Simple(_)
        | Value::Int(_)
        | Value::Bulk(_)
        | Value::Double(_)
        | Value::Bool(_)
        | Value::Verbatim(_)
        | Value::Big(_) => value.text(),
    }
}

/// `shown`, the words within each text in one order: Redis lists single commands in the order of a hash table.
fn sorted_words(value: &Value) -> String {
    let shown = shown(value);
    let mut words: Vec<&str> = shown.split([' ', ',', '[', ']', '(', ')']).collect();
    words.sort_unstable();
    words.join(" ")
}
