use super::*;

fn store() -> ConfigStore {
    ConfigStore::new(Config::default(), None)
}

fn set(store: &mut ConfigStore, words: &[&str]) -> Result<Vec<&'static str>, String> {
    let words: Vec<&[u8]> = words.iter().map(|w| w.as_bytes()).collect();
    match store.set(&words, false) {
        Ok(change) => Ok(change.params.iter().map(|p| p.name).collect()),
        Err(error) => Err(error.to_string()),
    }
}

/// `prefix*` and exact names are enough here.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.strip_suffix(b"*") {
        Some(prefix) => name.get(..prefix.len()).is_some_and(|n| n.eq_ignore_ascii_case(prefix)),
        None => name.eq_ignore_ascii_case(pattern),
    }
}

fn get(store: &ConfigStore, patterns: &[&str]) -> Vec<String> {
    let patterns: Vec<&[u8]> = patterns.iter().map(|p| p.as_bytes()).collect();
    let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
    store
        .get(&patterns, glob)
        .into_iter()
        .map(|(n, v)| format!("{} {}", text(n), text(v)))
        .collect()
}

#[test]
fn get_finds_names_patterns_and_aliases_once() {
    let store = store();
    assert_eq!(get(&store, &["TimeOut", "timeout", "nosuch"]), ["TimeOut 0"]);
    assert_eq!(
        get(&store, &["HASH-max-ziplist-value", "hash-max-zip*"]),
        ["HASH-max-ziplist-value 64", "hash-max-ziplist-entries 512"]
    );
    assert_eq!(
        get(&store, &["client-out*", "save"]),
        [
            "client-output-buffer-limit normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
            "save 3600 1 300 100 60 10000"
        ]
    );
    assert!(get(&store, &["*"]).len() > PARAMS.len());
}

#[test]
fn set_takes_all_or_nothing_and_says_what_changed() {
    let mut store = store();
    assert_eq!(
        set(&mut store, &["timeout", "5", "HZ", "10", "loglevel", "DEBUG"]),
        Ok(vec!["timeout", "loglevel"])
    );
    assert_eq!(get(&store, &["timeout", "loglevel"]), ["timeout 5", "loglevel debug"]);
    let before = store.config().clone();
    assert!(set(&mut store, &["timeout", "6", "hz", "x"]).is_err());
    assert_eq!(*store.config(), before);
    assert_eq!(
        set(&mut store, &["hash-max-ziplist-value", "3", "hash-max-listpack-value", "4"]),
        Ok(vec!["hash-max-listpack-value"])
    );
    assert_eq!(store.config().hash_max_listpack_value, 4);
    assert_eq!(set(&mut store, &["save", ""]), Ok(vec!["save"]));
    assert_eq!(set(&mut store, &["save", "1 2 3 4"]), Ok(vec!["save"]));
    assert_eq!(get(&store, &["save"]), ["save 1 2 3 4"]);
}

#[test]
fn errors_have_the_texts_of_redis() {
    let mut store = store();
    let about = |name: &str, reason: &str| {
        format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")
    };
    let unknown =
        |name: &str| format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'");
    for (words, error) in [
        (&["nosuch", "1"][..], unknown("nosuch")),
        (&["timeout", "1", "nosuch", "1", "port"], "ERR syntax error".to_owned()),
        (&["timeout", "1", "nosuch", "2", "other", "3"], unknown("nosuch")),
        (&["nosuch", "1", "unixsocket", "2"], unknown("nosuch")),
        (&["unixsocket", "2", "nosuch", "1"], about("unixsocket", "can't set immutable config")),
        (&["timeout", "1", "timeout", "2"], about("timeout", "duplicate parameter")),
        (&["TIMEOUT", "1", "timeout", "2"], about("timeout", "duplicate parameter")),
        (&["dir", "/tmp"], about("dir", "can't set protected config")),
        (
            &["Timeout", "x", "hz", "20"],
            about("timeout", "argument couldn't be parsed into an integer"),
        ),
        (
            &["timeout", "-1"],
            about("timeout", "argument must be between 0 and 2147483647 inclusive"),
        ),
        (
            &["timeout", "99999999999999999999"],
            about("timeout", "argument couldn't be parsed into an integer"),
        ),
        (&["save", "1 2 3"], about("save", "Invalid save parameters")),
        (&["save", "1 2  3 4"], about("save", "Invalid save parameters")),
        (
            &["hash-max-ziplist-value", "x"],
            about("hash-max-ziplist-value", "argument must be a memory value"),
        ),
        (&["protected-mode", "maybe"], about("protected-mode", "argument must be 'yes' or 'no'")),
        (
            &["loglevel", "x"],
            about(
                "loglevel",
                "argument(s) must be one of the following: debug, verbose, notice, warning",
            ),
        ),
        (
            &["appendfsync", "x"],
            about("appendfsync", "argument(s) must be one of the following: everysec, always, no"),
        ),
        (
            &["auto-aof-rewrite-min-size", "1.5gb"],
            about("auto-aof-rewrite-min-size", "argument must be a memory value"),
        ),
        (
            &["client-output-buffer-limit", "normal 1 2"],
            about(
                "client-output-buffer-limit",
                "Wrong number of arguments in buffer limit configuration.",
            ),
        ),
        (
            &["client-output-buffer-limit", "master 1 2 3"],
            about(
                "client-output-buffer-limit",
                "Invalid client class specified in buffer limit configuration.",
            ),
        ),
        (
            &["client-output-buffer-limit", "normal a 2 3"],
            about(
                "client-output-buffer-limit",
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
            ),
        ),
    ] {
        assert_eq!(set(&mut store, words), Err(error));
    }
    assert_eq!(*store.config(), Config::default());
}

#[test]
fn protected_parameters_can_be_opened_to_local_clients() {
    let (config, _) =
        super::super::file::load_text("x", b"enable-protected-configs local").unwrap();
    let mut store = ConfigStore::new(config, None);
    assert!(store.set(&[b"dbfilename", b"x.rdb"], false).is_err());
    assert!(store.set(&[b"dbfilename", b"x.rdb"], true).is_ok_and(|c| c.touches("dbfilename")));
    let Err(error) = store.set(&[b"dbfilename", b"a/b"], true) else {
        panic!("a path is no file name")
    };
    assert!(error.to_string().ends_with("dbfilename can't be a path, just a filename"));
}

#[test]
fn a_change_that_cannot_be_applied_is_taken_back() {
    let mut store = store();
    let change = store.set(&[b"maxclients", b"5"], false).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(store.config().maxclients, 5);
    assert_eq!(change.before().maxclients, 10000);
    let error = store.roll_back(&change, "maxclients", "too many");
    assert!(error.to_string().ends_with("'maxclients') - too many"));
    assert_eq!(*store.config(), Config::default());
}
