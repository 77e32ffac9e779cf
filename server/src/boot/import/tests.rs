use std::fs;

use ringstone_engine::Keyspace;
use ringstone_engine::keyspace::Mode;
use ringstone_engine::types::ValueRef;
use ringstone_peer::SlotMap;
use tempfile::TempDir;

use super::*;
use crate::boot::boot;

fn home() -> (TempDir, Config) {
    let home = tempfile::tempdir().unwrap();
    let config = Config { dir: home.path().to_owned(), ..Config::default() };
    (home, config)
}

fn start(config: &Config, shards: usize) -> Result<Boot, String> {
    boot(config, &Default::default(), SlotMap::new(shards), [3; 32])
}

fn refusal(config: &Config, shards: usize) -> String {
    start(config, shards).map(drop).unwrap_err()
}

fn resp(commands: &[&str]) -> Vec<u8> {
    let mut out = String::new();
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        out += &format!("*{}\r\n", words.len());
        words.iter().for_each(|word| out += &format!("${}\r\n{word}\r\n", word.len()));
    }
    out.into_bytes()
}

fn get(boot: &mut Boot, key: &str) -> Option<String> {
    let slots = SlotMap::new(boot.keyspaces.len());
    let keyspace: &mut Keyspace = &mut boot.keyspaces[slots.shard_of_key(key.as_bytes())];
    let mut db = keyspace.db(0, 0, Mode::Replay);
    db.peek(key.as_bytes()).map(|entry| match entry.value() {
        ValueRef::Int(number) => number.to_string(),
        ValueRef::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other @ (ValueRef::List(_)
        | ValueRef::Set(_)
        | ValueRef::Hash(_)
        | ValueRef::ZSet(_)
        | ValueRef::Stream(_)) => other.type_name().to_owned(),
    })
}

/// A multi-part AOF of two files in `dir`.
fn write_parts(dir: &Path, base: &[&str], increment: &[&str]) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("appendonly.aof.1.base.aof"), resp(base)).unwrap();
    fs::write(dir.join("appendonly.aof.1.incr.aof"), resp(increment)).unwrap();
    let manifest = "file appendonly.aof.1.base.aof seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n";
    fs::write(dir.join("appendonly.aof.manifest"), manifest).unwrap();
}

#[test]
fn the_parts_of_an_append_only_file_are_taken_over_by_any_number_of_shards() {
    for shards in [1, 4] {
        let (home, config) = home();
        let base = ["MSET a 1 b 2 c 3 d 4", "RENAME a z", "SET gone 1"];
        let increment =
            ["MULTI", "INCR b", "COPY b e", "EXEC", "DEL gone", "FLUSHDB", "MSET b 5 e 6"];
        write_parts(&home.path().join("appendonlydir"), &base, &increment[..5]);
        let mut boot = start(&config, shards).unwrap();
        let found = ["a", "b", "c", "e", "z", "gone"].map(|key| get(&mut boot, key));
        assert_eq!(
            found.each_ref().map(|v| v.as_deref()),
            [None, Some("3"), Some("3"), Some("3"), Some("1"), None]
        );
        assert!(boot.manifest.as_ref().unwrap().base.is_some(), "it is the log's base now");

        let (home, config) = home_with(&base, &increment);
        let mut boot = start(&config, shards).unwrap();
        assert_eq!(get(&mut boot, "c"), None);
        assert_eq!(get(&mut boot, "e").as_deref(), Some("6"));
        drop(home);
    }
}

fn home_with(base: &[&str], increment: &[&str]) -> (TempDir, Config) {
    let (home, config) = home();
    write_parts(&home.path().join("appendonlydir"), base, increment);
    (home, config)
}

#[test]
fn what_was_taken_over_once_is_not_taken_over_again() {
    let (home, mut config) = home();
    // Redis's files may be in the log's own directory, and stay there.
    config.appenddirname = "appendonlydir".into();
    let dir = home.path().join("appendonlydir");
    write_parts(&dir, &["SET a 1"], &["SET b 2"]);
    drop(start(&config, 2).unwrap());
    for name in
        ["appendonly.aof.manifest", "appendonly.aof.1.base.aof", "appendonly.aof.1.incr.aof"]
    {
        assert!(dir.join(name).is_file(), "{name}");
    }
    fs::write(dir.join("appendonly.aof.1.incr.aof"), resp(&["SET b 3"])).unwrap();
    let mut boot = start(&config, 3).unwrap();
    assert_eq!(get(&mut boot, "a").as_deref(), Some("1"));
    assert_eq!(get(&mut boot, "b").as_deref(), Some("2"));
}

