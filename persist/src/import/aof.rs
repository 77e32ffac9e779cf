//! The commands of an append-only file.
//!
//! ```text
//! file      = ( annotation | command )*
//! annotation = '#' ... \r\n                                       #TS:seconds, passed over
//! command   = '*' argc \r\n ( '$' len \r\n bytes \r\n ){argc}
//! ```

use std::collections::VecDeque;

use ringstone_engine::ArgBuf;
use ringstone_engine::num::parse_i64;

use super::error::ImportFault;

/// No line that announces a number is longer.
const LINE_LEN_MAX: usize = 64;

/// A command with its database and place.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) db: u32,
    pub(super) args: ArgBuf,
    pub(super) offset: u64,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    /// A command.
    Command(Command),
    /// The file ends here.
    End,
    /// The file ends within a command or a transaction that begins at `offset`.
    Torn {
        /// Where the last whole one ends.
        offset: u64,
    },
}

/// Why reading stopped within a command.
enum Stop {
    Torn,
    Broken(&'static str),
}

/// A fault with its offset in the file.
type Fault = (u64, ImportFault);

/// Reads commands one by one, those of a transaction only when its EXEC is there.
pub(super) struct Commands<'a> {
    bytes: &'a [u8],
    at: usize,
    db: u32,
    /// Whole transactions' commands that wait to be handed on.
    ready: VecDeque<Command>,
}

/// A transaction under way.
struct Transaction {
    offset: u64,
    commands: VecDeque<Command>,
}

impl<'a> Commands<'a> {
    /// Commands of `bytes` from `start` on.
    pub(super) fn new(bytes: &'a [u8], start: u64) -> Self {
        let at = usize::try_from(start).unwrap_or(usize::MAX).min(bytes.len());
        Commands { bytes, at, db: 0, ready: VecDeque::new() }
    }

    /// The next command.
    pub(super) fn next(&mut self) -> Result<Next, Fault> {
        if let Some(command) = self.ready.pop_front() {
            return Ok(Next::Command(command));
        }
        let mut transaction: Option<Transaction> = None;
        loop {
            let offset = self.at as u64;
            let begin = transaction.as_ref().map_or(offset, |open| open.offset);
            if self.at == self.bytes.len() {
                return Ok(if transaction.is_some() {
                    Next::Torn { offset: begin }
                } else {
                    Next::End
                });
            }
            let args = match self.command() {
                Ok(Some(args)) => args,
                Ok(None) => continue,
                Err(Stop::Torn) => return Ok(Next::Torn { offset: begin }),
                Err(Stop::Broken(what)) => {
                    return Err((self.at as u64, ImportFault::Command(what)));
                }
            };
            let words = args.as_args();
            if words.is(0, "SELECT") {
                self.db = database(words.at(1))
                    .ok_or((offset, ImportFault::Command("SELECT of no database")))?;
            } else if words.is(0, "MULTI") {
                if transaction.is_some() {
                    return Err((offset, ImportFault::Command("MULTI within a transaction")));
                }
                transaction = Some(Transaction { offset, commands: VecDeque::new() });
            } else if words.is(0, "EXEC") {
                let open = transaction
                    .take()
                    .ok_or((offset, ImportFault::Command("EXEC without a transaction")))?;
                self.ready = open.commands;
                if let Some(command) = self.ready.pop_front() {
                    return Ok(Next::Command(command));
                }
            } else {
                let command = Command { db: self.db, args, offset };
                match &mut transaction {
                    Some(open) => open.commands.push_back(command),
                    None => return Ok(Next::Command(command)),
                }
            }
        }
    }

    /// One command, or `None` for an annotation. `at` moves only past whole ones, or to what is broken.
    fn command(&mut self) -> Result<Option<ArgBuf>, Stop> {
        let mut cursor = Cursor { bytes: self.bytes, at: self.at };
        let result = cursor.command();
        if !matches!(result, Err(Stop::Torn)) {
            self.at = cursor.at;
        }
        result
    }
}

