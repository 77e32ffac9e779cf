//! Configuration: command line, file, CONFIG GET, SET and REWRITE.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests"
)]

use std::fs;

use ringstone_tests::server::{Home, Launch, Server};

fn get(server: &Server, name: &str) -> String {
    let reply = server.conn().line(&format!("CONFIG GET {name}"));
    reply.items().get(1).map(|v| v.text()).unwrap_or_default()
}

#[test]
fn takes_the_command_line_as_redis_does() {
    for launch in [Launch::ringstone().shards(1), Launch::redis()] {
        let home = Home::new();
        let server = launch
            .set("auto-aof-rewrite-min-size", "100mb")
            .set("appendfsync", "no")
            .set("hash-max-listpack-entries", 64)
            .start(&home);
        assert_eq!(get(&server, "auto-aof-rewrite-min-size"), "104857600");
        assert_eq!(get(&server, "appendfsync"), "no");
        assert_eq!(get(&server, "hash-max-listpack-entries"), "64");
        assert_eq!(get(&server, "dir"), home.data().canonicalize().unwrap().display().to_string());
    }
}

#[test]
fn flags_win_over_the_file() {
    let home = Home::new();
    let conf = home.file("test.conf");
    fs::write(
        &conf,
        "# a comment\n\nauto-aof-rewrite-min-size 1gb\nappendfsync no\nsave \"\"\nbind 127.0.0.1\n",
    )
    .unwrap();
    let server = Launch::ringstone()
        .shards(1)
        .conf(&conf)
        .set("auto-aof-rewrite-min-size", "2gb")
        .start(&home);
    assert_eq!(get(&server, "auto-aof-rewrite-min-size"), "2147483648");
    assert_eq!(get(&server, "appendfsync"), "no");
}

#[test]
fn a_bad_value_stops_the_start_and_names_file_and_line() {
    let bad = [
        "auto-aof-rewrite-min-size lots",
        "appendfsync sometimes",
        "no-such-parameter 1",
        "appendonly maybe",
        "hash-max-listpack-entries -5x",
        "save 60",
        "bind \"unbalanced",
    ];
    for line in bad {
        let home = Home::new();
        let conf = home.file("bad.conf");
        fs::write(&conf, format!("# first\nauto-aof-rewrite-min-size 100mb\n{line}\n")).unwrap();
        let error = Launch::ringstone().conf(&conf).try_start(&home).expect_err(line);
        assert!(error.status.is_some_and(|s| !s.success()), "{line}: {error}");
        let word = line.split(' ').next().unwrap();
        assert!(
            error.log.contains('3') && error.log.contains(word),
            "`{line}` is not named: {error}"
        );
        assert!(!error.log.contains("panicked"), "{error}");
    }
}

#[test]
fn a_bad_flag_stops_the_start() {
    let home = Home::new();
    let error = Launch::ringstone()
        .set("auto-aof-rewrite-min-size", "lots")
        .try_start(&home)
        .expect_err("bad flag");
    assert!(error.log.contains("auto-aof-rewrite-min-size"), "{error}");
    let error =
        Launch::ringstone().set("no-such-flag", "1").try_start(&home).expect_err("bad flag");
    assert!(error.log.contains("no-such-flag"), "{error}");
}

#[test]
fn what_is_set_and_rewritten_is_there_after_a_restart() {
    let home = Home::new();
    let conf = home.file("live.conf");
    fs::write(
        &conf,
        "# kept comment\nauto-aof-rewrite-min-size 100mb\nsave \"\"\nbind 127.0.0.1\n",
    )
    .unwrap();
    let launch = Launch::ringstone().conf(&conf).bare().set("shards", 1);
    let server = launch.start(&home);
    let mut conn = server.conn();
    for line in [
        "CONFIG SET auto-aof-rewrite-min-size 300mb",
        "CONFIG SET appendfsync no",
        "CONFIG SET hash-max-listpack-entries 77",
        "CONFIG REWRITE",
    ] {
        assert_eq!(conn.line(line).text(), "OK", "{line}");
    }
    drop(server);
    let text = fs::read_to_string(&conf).unwrap();
    assert!(text.contains("# kept comment"), "{text}");
    let server = launch.start(&home);
    assert_eq!(get(&server, "auto-aof-rewrite-min-size"), "314572800");
    assert_eq!(get(&server, "appendfsync"), "no");
    assert_eq!(get(&server, "hash-max-listpack-entries"), "77");
}

#[test]
fn refuses_what_cannot_be_set_with_the_words_of_redis() {
    let lines = [
        "CONFIG SET auto-aof-rewrite-min-size lots",
        "CONFIG SET no-such-parameter 1",
        "CONFIG SET appendfsync sometimes",
        "CONFIG SET port",
        "CONFIG SET databases 4",
        "CONFIG SET auto-aof-rewrite-min-size 1mb auto-aof-rewrite-min-size 2mb",
        "CONFIG SET hash-max-listpack-entries -1",
        "CONFIG GET",
        "CONFIG NOSUCH",
    ];
    let homes = [Home::new(), Home::new()];
    let ours = Launch::ringstone().shards(1).start(&homes[0]);
    let theirs = Launch::redis().start(&homes[1]);
    for line in lines {
        assert_eq!(ours.conn().line(line), theirs.conn().line(line), "{line}");
    }
}

#[test]
fn several_parameters_are_set_together_or_not_at_all() {
    let home = Home::new();
    let server = Launch::ringstone().shards(1).start(&home);
    let before = get(&server, "auto-aof-rewrite-min-size");
    assert!(
        server
            .conn()
            .line("CONFIG SET auto-aof-rewrite-min-size 200mb appendfsync sometimes")
            .is_error()
    );
    assert_eq!(get(&server, "auto-aof-rewrite-min-size"), before);
    assert!(
        !server.conn().line("CONFIG SET auto-aof-rewrite-min-size 200mb appendfsync no").is_error()
    );
    assert_eq!(get(&server, "auto-aof-rewrite-min-size"), "209715200");
}
