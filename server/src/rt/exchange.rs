//! A short conversation with another server, on a thread of its own: looking up a name and connecting may block.
//!
//! ```text
//!   shard ── start ──> thread: look up, connect, (write a stage, read a line for each command)... ── done(Answers) ──> shard's mailbox
//! ```
//!
//! Invariant: it ends. Each step has a time limit, and what the other side sends is bounded.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Conversations under way at one time, in the process.
const EXCHANGES_MAX: usize = 64;
/// A line of an answer: a status or an error.
const LINE_LEN_MAX: usize = 64 * 1024;
/// Bytes written between two looks at the clock.
const CHUNK_BYTES: usize = 64 * 1024;

static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// What to say to whom.
#[derive(Debug)]
pub struct Exchange {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// For connecting, for each chunk written and for each line read.
    pub timeout: Duration,
    /// What is said, one after another. An error among the answers to one ends it.
    pub stages: Vec<Stage>,
}

/// Commands that are sent together.
#[derive(Debug)]
pub struct Stage {
    /// Their bytes.
    pub request: Vec<u8>,
    /// Lines that will come back, one for each command.
    pub lines: usize,
}

/// Where a conversation broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody was reached in time.
    Connect,
    /// Not all could be written in time.
    Write,
    /// Not all answers came in time.
    Read,
}

/// What came back.
#[derive(Debug)]
pub struct Answers {
    /// The lines, without their ends.
    pub lines: Vec<Vec<u8>>,
    /// Why there are fewer than expected.
    pub failure: Option<Failure>,
}

/// Begins a conversation; `done` is called on its thread. An error when there are too many already.
pub fn start(exchange: Exchange, done: impl FnOnce(Answers) + Send + 'static) -> io::Result<()> {
    if UNDER_WAY.fetch_add(1, Ordering::AcqRel) >= EXCHANGES_MAX {
        UNDER_WAY.fetch_sub(1, Ordering::AcqRel);
        return Err(io::ErrorKind::QuotaExceeded.into());
    }
    let talk = move || {
        let mut lines = Vec::new();
        let failure = exchange.talk(&mut lines).err();
        UNDER_WAY.fetch_sub(1, Ordering::AcqRel);
        done(Answers { lines, failure });
    };
    match std::thread::Builder::new().name("exchange".into()).spawn(talk) {
        Ok(_) => Ok(()),
        Err(e) => {
            UNDER_WAY.fetch_sub(1, Ordering::AcqRel);
            Err(e)
        }
    }
}

impl Exchange {
    fn talk(&self, lines: &mut Vec<Vec<u8>>) -> Result<(), Failure> {
        let stream = self.connect().map_err(|e| {
            // Redis finds out when it writes.
            let is_late = e.kind() == io::ErrorKind::ConnectionRefused;
            if is_late { Failure::Write } else { Failure::Connect }
        })?;
        let mut reader = Lines { stream, timeout: self.timeout, buf: Vec::new() };
        for stage in &self.stages {
            self.write(&mut reader.stream, &stage.request).map_err(|_| Failure::Write)?;
            let mut refused = false;
            for _ in 0..stage.lines {
                let line = reader.next_line().map_err(|_| Failure::Read)?;
                refused |= line.first() == Some(&b'-');
                lines.push(line);
            }
            if refused {
                break;
            }
        }
        Ok(())
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut failure = io::ErrorKind::NotFound.into();
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, self.timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_write_timeout(Some(self.timeout))?;
                    return Ok(stream);
                }
                Err(e) => failure = e,
            }
        }
        Err(failure)
    }

    fn write(&self, stream: &mut TcpStream, request: &[u8]) -> io::Result<()> {
        for chunk in request.chunks(CHUNK_BYTES) {
            let (began, mut rest) = (Instant::now(), chunk);
            while !rest.is_empty() {
                if began.elapsed() > self.timeout {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                match stream.write(rest)? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    written => rest = rest.get(written..).unwrap_or_default(),
                }
            }
        }
        Ok(())
    }
}

struct Lines {
    stream: TcpStream,
    timeout: Duration,
    buf: Vec<u8>,
}

impl Lines {
    fn next_line(&mut self) -> io::Result<Vec<u8>> {
        let until = Instant::now() + self.timeout;
        loop {
            if let Some(end) = self.buf.iter().position(|byte| *byte == b'\n') {
                let rest = self.buf.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.buf, rest);
                while line.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
                    line.pop();
                }
                return Ok(line);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut chunk = [0; 4096];
            let count = self.stream.read(&mut chunk)?;
            self.buf.extend_from_slice(chunk.get(..count).unwrap_or_default());
            if count == 0 || self.buf.len() > LINE_LEN_MAX {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::mpsc;

    fn exchange(port: u16, timeout_ms: u64, lines: usize) -> Answers {
        let (sender, receiver) = mpsc::channel();
        let timeout = Duration::from_millis(timeout_ms);
        let request = b"PING\r\nPING\r\n".to_vec();
        let stages = vec![Stage { request, lines }];
        let exchange = Exchange { host: "127.0.0.1".into(), port, timeout, stages };
        start(exchange, move |answers| sender.send(answers).unwrap()).unwrap();
        receiver.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    #[test]
    fn a_line_comes_back_for_each_command() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut got = [0; 12];
            stream.read_exact(&mut got).unwrap();
            stream.write_all(b"+PO").unwrap();
            stream.write_all(b"NG\r\n-ERR no\r\n").unwrap();
        });
        let answers = exchange(port, 10_000, 2);
        assert_eq!(answers.lines, [b"+PONG".to_vec(), b"-ERR no".to_vec()]);
        assert_eq!(answers.failure, None);
        server.join().unwrap();
    }

    #[test]
    fn silence_ends_in_time_and_tells_what_came_before() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"+OK\r\n+hal").unwrap();
            let mut rest = Vec::new();
            // Until the other side gives up.
            drop(stream.read_to_end(&mut rest));
        });
        let answers = exchange(port, 100, 2);
        assert_eq!(answers.lines, [b"+OK".to_vec()]);
        assert_eq!(answers.failure, Some(Failure::Read));
        server.join().unwrap();
    }

    #[test]
    fn an_error_ends_it_before_the_next_stage() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"-NOAUTH who are you?\r\n+OK\r\n").unwrap();
            let mut got = String::new();
            stream.read_to_string(&mut got).unwrap();
            got
        });
        let stage = |request: &[u8], lines| Stage { request: request.to_vec(), lines };
        let stages = vec![stage(b"one two\r\n", 2), stage(b"three\r\n", 1)];
        let timeout = Duration::from_secs(10);
        let mut lines = Vec::new();
        let exchange = Exchange { host: "127.0.0.1".into(), port, timeout, stages };
        assert_eq!(exchange.talk(&mut lines), Ok(()));
        assert_eq!(lines.len(), 2);
        assert_eq!(server.join().unwrap(), "one two\r\n");
    }

    #[test]
    fn nobody_there_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert_eq!(exchange(port, 1000, 1).failure, Some(Failure::Write));
    }
}
