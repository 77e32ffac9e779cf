//! A shard for tests: runs command lines and shows replies as `redis-cli --no-raw` does, on one line.

use ringstone_engine::cmd::{self, Command};
use ringstone_engine::effect::Records;
use ringstone_engine::keyspace::Mode;
use ringstone_engine::reply::TreeSink;
use ringstone_engine::{ArgBuf, Args, Ctx, Error, Keyspace, Tree, serial};

pub(crate) const NOW_MS: i64 = 1_700_000_000_000;

pub(crate) struct Shard {
    pub(crate) keyspace: Keyspace,
}

impl Shard {
    pub(crate) fn new() -> Shard {
        Shard { keyspace: Keyspace::new(16, 7) }
    }

    /// Runs a command line for a client.
    pub(crate) fn run(&mut self, line: &str) -> Tree {
        let args = ArgBuf::from_parts(split(line));
        let args = args.as_args();
        match find(args) {
            Ok(command) => self.call(0, command, args, Mode::Live),
            Err(error) => Tree::Error(error),
        }
    }

    /// Repeats what a log says.
    pub(crate) fn replay(&mut self, records: &[u8]) {
        for record in Records::new(records) {
            let record = record.expect("a whole record");
            let command = cmd::by_opcode(record.opcode)
                .unwrap_or_else(|| panic!("opcode {} stands for no command", record.opcode));
            let mut args = ArgBuf::default();
            args.push(command.spec.name.as_bytes());
            record.args.as_args().iter_from(0).for_each(|arg| args.push(arg));
            let args = args.as_args();
            assert!(command.spec.arity_fits(args.len()), "arity of the effect {}", text_of(args));
            let reply = self.call(record.db as usize, command, args, Mode::Replay);
            assert!(!matches!(reply, Tree::Error(_)), "the effect {}: {reply:?}", text_of(args));
        }
    }

    fn call(&mut self, db: usize, command: &Command, args: Args<'_>, mode: Mode) -> Tree {
        let mut sink = TreeSink::new(false);
        let mut ctx = Ctx { db: self.keyspace.db(db, NOW_MS, mode), reply: &mut sink };
        let result = (command.run)(&mut ctx, args);
        match cmd::blocking::without_waiting(result, ctx.reply) {
            Err(error) => Tree::Error(error),
            Ok(()) => {
                let mut replies = sink.into_replies();
                assert_eq!(replies.len(), 1, "replies to {}", text_of(args));
                replies.remove(0)
            }
        }
    }

    /// The effects since the last time, as a log would get them.
    pub(crate) fn take_effects(&mut self) -> Vec<u8> {
        let bytes = self.keyspace.effects.bytes().to_vec();
        self.keyspace.effects.clear();
        bytes
    }

    /// Every key of every database with type, expiry and content, in order.
    pub(crate) fn listing(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for index in 0..self.keyspace.databases() {
            let mut db = self.keyspace.db(index, NOW_MS, Mode::Replay);
            db.for_each(&mut |entry| {
                let value = entry.value();
                // A stream's groups are not in its digest.
                let mut body = serial::RdbWriter::default();
                if value.type_name() == "stream" {
                    value.save(&mut body);
                }
                lines.push(format!(
                    "db {index} key {} type {} len {} expires {:?} digest {:02x?} {:x}",
                    String::from_utf8_lossy(entry.key()),
                    value.type_name(),
                    value.element_count(),
                    entry.expire_at_ms(),
                    serial::digest::value_digest(value, false),
                    serial::crc64::checksum(&body.buf),
                ));
            });
        }
        lines.sort();
        lines
    }
}

