//! Which connections CLIENT KILL and CLIENT LIST mean: the options of Redis, and those that came later (Redis 7.4, Valkey 8
//! and 9), each of them also with NOT- before it.

use std::path::Path;
use std::sync::Arc;

use ringstone_engine::num::parse_i64;
use ringstone_engine::{Args, Error};

use super::info::{ClientType, addresses, flags};
use crate::acl::{User, Users};
use crate::conn::{ClientInfo, Conn};

/// What one option asks for.
#[derive(Clone)]
enum Test {
    Ids(Vec<u64>),
    Type(ClientType),
    User(Arc<User>),
    Peer(String),
    Local(String),
    Ip(String),
    Name(Vec<u8>),
    LibName(Vec<u8>),
    LibVersion(Vec<u8>),
    Db(usize),
    /// All of these letters.
    Flags(String),
    /// Connected for so many seconds or longer.
    Age(i64),
    /// Silent for so many seconds or longer.
    Idle(i64),
}

/// All options of a command line; a connection has to fit each.
#[derive(Clone, Default)]
pub(super) struct Filter {
    /// Tests, and whether they are the other way round.
    tests: Vec<(Test, bool)>,
    /// SKIPME, when it was given.
    pub(super) skips_me: Option<bool>,
}

impl Filter {
    /// The connection whose peer has this address.
    pub(super) fn peer(address: &[u8]) -> Filter {
        Filter { tests: vec![(Test::Peer(text(address)), false)], skips_me: Some(false) }
    }

    /// From the options that begin at argument `at`.
    pub(super) fn parse(args: Args<'_>, mut at: usize, users: &Users) -> Result<Filter, Error> {
        let mut filter = Filter::default();
        while at < args.len() {
            let value = args.get(at + 1).ok_or(Error::Syntax)?;
            let option = args.at(at).to_ascii_uppercase();
            at += 2;
            if option == b"SKIPME" {
                filter.skips_me = Some(super::yes_no(value)?);
                continue;
            }
            let (option, inverted) = match option.strip_prefix(b"NOT-") {
                Some(rest) => (rest, true),
                None => (option.as_slice(), false),
            };
            let test = if option == b"ID" {
                let mut ids = vec![checked_id(value)?];
                while let Some(word) = args.get(at).filter(|word| parse_i64(word).is_some()) {
                    ids.push(checked_id(word)?);
                    at += 1;
                }
                Test::Ids(ids)
            } else {
                Test::parse(option, value, inverted, users)?
            };
            // The last one of a kind counts.
            let kind = std::mem::discriminant(&test);
            filter.tests.retain(|(known, other)| {
                std::mem::discriminant(known) != kind || *other != inverted
            });
            filter.tests.push((test, inverted));
        }
        Ok(filter)
    }

    /// True for a connection that fits.
    pub(super) fn takes(&self, conn: &Conn, now_ms: i64, unix_path: &Path) -> bool {
        self.tests.iter().all(|(test, inverted)| test.fits(conn, now_ms, unix_path) != *inverted)
    }
}

impl Test {
    fn parse(option: &[u8], value: &[u8], inverted: bool, users: &Users) -> Result<Test, Error> {
        Ok(match option {
            b"TYPE" => Test::Type(ClientType::parse(value)?),
            b"USER" => {
                let unknown = || Error::owned(format!("ERR No such user '{}'", text(value)));
                Test::User(users.get(value).ok_or_else(unknown)?.clone())
            }
            b"ADDR" => Test::Peer(text(value)),
            b"LADDR" => Test::Local(text(value)),
            b"IP" => Test::Ip(text(value)),
            b"NAME" => Test::Name(value.to_vec()),
            b"LIB-NAME" => Test::LibName(value.to_vec()),
            b"LIB-VER" => Test::LibVersion(value.to_vec()),
            b"DB" => {
                let db = parse_i64(value).and_then(|db| usize::try_from(db).ok());
                Test::Db(db.ok_or(Error::DbIndex)?)
            }
            b"FLAGS" => Test::Flags(text(value)),
            b"MAXAGE" if !inverted => Test::Age(seconds("maxage", value)?),
            b"IDLE" if !inverted => Test::Idle(seconds("idle", value)?),
            _ => return Err(Error::Syntax),
        })
    }

    fn fits(&self, conn: &Conn, now_ms: i64, unix_path: &Path) -> bool {
        let said = |field: fn(&ClientInfo) -> &Vec<u8>, wanted: &[u8]| {
            conn.info.as_deref().map_or(&[][..], |info| field(info)) == wanted
        };
        match self {
            Test::Ids(ids) => ids.contains(&conn.client_id),
            Test::Type(wanted) => *wanted == ClientType::of(conn),
            Test::User(user) => user.is_same_as(&conn.user),
            Test::Peer(wanted) => addresses(conn, unix_path).0 == *wanted,
            Test::Local(wanted) => addresses(conn, unix_path).1 == *wanted,
            Test::Ip(wanted) => {
                let (peer, _) = addresses(conn, unix_path);
                let ip = peer.rsplit_once(':').map_or(&*peer, |(ip, _)| ip);
                ip.trim_matches(['[', ']']) == wanted
            }
            Test::Name(wanted) => said(|info| &info.name, wanted),
            Test::LibName(wanted) => said(|info| &info.lib_name, wanted),
            Test::LibVersion(wanted) => said(|info| &info.lib_version, wanted),
            Test::Db(db) => conn.db == *db,
            Test::Flags(wanted) => {
                let flags = flags(conn);
                wanted.chars().all(|flag| flags.contains(flag))
            }
            Test::Age(age_s) => (now_ms - conn.since_ms) / 1000 >= *age_s,
            Test::Idle(idle_s) => (now_ms - conn.last_ms) / 1000 >= *idle_s,
        }
    }
}

fn checked_id(word: &[u8]) -> Result<u64, Error> {
    let id = parse_i64(word).and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0);
    id.ok_or(Error::text("ERR client-id should be greater than 0"))
}

fn seconds(option: &str, word: &[u8]) -> Result<i64, Error> {
    match parse_i64(word) {
        None => Err(Error::owned(format!("ERR {option} is not an integer or out of range"))),
        Some(seconds) if seconds > 0 => Ok(seconds),
        Some(_) => Err(Error::owned(format!("ERR {option} should be greater than 0"))),
    }
}

fn text(bytes: &[u8]) -> String {
    ringstone_engine::error::word(bytes)
}