#[test]
fn a_single_file_is_taken_over_and_comes_before_a_dump() {
    let (home, mut config) = home();
    config.appendfilename = "journal.aof".into();
    fs::write(home.path().join("journal.aof"), resp(&["SELECT 0", "SET a 1"])).unwrap();
    fs::write(home.path().join("dump.rdb"), b"not even looked at").unwrap();
    assert_eq!(get(&mut start(&config, 2).unwrap(), "a").as_deref(), Some("1"));
}

#[test]
fn what_cannot_be_run_is_refused_with_file_and_byte() {
    for (bad, what) in [
        ("JSON.SET a $ 1", "no command 'JSON.SET'"),
        ("XGROUP FROBNICATE a", "no command 'XGROUP'"),
        ("FUNCTION RESTORE x", "FUNCTION RESTORE"),
        ("LPUSH a 1", "lpush cannot be applied: WRONGTYPE"),
        ("INCR", "incr with 1 arguments"),
        ("SET a", "set with 2 arguments"),
    ] {
        for shards in [1, 2] {
            let (home, config) = home();
            let before = resp(&["SET c 1"]).len();
            write_parts(
                &home.path().join("appendonlydir"),
                &["SET a x"],
                &["SET c 1", bad, "SET d 1"],
            );
            let text = refusal(&config, shards);
            let place = "appendonly.aof.1.incr.aof: ";
            assert!(text.contains(place) && text.contains(what), "{text}");
            assert!(text.contains(&format!("(at byte {before})")), "{text}");
            // Nothing was lost: with a good file the next start goes through.
            write_parts(&home.path().join("appendonlydir"), &["SET a x"], &["SET c 1"]);
            assert_eq!(get(&mut start(&config, shards).unwrap(), "c").as_deref(), Some("1"));
        }
    }
}

#[test]
fn a_torn_end_is_left_out_only_when_that_is_allowed() {
    let (home, mut config) = home();
    let mut bytes = resp(&["SET a 1", "MULTI", "SET a 2", "SET b 2", "EXEC"]);
    bytes.truncate(bytes.len() - 3);
    fs::write(home.path().join("appendonly.aof"), bytes).unwrap();
    config.aof_load_truncated = false;
    assert!(refusal(&config, 2).contains("aof-load-truncated"));
    config.aof_load_truncated = true;
    let mut boot = start(&config, 2).unwrap();
    assert_eq!(get(&mut boot, "a").as_deref(), Some("1"));
    assert_eq!(get(&mut boot, "b"), None);
}

#[test]
fn patterns_over_all_keys_need_one_shard() {
    let (home, config) = home();
    let file = home.path().join("appendonly.aof");
    let commands = ["RPUSH l 1 2", "MSET w1 2 w2 1", "SORT l BY w* STORE sorted"];
    fs::write(&file, resp(&commands)).unwrap();
    assert!(refusal(&config, 2).contains("--shards 1"));
    assert_eq!(get(&mut start(&config, 1).unwrap(), "sorted").as_deref(), Some("list"));
    let mut boot = start(&config, 4).unwrap();
    assert_eq!(get(&mut boot, "sorted").as_deref(), Some("list"));
}

#[test]
fn function_libraries_are_kept() {
    let mut libraries = Vec::new();
    let mut run = |words: &[&str]| {
        let args = ArgBuf::from_parts(words.iter().map(|word| word.as_bytes()));
        function(&mut libraries, args.as_args())
    };
    run(&["FUNCTION", "LOAD", "#!lua name=one\nreturn 1"]).unwrap();
    run(&["function", "load", "#!lua name=two\nreturn 2"]).unwrap();
    run(&["FUNCTION", "LOAD", "REPLACE", "#!lua name=one\nreturn 3"]).unwrap();
    run(&["FUNCTION", "DELETE", "two"]).unwrap();
    assert!(run(&["FUNCTION", "LOAD", "nameless"]).is_err());
    assert_eq!(libraries, [b"#!lua name=one\nreturn 3"]);
}
