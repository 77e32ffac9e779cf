//! What real servers have left is taken over completely: compared with their own account of it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail loudly too"
)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ringstone_engine::keyspace::Mode;
use ringstone_engine::reply::{Tree, TreeSink};
use ringstone_engine::types::stream::{Entry, Group};
use ringstone_engine::types::{EncodingLimits, Stream, ValueRef};
use ringstone_engine::{Args, Ctx, Keyspace, cmd};
use ringstone_persist::import::{Import, ImportError, ImportOptions, ImportSummary, Imported};
use ringstone_persist::rdb::Expired;
use serde_json::{Value as Json, json};

const NOW_MS: i64 = 1_700_000_000_000;

/// Database and key, and what is said of it.
type Content = BTreeMap<(String, String), Json>;

/// A server's state: its keyspace and its function libraries.
struct State {
    keyspace: Keyspace,
    functions: Vec<Vec<u8>>,
}

impl State {
    fn new() -> State {
        State { keyspace: Keyspace::new(16, 1), functions: Vec::new() }
    }

    fn take(&mut self, imported: Imported) -> Result<(), String> {
        match imported {
            Imported::Entry(e) => {
                let db = usize::try_from(e.db).unwrap();
                let mut db = self.keyspace.db(db, NOW_MS, Mode::Replay);
                if db.contains(&e.key) {
                    return Err("a key is there twice".to_owned());
                }
                db.set(&e.key, e.value, e.expire_at_ms);
            }
            Imported::Function(code) => self.functions.push(code),
            Imported::Command { db, args, .. } => return self.run(db, args.as_args()),
        }
        Ok(())
    }

    fn run(&mut self, db: u32, args: Args<'_>) -> Result<(), String> {
        if args.is(0, "FUNCTION") {
            self.functions.push(args[2].to_vec());
            return Ok(());
        }
        let found = cmd::all().find(|command| args.is(0, command.spec.name));
        let mut command = found.ok_or(format!("no command {}", args[0].escape_ascii()))?;
        if let Some(sub) = command.subs.iter().find(|sub| {
            // A subcommand's name is `container|sub`.
            sub.spec.name.rsplit('|').next().is_some_and(|name| args.is(1, name))
        }) {
            command = sub;
        }
        let mut reply = TreeSink::new(false);
        let db = self.keyspace.db(usize::try_from(db).unwrap(), NOW_MS, Mode::Replay);
        let mut ctx = Ctx { db, reply: &mut reply };
        if let Err(error) = (command.run)(&mut ctx, args) {
            ctx.reply.error(&error);
        }
        if let Tree::Error(error) = reply.into_reply() {
            return Err(format!("{}: {error}", args[0].escape_ascii()));
        }
        Ok(())
    }

    /// The content, as `content.json` has it.
    fn account(&mut self) -> Content {
        let mut out = BTreeMap::new();
        for index in 0..16 {
            self.keyspace.db(index, NOW_MS, Mode::Replay).for_each(&mut |entry| {
                let value = entry.value();
                let account = json!({
                    "type": value.type_name(),
                    "encoding": value.encoding(),
                    "expireat_ms": entry.expire_at_ms().unwrap_or(-1),
                    "value": value_json(value),
                });
                out.insert((index.to_string(), latin1(entry.key())), account);
            });
        }
        out
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn value_json(value: ValueRef<'_>) -> Json {
    match value {
        ValueRef::Int(n) => json!(n.to_string()),
        ValueRef::Bytes(bytes) => json!(latin1(bytes)),
        ValueRef::List(list) => list.iter_from(0).map(|item| latin1(&item.to_vec())).collect(),
        ValueRef::Set(set) => {
            let mut members: Vec<_> = set.iter().map(|item| latin1(&item.to_vec())).collect();
            members.sort();
            json!(members)
        }
        ValueRef::Hash(hash) => {
            let fields =
                hash.iter().map(|(f, v)| (latin1(&f.to_vec()), json!(latin1(&v.to_vec()))));
            Json::Object(fields.collect())
        }
        ValueRef::ZSet(set) => set
            .iter()
            .map(|(member, score)| json!([latin1(&member.to_vec()), score.to_string()]))
            .collect(),
        ValueRef::Stream(stream) => stream_json(stream),
    }
}

fn stream_json(stream: &Stream) -> Json {
    let entry = |entry: Entry<'_>| {
        let fields = entry.fields().flat_map(|(f, v)| [latin1(&f.to_vec()), latin1(&v.to_vec())]);
        json!([entry.id.to_string(), fields.collect::<Vec<_>>()])
    };
    let group = |name: &[u8], group: &Group| {
        let pending: Vec<_> = group
            .pending()
            .iter()
            .map(|(id, p)| json!([id.to_string(), latin1(group.name_of(p.consumer)), p.deliveries]))
            .collect();
        json!([latin1(name), group.last_id.to_string(), group.consumers().len(), pending])
    };
    json!({
        "entries": stream.iter().map(entry).collect::<Vec<_>>(),
        "last_id": stream.last_id().to_string(),
        "max_deleted": stream.max_deleted_id().to_string(),
        "added": stream.entries_added(),
        "groups": stream.groups().iter().map(|(name, g)| group(name, g)).collect::<Vec<_>>(),
    })
}

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let bytes = std::fs::read(&path).unwrap();
    if name.ends_with(".zst") { zstd::decode_all(&bytes[..]).unwrap() } else { bytes }
}

