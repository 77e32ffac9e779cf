//! What MIGRATE is asked for.

use std::ops::Range;
use std::time::Duration;

use ringstone_engine::num::parse_i64;
use ringstone_engine::{Args, Error};
use smallvec::SmallVec;

/// The time for each step where none is given.
const TIMEOUT_DEFAULT_MS: u64 = 1000;
/// Where options begin.
const FIRST_OPTION: usize = 6;

/// MIGRATE's arguments, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The other server.
    pub host: String,
    /// Its port; 0 when what was given is none.
    pub port: u16,
    /// The database there, as it was given: the other server says whether it has it.
    pub db: i64,
    /// For each step.
    pub timeout: Duration,
    /// Keys stay here as well.
    pub copy: bool,
    /// Keys of the same name there are overwritten.
    pub replace: bool,
    /// User, if one was given, and password.
    pub login: Option<(Option<Vec<u8>>, Vec<u8>)>,
    /// The keys.
    pub keys: Vec<Vec<u8>>,
}

impl Request {
    /// Reads the arguments.
    pub fn parse(args: Args<'_>) -> Result<Request, Error> {
        let (mut copy, mut replace, mut login) = (false, false, None);
        let (mut keys, mut at) = (3..4, FIRST_OPTION);
        while at < args.len() {
            let more = args.len() - 1 - at;
            if args.is(at, "COPY") {
                copy = true;
            } else if args.is(at, "REPLACE") {
                replace = true;
            } else if args.is(at, "AUTH") && more >= 1 {
                let user = login.take().and_then(|(user, _)| user);
                login = Some((user, args.at(at + 1).to_vec()));
                at += 1;
            } else if args.is(at, "AUTH2") && more >= 2 {
                login = Some((Some(args.at(at + 1).to_vec()), args.at(at + 2).to_vec()));
                at += 2;
            } else if args.is(at, "KEYS") {
                if !args.at(3).is_empty() {
                    return Err(Error::text(
                        "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
                    ));
                }
                keys = at + 1..args.len();
                break;
            } else {
                return Err(Error::Syntax);
            }
            at += 1;
        }
        let timeout_ms = parse_i64(args.at(5)).ok_or(Error::NotInteger)?;
        let db = parse_i64(args.at(4)).ok_or(Error::NotInteger)?;
        let timeout_ms = u64::try_from(timeout_ms).ok().filter(|ms| *ms > 0);
        Ok(Request {
            host: String::from_utf8_lossy(args.at(1)).into_owned(),
            port: std::str::from_utf8(args.at(2)).ok().and_then(|p| p.parse().ok()).unwrap_or(0),
            db,
            timeout: Duration::from_millis(timeout_ms.unwrap_or(TIMEOUT_DEFAULT_MS)),
            copy,
            replace,
            login,
            keys: keys.map(|at| args.at(at).to_vec()).collect(),
        })
    }
}

/// Where the keys are; nowhere in a command line that will be refused. Only the command itself can tell: a user or a password
/// may be called KEYS.
pub fn key_positions(args: Args<'_>, positions: &mut SmallVec<[usize; 4]>) {
    positions.clear();
    positions.extend(keys_at(args));
}

fn keys_at(args: Args<'_>) -> Range<usize> {
    let mut at = FIRST_OPTION;
    while at < args.len() {
        if args.is(at, "KEYS") {
            return if args.at(3).is_empty() { at + 1..args.len() } else { 0..0 };
        }
        at += match () {
            () if args.is(at, "AUTH") => 2,
            () if args.is(at, "AUTH2") => 3,
            () => 1,
        };
    }
    3..4
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringstone_engine::ArgBuf;

    fn words(line: &str) -> ArgBuf {
        ArgBuf::from_parts(line.split(' ').map(|word| if word == "''" { "" } else { word }))
    }

    fn parse(line: &str) -> Result<Request, Error> {
        Request::parse(words(line).as_args())
    }

    #[test]
    fn all_options_are_read() {
        let all = "MIGRATE host 7000 '' 3 250 COPY REPLACE AUTH2 KEYS pass KEYS a KEYS c";
        let request = parse(all).unwrap();
        assert_eq!((request.host.as_str(), request.port, request.db), ("host", 7000, 3));
        assert_eq!(request.timeout, Duration::from_millis(250));
        assert!(request.copy && request.replace);
        assert_eq!(request.login, Some((Some(b"KEYS".to_vec()), b"pass".to_vec())));
        assert_eq!(request.keys, [b"a".to_vec(), b"KEYS".to_vec(), b"c".to_vec()]);
        let plain = parse("MIGRATE host 7000 key 0 0").unwrap();
        assert_eq!(plain.timeout, Duration::from_millis(TIMEOUT_DEFAULT_MS));
        assert_eq!(plain.keys, [b"key".to_vec()]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for line in ["AUTH", "AUTH2 user", "COPY nonsense", "AUTH KEYS x"] {
            let line = format!("MIGRATE host 7000 key 0 10 {line}");
            assert_eq!(parse(&line), Err(Error::Syntax), "{line}");
        }
        for line in ["MIGRATE host 7000 key x 10", "MIGRATE host 7000 key 0 x"] {
            assert_eq!(parse(line), Err(Error::NotInteger), "{line}");
        }
        assert!(parse("MIGRATE host 7000 key 0 10 KEYS a").is_err());
    }

    #[test]
    fn a_password_called_keys_is_no_keyword() {
        let positions = |line: &str| {
            let mut positions = SmallVec::new();
            key_positions(words(line).as_args(), &mut positions);
            positions.to_vec()
        };
        assert_eq!(positions("MIGRATE h 1 key 0 10"), [3]);
        assert_eq!(positions("MIGRATE h 1 '' 0 10 AUTH KEYS KEYS a b"), [9, 10]);
        assert_eq!(positions("MIGRATE h 1 '' 0 10 AUTH2 u KEYS COPY KEYS a"), [11]);
        assert!(positions("MIGRATE h 1 key 0 10 KEYS a").is_empty());
    }
}