fn database(word: &[u8]) -> Option<u32> {
    parse_i64(word).and_then(|db| u32::try_from(db).ok())
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn command(&mut self) -> Result<Option<ArgBuf>, Stop> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.first() == Some(&b'#') {
            let end = find(b'\n', rest).ok_or(Stop::Torn)?;
            self.at += end + 1;
            return Ok(None);
        }
        let argc = self.number(b'*', "a command should begin here")?;
        if argc == 0 {
            return Err(Stop::Broken("a command without a name"));
        }
        let mut args = ArgBuf::default();
        let mut total = 0u64;
        for _ in 0..argc {
            let len = self.number(b'$', "an argument should begin here")?;
            total = total.saturating_add(len);
            if total > u64::from(u32::MAX) {
                return Err(Stop::Broken("a command longer than 4 GiB"));
            }
            args.push(self.line_of(usize::try_from(len).map_err(|_| Stop::Torn)?)?);
        }
        Ok(Some(args))
    }

    /// `len` bytes and the end of line behind them.
    fn line_of(&mut self, len: usize) -> Result<&'a [u8], Stop> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let (found, behind) = rest.split_at_checked(len).ok_or(Stop::Torn)?;
        match behind {
            [b'\r', b'\n', ..] => {
                self.at += len + 2;
                Ok(found)
            }
            [] | [b'\r'] => Err(Stop::Torn),
            _ => {
                self.at += len;
                Err(Stop::Broken("an argument's length does not fit"))
            }
        }
    }

    /// A line with a number behind `mark`.
    fn number(&mut self, mark: u8, what: &'static str) -> Result<u64, Stop> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.first() {
            None => return Err(Stop::Torn),
            Some(first) if *first != mark => return Err(Stop::Broken(what)),
            Some(_) => {}
        }
        let head = rest.get(..LINE_LEN_MAX).unwrap_or(rest);
        let Some(end) = find(b'\n', head) else {
            // Without an end of line it may still come, unless it is too long or no number already.
            let digits = head.get(1..).unwrap_or_default();
            let digits = digits.strip_suffix(b"\r").unwrap_or(digits);
            let may_come = head.len() == rest.len() && digits.iter().all(u8::is_ascii_digit);
            return Err(if may_come { Stop::Torn } else { Stop::Broken("no number") });
        };
        let digits = head.get(1..end).and_then(|line| line.strip_suffix(b"\r"));
        let number = digits
            .and_then(parse_i64)
            .and_then(|number| u64::try_from(number).ok())
            .ok_or(Stop::Broken("no number"))?;
        self.at += end + 1;
        Ok(number)
    }
}

fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|b| *b == byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resp(words: &[&str]) -> Vec<u8> {
        let mut out = format!("*{}\r\n", words.len());
        for word in words {
            out += &format!("${}\r\n{word}\r\n", word.len());
        }
        out.into_bytes()
    }

    /// All commands as text, and how it ended: `Ok(None)` at the end, `Ok(Some(offset))` torn, else the fault.
    fn read(bytes: &[u8]) -> (Vec<String>, Result<Option<u64>, Fault>) {
        let mut commands = Commands::new(bytes, 0);
        let mut out = Vec::new();
        loop {
            match commands.next() {
                Ok(Next::Command(command)) => {
                    let words: Vec<_> = command
                        .args
                        .as_args()
                        .iter_from(0)
                        .map(|word| String::from_utf8_lossy(word).into_owned())
                        .collect();
                    out.push(format!("{}:{}", command.db, words.join(" ")));
                }
                Ok(Next::End) => return (out, Ok(None)),
                Ok(Next::Torn { offset }) => return (out, Ok(Some(offset))),
                Err(fault) => return (out, Err(fault)),
            }
        }
    }

    fn sample() -> Vec<u8> {
        [
            resp(&["SET", "a", "1"]),
            b"#TS:1700000000\r\n".to_vec(),
            resp(&["select", "3"]),
            resp(&["MULTI"]),
            resp(&["INCR", "a"]),
            resp(&["DEL", "b"]),
            resp(&["EXEC"]),
            resp(&["SET", "c", ""]),
        ]
        .concat()
    }

    #[test]
    fn commands_come_with_their_database_and_transactions_unwrapped() {
        let (commands, end) = read(&sample());
        assert_eq!(commands, ["0:SET a 1", "3:INCR a", "3:DEL b", "3:SET c "]);
        assert_eq!(end.unwrap(), None);
    }

    #[test]
    fn a_cut_file_gives_its_whole_commands_and_no_part_of_a_transaction() {
        let bytes = sample();
        let multi = resp(&["SET", "a", "1"]).len() + 16 + resp(&["select", "3"]).len();
        let exec_end = bytes.len() - resp(&["SET", "c", ""]).len();
        for cut in 0..bytes.len() {
            let (commands, end) = read(&bytes[..cut]);
            let torn = end.expect("a cut is no fault");
            match commands.len() {
                0 => assert!(cut < multi),
                1 => assert!(cut < exec_end),
                3 => assert!(cut >= exec_end),
                other => panic!("{other} commands at {cut}"),
            }
            if cut > multi && cut < exec_end {
                assert_eq!(torn, Some(multi as u64), "what is kept ends before MULTI");
            }
        }
    }

    #[test]
    fn what_is_broken_is_told_with_its_place() {
        let good = resp(&["PING"]);
        for (bad, at) in [
            (&b"PING\r\n"[..], 0),
            (b"*x\r\n", 0),
            (b"*0\r\n", 4),
            (b"*-1\r\n", 0),
            (b"*1\r\n+OK\r\n", 4),
            (b"*1\r\n$3\r\nabcde", 11),
            (b"\0\0\0\0", 0),
            (b"*1\r\n$4\r\nEXEC\r\n", 0),
            (b"*2\r\n$6\r\nSELECT\r\n$1\r\nx\r\n", 0),
        ] {
            let (commands, end) = read(&[&good[..], bad].concat());
            assert_eq!(commands.len(), 1);
            assert_eq!(end.unwrap_err().0, (good.len() + at) as u64, "{}", bad.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_read_torn_or_refused(at in 0usize..150, byte in any::<u8>()) {
            let mut bytes = sample();
            bytes[at] = byte;
            let _ = read(&bytes);
        }
    }
}