/// What the servers say that they held; before the increment or after it.
fn expected(after_increment: bool) -> Content {
    let all: Json = serde_json::from_slice(&fixture("content.json.zst")).unwrap();
    let mut out = BTreeMap::new();
    for (db, keys) in all.as_object().unwrap() {
        for (key, account) in keys.as_object().into_iter().flatten() {
            if key.starts_with("after:") && !after_increment {
                continue;
            }
            let mut account = account.clone();
            if account["type"] == "zset" {
                // 7.0 prints 17 digits.
                for pair in account["value"].as_array_mut().unwrap() {
                    let score: f64 = pair[1].as_str().unwrap().parse().unwrap();
                    pair[1] = json!(score.to_string());
                }
            }
            out.insert((db.clone(), key.clone()), account);
        }
    }
    out
}

/// What is left of the content when it went through commands: XCLAIM passes over entries that were deleted, so they are
/// not pending any more. redis-server 7.0.15 loads its own file with the same difference.
fn as_commands_tell_it(content: &mut Content) {
    for account in content.values_mut().filter(|account| account["type"] == "stream") {
        let deleted = account["value"]["max_deleted"].clone();
        for group in account["value"]["groups"].as_array_mut().unwrap() {
            group[3].as_array_mut().unwrap().retain(|pending| pending[0] != deleted);
        }
    }
}

fn assert_holds(state: &mut State, want: &Content) {
    let got = state.account();
    assert!(want.len() > 2000);
    assert_eq!(want.keys().collect::<Vec<_>>(), got.keys().collect::<Vec<_>>());
    for (key, account) in want {
        assert!(account == &got[key], "{key:?} differs");
    }
    assert_eq!(state.functions.len(), 1);
    assert!(state.functions[0].starts_with(b"#!lua name=corpus\n"));
}

fn options() -> ImportOptions {
    ImportOptions {
        limits: EncodingLimits::default(),
        threads: 2,
        now_ms: NOW_MS,
        load_truncated: false,
    }
}

fn import(path: &Path, options: &ImportOptions) -> Result<(ImportSummary, State), ImportError> {
    let mut state = State::new();
    let summary = Import::open(path)?.run(options, &mut |imported| state.take(imported))?;
    Ok((summary, state))
}

/// A multi-part AOF directory of the fixtures.
fn aof_dir(dir: &Path, base_fixture: &str, base: &str) -> PathBuf {
    std::fs::write(dir.join(base), fixture(base_fixture)).unwrap();
    std::fs::write(dir.join("appendonly.aof.2.incr.aof"), fixture("redis-7.0.15.incr.aof"))
        .unwrap();
    let manifest =
        format!("file {base} seq 2 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\n");
    std::fs::write(dir.join("appendonly.aof.manifest"), manifest).unwrap();
    dir.to_owned()
}

#[test]
fn a_dump_of_valkey_8_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dump.rdb");
    std::fs::write(&path, fixture("valkey-8.rdb.zst")).unwrap();
    let (summary, mut state) = import(&path, &options()).unwrap();
    let rdb = summary.rdb.unwrap();
    assert_eq!((rdb.expired, rdb.empty, summary.commands), (0, 0, 0));
    assert_holds(&mut state, &expected(false));
}

