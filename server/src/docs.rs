//! `docs/commands.md`, from the command table.

use std::fmt::Write;

use ringstone_engine::cmd::{Arg, ArgKind, Group};

use crate::table::{Entry, Table};

/// Groups in the order of the page.
const GROUPS: &[(Group, &str)] = &[
    (Group::Generic, "Keys"),
    (Group::String, "Strings"),
    (Group::Bitmap, "Bitmaps"),
    (Group::HyperLogLog, "HyperLogLogs"),
    (Group::List, "Lists"),
    (Group::Set, "Sets"),
    (Group::Hash, "Hashes"),
    (Group::SortedSet, "Sorted sets"),
    (Group::Geo, "Geo"),
    (Group::Stream, "Streams"),
    (Group::Transactions, "Transactions"),
    (Group::Pubsub, "Publish and subscribe"),
    (Group::Scripting, "Scripting"),
    (Group::Cluster, "Cluster"),
    (Group::Connection, "Connection"),
    (Group::Server, "Server"),
];

/// The text of `docs/commands.md`.
pub fn commands_markdown() -> String {
    let table = Table::get();
    let mut out = format!(
        "# Commands\n\n\
         Generated from the command table by `cargo xtask docs`. {} commands; replies and errors are those of Redis 7.0.\n",
        table.sorted().len()
    );
    for (group, title) in GROUPS {
        let entries: Vec<&Entry> =
            table.sorted().into_iter().filter(|entry| entry.spec.group == *group).collect();
        if entries.is_empty() {
            continue;
        }
        let _ = write!(
            out,
            "\n## {title}\n\n| command | what it does | time | since |\n|---|---|---|---|\n"
        );
        for entry in entries {
            if entry.subs.is_empty() {
                row(&mut out, entry);
            }
            entry.subs.iter().for_each(|(_, sub)| row(&mut out, sub));
        }
    }
    out
}

fn row(out: &mut String, entry: &Entry) {
    let spec = entry.spec;
    let mut syntax = spec.name.to_uppercase().replace('|', " ");
    for arg in spec.args {
        syntax.push(' ');
        syntax.push_str(&syntax_of(arg));
    }
    let cell = |text: &str| text.replace('|', "\\|");
    let _ = writeln!(
        out,
        "| `{}` | {} | {} | {} |",
        cell(&syntax),
        cell(spec.summary),
        cell(spec.complexity),
        spec.since
    );
}

/// An argument as manuals write it: `[NX | XX] key [key ...]`.
fn syntax_of(arg: &Arg) -> String {
    let joined =
        |separator: &str| arg.args.iter().map(syntax_of).collect::<Vec<_>>().join(separator);
    let body = match arg.kind {
        ArgKind::OneOf => joined(" | "),
        ArgKind::Block => joined(" "),
        ArgKind::PureToken => String::new(),
        ArgKind::Key
        | ArgKind::String
        | ArgKind::Integer
        | ArgKind::Double
        | ArgKind::Pattern
        | ArgKind::UnixTime => arg.name.to_owned(),
    };
    let body = if arg.multiple { format!("{body} [{body} ...]") } else { body };
    let whole = match (arg.token, body.is_empty()) {
        (Some(""), _) => "\"\"".to_owned(),
        (Some(token), true) => token.to_owned(),
        (Some(token), false) => format!("{token} {body}"),
        (None, _) if arg.kind == ArgKind::OneOf && !arg.optional => format!("<{body}>"),
        (None, _) => body,
    };
    if arg.optional { format!("[{whole}]") } else { whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares with the file in the repository; with `UPDATE_DOCS=1` in the environment writes it.
    #[test]
    fn the_page_of_commands_is_fresh() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/commands.md");
        let expected = commands_markdown();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &expected).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == expected, "docs/commands.md is stale: run cargo xtask docs");
    }

    #[test]
    fn writes_arguments_as_manuals_do() {
        const WORDS: &[Arg] = &[Arg::word("nx", "NX"), Arg::word("xx", "XX")];
        let key = Arg::new("key", ArgKind::Key).multiple();
        assert_eq!(syntax_of(&key), "key [key ...]");
        assert_eq!(syntax_of(&Arg::one_of("condition", WORDS).optional()), "[NX | XX]");
        assert_eq!(syntax_of(&Arg::one_of("condition", WORDS)), "<NX | XX>");
        let count = Arg::new("count", ArgKind::Integer).token("COUNT").optional();
        assert_eq!(syntax_of(&count), "[COUNT count]");
    }
}
