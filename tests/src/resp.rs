//! A tiny blocking RESP2/RESP3 client: enough to drive any server, and to see the raw bytes of each reply.
//!
//! Invariant: shares no code with the server's own protocol crate, so that one's mistake is not the other's.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long a reply may take before a test fails.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `+OK`
    Simple(String),
    /// `-ERR ...`
    Error(String),
    /// `:1`
    Int(i64),
    /// `$3`
    Bulk(Vec<u8>),
    /// `$-1`, `*-1` or `_`
    Null,
    /// `*2`
    Array(Vec<Value>),
    /// `%1`, key and value in turn
    Map(Vec<Value>),
    /// `~1`
    Set(Vec<Value>),
    /// `>1`
    Push(Vec<Value>),
    /// `,1.5`, as written
    Double(String),
    /// `#t`
    Bool(bool),
    /// `=`, with its format
    Verbatim(Vec<u8>),
    /// `(`
    Big(String),
}

impl Value {
    /// True for an error reply.
    pub fn is_error(&self) -> bool {
        matches!(self, Value::Error(_))
    }

    /// The text of a status, error, bulk or verbatim reply; numbers written out; empty for the rest.
    pub fn text(&self) -> String {
        match self {
            Value::Simple(t) | Value::Error(t) | Value::Double(t) | Value::Big(t) => t.clone(),
            Value::Int(n) => n.to_string(),
            Value::Bulk(b) => String::from_utf8_lossy(b).into_owned(),
            Value::Verbatim(b) => String::from_utf8_lossy(b.get(4..).unwrap_or(b)).into_owned(),
            Value::Bool(b) => b.to_string(),
            Value::Null | Value::Array(_) | Value::Map(_) | Value::Set(_) | Value::Push(_) => {
                String::new()
            }
        }
    }