#[test]
fn a_multi_part_aof_with_an_rdb_base_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = aof_dir(dir.path(), "redis-7.0.15.base.rdb.zst", "appendonly.aof.2.base.rdb");
    let (summary, mut state) = import(&path, &options()).unwrap();
    assert_eq!(summary.commands, 2);
    assert_holds(&mut state, &expected(true));
    let (_, mut state) = import(&path.join("appendonly.aof.manifest"), &options()).unwrap();
    assert_holds(&mut state, &expected(true));
}

#[test]
fn a_multi_part_aof_of_commands_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = aof_dir(dir.path(), "redis-7.0.15.base.aof.zst", "appendonly.aof.2.base.aof");
    let (summary, mut state) = import(&path, &options()).unwrap();
    assert!(summary.rdb.is_none());
    let mut want = expected(true);
    as_commands_tell_it(&mut want);
    assert_holds(&mut state, &want);
}

#[test]
fn a_single_aof_with_and_without_preamble_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("appendonly.aof");
    for base in ["redis-7.0.15.base.rdb.zst", "redis-7.0.15.base.aof.zst"] {
        let bytes = [fixture(base), fixture("redis-7.0.15.incr.aof")].concat();
        std::fs::write(&path, bytes).unwrap();
        let (summary, mut state) = import(&path, &options()).unwrap();
        let mut want = expected(true);
        if summary.rdb.is_none() {
            as_commands_tell_it(&mut want);
        }
        assert_holds(&mut state, &want);
    }
}

#[test]
fn only_the_last_file_may_be_torn_and_only_when_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let path = aof_dir(dir.path(), "redis-7.0.15.base.rdb.zst", "appendonly.aof.2.base.rdb");
    let incr = path.join("appendonly.aof.2.incr.aof");
    let mut bytes = fixture("redis-7.0.15.incr.aof");
    bytes.truncate(bytes.len() - 3);
    std::fs::write(&incr, &bytes).unwrap();
    let error = import(&path, &options()).map(drop).unwrap_err().to_string();
    assert!(error.contains("aof-load-truncated") && error.contains("incr.aof"), "{error}");

    let allowed = ImportOptions { load_truncated: true, ..options() };
    let (summary, _) = import(&path, &allowed).unwrap();
    let torn = summary.torn_tail.unwrap();
    assert_eq!((torn.path, torn.offset + torn.len), (incr.clone(), bytes.len() as u64));
    assert_eq!(summary.commands, 1);

    let manifest = path.join("appendonly.aof.manifest");
    let text = std::fs::read_to_string(&manifest).unwrap() + "file more.aof seq 3 type i\n";
    std::fs::write(&manifest, text).unwrap();
    std::fs::write(path.join("more.aof"), b"*1\r\n$4\r\nPING\r\n").unwrap();
    let error = import(&path, &allowed).map(drop).unwrap_err().to_string();
    assert!(error.contains("redis-check-aof"), "{error}");
    std::fs::remove_file(path.join("more.aof")).unwrap();
    std::fs::write(&incr, fixture("redis-7.0.15.incr.aof")).unwrap();
    let error = import(&path, &allowed).map(drop).unwrap_err().to_string();
    assert!(error.contains("more.aof") && error.contains("readable"), "{error}");
}

#[test]
fn a_broken_file_is_refused_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = aof_dir(dir.path(), "redis-7.0.15.base.rdb.zst", "appendonly.aof.2.base.rdb");
    let allowed = ImportOptions { load_truncated: true, ..options() };
    let base = path.join("appendonly.aof.2.base.rdb");
    let good = std::fs::read(&base).unwrap();
    for at in (9..good.len()).step_by(12_345) {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        std::fs::write(&base, bad).unwrap();
        let error = import(&path, &allowed).map(drop).unwrap_err().to_string();
        assert!(error.contains("base.rdb") && error.contains("at byte"), "{error}");
    }
    std::fs::write(&base, &good[..good.len() / 2]).unwrap();
    assert!(import(&path, &allowed).is_err(), "an RDB base is never cut");
    assert!(import(&dir.path().join("nowhere"), &allowed).is_err());
    std::fs::write(&base, b"hello").unwrap();
    assert!(import(&base, &allowed).is_err());
}

#[test]
fn what_valkey_has_dumped_is_loaded_by_several_threads_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dump.rdb");
    std::fs::write(&path, fixture("valkey-8.rdb.zst")).unwrap();
    let (summary, _) = support::load(&path, Expired::Keep).unwrap();
    assert_eq!(summary.keys, expected(false).len() as u64);
}