/// The command or subcommand that a line names, once its arity is checked.
pub(crate) fn find(args: Args<'_>) -> Result<&'static Command, Error> {
    let name = String::from_utf8_lossy(args.at(0)).to_ascii_lowercase();
    let command = cmd::all()
        .find(|command| command.spec.name == name)
        .ok_or(Error::owned(format!("ERR unknown command '{name}'")))?;
    let full = format!("{name}|{}", String::from_utf8_lossy(args.at(1)).to_ascii_lowercase());
    let sub = command.subs.iter().find(|sub| sub.spec.name == full);
    let command = sub.copied().unwrap_or(command);
    if command.spec.arity_fits(args.len()) {
        Ok(command)
    } else {
        Err(Error::Arity(command.spec.name.into()))
    }
}

/// All rows, subcommands included.
pub(crate) fn rows() -> impl Iterator<Item = &'static Command> {
    cmd::all().flat_map(|command| std::iter::once(command).chain(command.subs.iter().copied()))
}

/// Splits a line as redis-cli does: `"..."` with escapes, `'...'` as it is.
pub(crate) fn split(line: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut bytes = line.bytes().peekable();
    while let Some(first) = bytes.next() {
        let mut word = Vec::new();
        match first {
            b' ' => continue,
            b'\'' => word.extend(bytes.by_ref().take_while(|byte| *byte != b'\'')),
            b'"' => loop {
                match bytes.next().expect("a closing quote") {
                    b'"' => break,
                    b'\\' => word.push(unescape(&mut bytes)),
                    byte => word.push(byte),
                }
            },
            _ => {
                word.push(first);
                while let Some(byte) = bytes.next_if(|byte| *byte != b' ') {
                    word.push(byte);
                }
            }
        }
        words.push(word);
    }
    words
}

fn unescape(bytes: &mut impl Iterator<Item = u8>) -> u8 {
    match bytes.next().expect("an escaped byte") {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'a' => 7,
        b'b' => 8,
        b'x' => {
            let hex: String = bytes.take(2).map(char::from).collect();
            u8::from_str_radix(&hex, 16).expect("two hexadecimal digits")
        }
        byte => byte,
    }
}

/// A reply as `redis-cli --no-raw` shows it (RESP2), lines joined by one space.
pub(crate) fn show(reply: &Tree) -> String {
    match reply {
        Tree::Simple(text) => text.clone(),
        Tree::Error(error) => format!("(error) {error}"),
        Tree::Int(value) => format!("(integer) {value}"),
        Tree::Bulk(bytes) | Tree::Verbatim(_, bytes) => quote(bytes),
        Tree::BigNumber(digits) => quote(digits.as_bytes()),
        Tree::Double(value) => {
            let mut buf = ringstone_engine::num::DoubleBuffer::new();
            quote(ringstone_engine::num::format_f64(*value, &mut buf))
        }
        Tree::Bool(value) => format!("(integer) {}", i32::from(*value)),
        Tree::Null | Tree::NullArray => "(nil)".to_owned(),
        Tree::Array(items) | Tree::Map(items) | Tree::Set(items) | Tree::Push(items) => {
            if items.is_empty() {
                return "(empty array)".to_owned();
            }
            let items = items.iter().enumerate();
            let items: Vec<_> =
                items.map(|(at, item)| format!("{}) {}", at + 1, show(item))).collect();
            items.join(" ")
        }
    }
}

fn quote(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(*byte)]),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            7 => out.push_str("\\a"),
            8 => out.push_str("\\b"),
            b' '..=b'~' => out.push(char::from(*byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

pub(crate) fn text_of(args: Args<'_>) -> String {
    args.iter_from(0).map(quote).collect::<Vec<_>>().join(" ")
}

#[test]
fn lines_are_split_and_replies_shown_as_redis_cli_does() {
    assert_eq!(split(r#"SET k "a b\x00\"" 'c d'"#), [b"SET", &b"k"[..], b"a b\0\"", b"c d"]);
    let nested = Tree::Array(vec![
        Tree::Array(vec![Tree::Bulk(b"a\x00\"".to_vec()), Tree::Int(1)]),
        Tree::Null,
        Tree::Map(Vec::new()),
        Tree::Double(1.5),
    ]);
    assert_eq!(
        show(&nested),
        r#"1) 1) "a\x00\"" 2) (integer) 1 2) (nil) 3) (empty array) 4) "1.5""#
    );
}