    /// The bytes of a bulk string.
    pub fn bytes(&self) -> Option<&Vec<u8>> {
        match self {
            Value::Bulk(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The integer, or the integer that a bulk string spells.
    pub fn int(&self) -> Option<i64> {
        if let Value::Int(n) = self { Some(*n) } else { self.text().parse().ok() }
    }

    /// Elements of an aggregate; none for the rest.
    pub fn items(&self) -> &[Value] {
        match self {
            Value::Array(items) | Value::Map(items) | Value::Set(items) | Value::Push(items) => {
                items
            }
            _ => &[],
        }
    }
}

/// Appends one command to `out` in multibulk form.
pub fn encode_into<A: AsRef<[u8]>>(out: &mut Vec<u8>, args: &[A]) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        let arg = arg.as_ref();
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

/// One command in multibulk form.
pub fn encode<A: AsRef<[u8]>>(args: &[A]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_into(&mut out, args);
    out
}

/// A connection.
#[derive(Debug)]
pub struct Conn {
    stream: TcpStream,
    buf: Vec<u8>,
    at: usize,
}

impl Conn {
    /// Connects to a port on loopback.
    pub fn connect(port: u16) -> io::Result<Conn> {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect_timeout(&addr, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
        stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
        Ok(Conn { stream, buf: Vec::new(), at: 0 })
    }

    /// The socket itself.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends one command and reads its reply.
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<Value> {
        self.send_raw(&encode(args))?;
        self.read()
    }

    /// The same for a command line without quoting; panics when the connection fails.
    pub fn line(&mut self, line: &str) -> Value {
        let args: Vec<&str> = line.split_whitespace().collect();
        self.call(&args).unwrap_or_else(|e| panic!("`{line}`: {e}"))
    }

    /// A field of a section of INFO; empty when it is not there.
    pub fn info(&mut self, section: &str, field: &str) -> String {
        let text = self.line(&format!("INFO {section}")).text();
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    }

    /// Sends several commands at once and reads all replies.
    pub fn pipeline<A: AsRef<[u8]>>(&mut self, commands: &[Vec<A>]) -> io::Result<Vec<Value>> {
        let mut out = Vec::new();
        commands.iter().for_each(|c| encode_into(&mut out, c));
        self.send_raw(&out)?;
        commands.iter().map(|_| self.read()).collect()
    }

    /// The next reply.
    pub fn read(&mut self) -> io::Result<Value> {
        Ok(self.read_framed()?.0)
    }

    /// The next reply's bytes.
    pub fn read_raw(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.read_framed()?.1)
    }

    /// Everything until the server closes the connection; an error when it does not within the read timeout.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut out = self.buf.split_off(self.at);
        self.buf.clear();
        self.at = 0;
        match self.stream.read_to_end(&mut out) {
            Ok(_) => Ok(out),
            // The server closed with bytes of ours unread: what it said before that counts.
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Ok(out),
            Err(e) => Err(e),
        }
    }

    fn read_framed(&mut self) -> io::Result<(Value, Vec<u8>)> {
        loop {
            if let Some((value, end)) = parse(&self.buf, self.at)? {
                let raw = self.buf[self.at..end].to_vec();
                self.at = end;
                if self.at == self.buf.len() {
                    self.buf.clear();
                    self.at = 0;
                }
                return Ok((value, raw));
            }
            let mut chunk = [0; 64 << 10];
            let n = self.stream.read(&mut chunk)?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.buf.extend_from_slice(&chunk[..n]);
        }
    }
}

/// A reply that begins at `at`, and where it ends; none while bytes are missing.
pub fn parse(buf: &[u8], at: usize) -> io::Result<Option<(Value, usize)>> {
    let Some(len) = buf.get(at..).and_then(|b| b.windows(2).position(|w| w == b"\r\n")) else {
        return Ok(None);
    };
    let line = &buf[at..at + len];
    let next = at + len + 2;
    let Some((&kind, rest)) = line.split_first() else { return Err(bad(line)) };
    let text = String::from_utf8_lossy(rest).into_owned();
    let number = || text.parse::<i64>().map_err(|_| bad(line));
    let value = match kind {
        b'+' => Value::Simple(text),
        b'-' => Value::Error(text),
        b':' => Value::Int(number()?),
        b',' => Value::Double(text),
        b'(' => Value::Big(text),
        b'#' => Value::Bool(text == "t"),
        b'_' => Value::Null,
        b'$' | b'=' | b'!' => {
            let Ok(len) = usize::try_from(number()?) else { return Ok(Some((Value::Null, next))) };
            let Some(body) = buf.get(next..next + len + 2) else { return Ok(None) };
            if !body.ends_with(b"\r\n") {
                return Err(bad(line));
            }
            let body = body[..len].to_vec();
            let value = match kind {
                b'$' => Value::Bulk(body),
                b'=' => Value::Verbatim(body),
                _ => Value::Error(String::from_utf8_lossy(&body).into_owned()),
            };
            return Ok(Some((value, next + len + 2)));
        }
        b'*' | b'%' | b'~' | b'>' => {
            let Ok(len) = usize::try_from(number()?) else { return Ok(Some((Value::Null, next))) };
            let len = if kind == b'%' { len * 2 } else { len };
            let (mut items, mut at) = (Vec::new(), next);
            for _ in 0..len {
                let Some((item, end)) = parse(buf, at)? else { return Ok(None) };
                items.push(item);
                at = end;
            }
            let value = match kind {
                b'*' => Value::Array(items),
                b'%' => Value::Map(items),
                b'~' => Value::Set(items),
                _ => Value::Push(items),
            };
            return Ok(Some((value, at)));
        }
        _ => return Err(bad(line)),
    };
    Ok(Some((value, next)))
}

fn bad(line: &[u8]) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("not a RESP reply: {:?}", String::from_utf8_lossy(line)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_nested_replies_only_when_whole() {
        let bytes = b"*3\r\n:1\r\n%1\r\n+a\r\n$2\r\nbb\r\n_\r\n";
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut], 0).unwrap(), None, "at {cut}");
        }
        let map = Value::Map(vec![Value::Simple("a".into()), Value::Bulk(b"bb".to_vec())]);
        let whole = Value::Array(vec![Value::Int(1), map, Value::Null]);
        assert_eq!(parse(bytes, 0).unwrap(), Some((whole, bytes.len())));
    }

    #[test]
    fn refuses_what_is_no_reply() {
        assert!(parse(b"hello\r\n", 0).is_err());
        assert!(parse(b"$2\r\nabc\r\n", 0).is_err());
    }
}
