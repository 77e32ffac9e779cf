//! Replicas of a Ringstone: real ones (redis-server), and connections that read what replicas are sent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod content;
mod follow;
mod forms;
mod limits;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ringstone_tests::resp::Conn;
use ringstone_tests::server::{Home, Launch, Server};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn primary(shards: usize) -> Launch {
    Launch::ringstone().set("enable-debug-command", "yes").shards(shards)
}

/// A redis-server that follows.
fn replica_of(primary: &Server, home: &Home) -> Server {
    let launch = Launch::redis()
        .set("replicaof", format!("127.0.0.1 {}", primary.port()))
        .set("enable-debug-command", "yes");
    launch.start(home)
}

/// Looks again and again until it is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until the primary counts so many replicas that follow.
fn until_online(primary: &mut Conn, wanted: usize) {
    until("replicas are online", || {
        let text = primary.line("INFO replication").text();
        text.matches("state=online").count() == wanted
    });
}

/// Waits until the replica has everything of the stream, and both hold the same: keys whose time is up go a little later.
fn until_the_same(primary: &mut Conn, replica: &mut Conn) {
    until("the replica has everything", || {
        let there = replica.info("replication", "slave_repl_offset");
        replica.info("replication", "master_link_status") == "up"
            && primary.info("replication", "master_repl_offset") == there
    });
    until("both hold the same", || {
        primary.line("DEBUG DIGEST").text() == replica.line("DEBUG DIGEST").text()
    });
}

/// What replicas are sent.
struct Stream {
    reader: BufReader<TcpStream>,
}

impl Stream {
    /// Sends SYNC, and reads the snapshot.
    fn attach(primary: &Server) -> Stream {
        Stream::after(primary, &["SYNC"]).0
    }

    /// Sends these lines, each but the last answered with OK, and reads the snapshot.
    fn after(primary: &Server, lines: &[&str]) -> (Stream, Vec<u8>) {
        let mut stream = Stream::open(primary);
        for (at, line) in lines.iter().enumerate() {
            stream.send(line);
            if at + 1 < lines.len() {
                assert_eq!(stream.line(), "+OK", "{line}");
            }
        }
        let snapshot = stream.snapshot();
        (stream, snapshot)
    }

    fn open(primary: &Server) -> Stream {
        let socket = TcpStream::connect(("127.0.0.1", primary.port())).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Stream { reader: BufReader::new(socket) }
    }

    fn send(&mut self, line: &str) {
        self.reader.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn snapshot(&mut self) -> Vec<u8> {
        let head = loop {
            let line = self.line();
            if !line.is_empty() {
                break line;
            }
        };
        let len = head.strip_prefix('$').unwrap_or_else(|| panic!("{head}"));
        self.bytes(len.parse().unwrap())
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.reader.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The next command, its words with a space between; PINGs are passed over.
    fn command(&mut self) -> String {
        loop {
            let head = self.line();
            let count: usize =
                head.strip_prefix('*').unwrap_or_else(|| panic!("{head}")).parse().unwrap();
            let words: Vec<String> = (0..count)
                .map(|_| {
                    let len = self.line()[1..].parse().unwrap();
                    let word = String::from_utf8_lossy(&self.bytes(len)).into_owned();
                    self.bytes(2);
                    word
                })
                .collect();
            if words != ["PING"] {
                return words.join(" ");
            }
        }
    }

    fn commands(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.command()).collect()
    }
}
