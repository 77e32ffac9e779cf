use super::*;

fn loaded(text: &str) -> (Config, Vec<Warning>) {
    load_text("x.conf", text.as_bytes()).unwrap_or_else(|e| panic!("{e}"))
}

fn error(text: &str) -> String {
    match load_text("x.conf", text.as_bytes()) {
        Ok(_) => panic!("{text:?} loads"),
        Err(error) => error.to_string(),
    }
}

fn save_text(config: &Config) -> String {
    String::from_utf8(Param::find(b"save").unwrap().text(config)).unwrap()
}

#[test]
fn reads_lines_comments_quotes_and_units() {
    let (config, warnings) = loaded(
        "# comment\n\n  PORT 7000\t\r\n requirepass \"a \\x41#\"\nauto-aof-rewrite-min-size 1gb\nhash-max-ziplist-entries 7\n",
    );
    assert_eq!(config.port, 7000);
    assert_eq!(config.requirepass.get(), Some(&b"a A#"[..]));
    assert_eq!(config.auto_aof_rewrite_min_size, 1 << 30);
    assert_eq!(config.hash_max_listpack_entries, 7);
    assert_eq!(warnings, []);
}

#[test]
fn save_lines_add_up_and_an_empty_one_clears() {
    assert_eq!(save_text(&loaded("").0), "3600 1 300 100 60 10000");
    assert_eq!(save_text(&loaded("save 900 1\nsave 60 1").0), "900 1 60 1");
    assert_eq!(save_text(&loaded("save \"900 1 60 1\"").0), "900 1 60 1");
    assert_eq!(save_text(&loaded("save 900 1\nsave \"\"").0), "");
    assert_eq!(save_text(&loaded("save \"\"\nsave 7 8").0), "7 8");
}

#[test]
fn errors_name_place_reason_and_what_is_allowed() {
    assert_eq!(
        error("port 1\nmaxclientz 10"),
        "x.conf, line 2: unknown parameter 'maxclientz'; did you mean 'maxclients'?\n>>> maxclientz 10"
    );
    assert_eq!(
        error("hz 501"),
        "x.conf, line 1: bad value for 'hz': argument must be between 1 and 500 inclusive \
         (allowed: an integer from 1 to 500 times a second)\n>>> hz 501"
    );
    assert_eq!(
        error("\nport"),
        "x.conf, line 2: bad value for 'port': wrong number of arguments (allowed: an integer from 0 to 65535)\n>>> port"
    );
    assert_eq!(error("port \"1"), "x.conf, line 1: unbalanced quotes\n>>> port \"1");
    assert!(error("force-truncate yes").contains("on the command line only"));
    assert!(
        error("requirepass a b").ends_with("requirepass (hidden)"),
        "{}",
        error("requirepass a b")
    );
}

#[test]
fn what_redis_has_and_ringstone_has_not_warns_or_refuses() {
    let (_, warnings) =
        loaded("syslog-enabled yes\nactivedefrag no\nsyslog-enabled no\nreplicaof a 1");
    let names: Vec<_> = warnings.iter().map(|w| (w.name.as_str(), w.place.line)).collect();
    assert_eq!(names, [("syslog-enabled", 1), ("replicaof", 4)]);
    assert!(
        warnings[0].to_string().starts_with("x.conf, line 1: 'syslog-enabled' has no effect: ")
    );
    for line in ["rename-command FLUSHALL \"\"", "tls-port 6380"] {
        assert!(error(line).contains("is not supported"), "{line}");
    }
    assert!(loaded("tls-port 0").1.is_empty());
}

#[test]
fn includes_files_by_name_and_pattern_within_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
    write("1.conf", "port 1\nhz 11");
    write("2.conf", "port 2");
    write("self.inc", &format!("include {}", path("self.inc")));
    let text = format!("include {}\ntimeout 3\ninclude {}", path("*.conf"), path("none*.conf"));
    let (config, _) = loaded(&text);
    assert_eq!((config.port, config.hz, config.timeout), (2, 11, 3));
    assert!(error(&format!("include {}", path("nosuch"))).contains("(included at x.conf, line 1)"));
    assert!(error(&format!("include {}", path("self.inc"))).contains("levels of include"));
    write("1.conf", "port x");
    let text = error(&format!("include {}", path("*.conf")));
    assert!(
        text.starts_with(&format!("{}, line 1: bad value for 'port'", path("1.conf"))),
        "{text}"
    );
}

#[test]
fn the_command_line_beats_standard_input_which_beats_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("r.conf");
    std::fs::write(&file, "port 1\nhz 1\ntimeout 1\nsave 900 1").unwrap();
    let args = [
        file.as_os_str(),
        "--port".as_ref(),
        "3".as_ref(),
        "--save".as_ref(),
        "60".as_ref(),
        "1".as_ref(),
        "-".as_ref(),
    ];
    let crate_action = super::super::cli::Action::parse(args.map(Into::into));
    let super::super::cli::Action::Run(line) = crate_action else { panic!("no run") };
    let loaded = load(&line, &mut &b"port 2\nhz 2"[..]).unwrap_or_else(|e| panic!("{e}"));
    let config = loaded.store.config();
    assert_eq!((config.port, config.hz, config.timeout), (3, 2, 1));
    assert_eq!(save_text(config), "900 1 60 1", "save lines add up over all sources, as in Redis");
    assert_eq!(loaded.store.file(), Some(&*file));
}

#[test]
fn wrong_arguments_are_named() {
    let run = |args: &[&str]| {
        let args: Vec<std::ffi::OsString> = args.iter().map(Into::into).collect();
        let super::super::cli::Action::Run(line) = super::super::cli::Action::parse(args) else {
            panic!("no run")
        };
        load(&line, &mut std::io::empty())
            .map(|l| l.store.config().clone())
            .map_err(|e| e.to_string())
    };
    assert_eq!(
        run(&["-p", "1"]),
        Err("command line: unexpected argument '-p'; see --help\n>>> -p 1".to_owned())
    );
    assert!(
        run(&["--port"])
            .unwrap_err()
            .starts_with("command line: bad value for 'port': wrong number of arguments")
    );
    assert!(run(&["--port", "1", "2"]).is_err());
    assert!(
        run(&["/no/such/file"])
            .unwrap_err()
            .contains("cannot read configuration file '/no/such/file'")
    );
    assert!(run(&["--force-truncate"]).is_ok_and(|config| config.force_truncate));
}

#[test]
fn lines_of_users_are_kept_with_their_places_and_not_shown() {
    let users =
        super::load_users("x.conf", b"port 7\nuser ann on >pw ( +get ~a )\nUSER bob").unwrap();
    let [ann, bob] = &users[..] else { panic!("{users:?}") };
    assert_eq!(ann.words.join(&b' '), b"ann on >pw ( +get ~a )");
    assert_eq!(
        (ann.place.to_string().as_str(), &*ann.place.text),
        ("x.conf, line 2", "user (hidden)")
    );
    assert_eq!((bob.words.len(), bob.place.line), (1, 3));
}
