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
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use ringstone_tests::resp::Conn;
use ringstone_tests::server::{Home, Launch, Port, Server};

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

#[test]
fn listens_elsewhere_while_it_runs_and_keeps_its_clients() {
    for shards in [1, 2] {
        let (home, other) = (Home::new(), Port::lease());
        let server = Launch::ringstone().shards(shards).start(&home);
        let mut conn = server.conn();
        let set = |conn: &mut Conn, line: &str| conn.line(&format!("CONFIG SET {line}")).text();
        let reaches = |port: u16| {
            // Each shard takes its share of connections.
            (0..8).all(|_| Conn::connect(port).is_ok_and(|mut c| c.line("PING").text() == "PONG"))
        };
        assert_eq!(set(&mut conn, &format!("port {}", other.number)), "OK");
        assert!(reaches(other.number));
        let gone = Instant::now() + Duration::from_secs(10);
        while Conn::connect(server.port()).is_ok() {
            assert!(Instant::now() < gone, "the old port is still there");
        }
        assert_eq!(conn.line("PING").text(), "PONG", "who is connected stays");
        assert_eq!(
            conn.call(&["CONFIG", "SET", "bind", "127.0.0.1 127.0.0.2"]).unwrap().text(),
            "OK"
        );
        assert!(reaches(other.number));
        assert!(TcpStream::connect(("127.0.0.2", other.number)).is_ok());
        assert_eq!(set(&mut conn, "bind *"), "OK");
        assert!(reaches(other.number));
        // Nowhere, and back.
        assert_eq!(set(&mut conn, "port 0"), "OK");
        assert_eq!(set(&mut conn, &format!("port {}", server.port())), "OK");
        assert!(reaches(server.port()));
    }
}

#[test]
fn a_port_that_is_taken_changes_nothing() {
    for shards in [1, 2] {
        let home = Home::new();
        let server = Launch::ringstone().shards(shards).start(&home);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = listener.local_addr().unwrap().port();
        let mut conn = server.conn();
        let before = get(&server, "maxmemory-samples");
        let reply = conn.line(&format!("CONFIG SET maxmemory-samples 7 port {taken} hz 50"));
        let wanted = "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs.";
        assert_eq!(reply.text(), wanted);
        drop(listener);
        assert_eq!(get(&server, "port"), server.port().to_string());
        assert_eq!(get(&server, "maxmemory-samples"), before);
        let reply = conn.line("CONFIG SET bind 192.0.2.1").text();
        assert!(reply.ends_with("'bind') - Failed to bind to specified addresses."), "{reply}");
        assert_eq!(server.conn().line("PING").text(), "PONG");
    }
}

#[test]
fn goes_on_in_the_background_when_told_so() {
    let (home, port) = (Home::new(), Port::lease());
    let (pidfile, log) = (home.file("server.pid"), home.file("background.log"));
    let start = || {
        Command::new(&Launch::ringstone().binary().path)
            .args(["--daemonize", "yes", "--shards", "2", "--bind", "127.0.0.1"])
            .args(["--port", &port.number.to_string()])
            .arg("--dir")
            .arg(home.data())
            .arg("--pidfile")
            .arg(&pidfile)
            .arg("--logfile")
            .arg(&log)
            .output()
            .unwrap()
    };
    let started = start();
    assert!(started.status.success(), "{started:?}");
    let end = Instant::now() + Duration::from_secs(60);
    let mut conn = loop {
        if let Ok(mut conn) = Conn::connect(port.number)
            && conn.call(&["PING"]).is_ok()
        {
            break conn;
        }
        assert!(Instant::now() < end, "{}", fs::read_to_string(&log).unwrap_or_default());
    };
    let pid: i64 = fs::read_to_string(&pidfile).unwrap().trim().parse().unwrap();
    let info = conn.line("INFO server").text();
    assert!(info.contains(&format!("process_id:{pid}\r\n")), "{info}");
    assert_eq!(conn.line("CONFIG GET daemonize").items()[1].text(), "yes");
    assert!(conn.line("CONFIG SET daemonize no").text().contains("immutable"));
    // A second one finds the directory taken, and says so where it was started.
    let second = start();
    assert!(!second.status.success(), "{second:?}");
    assert!(conn.call(&["SHUTDOWN", "NOSAVE"]).is_err());
    while std::path::Path::new(&format!("/proc/{pid}")).exists() {
        assert!(Instant::now() < end, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}
