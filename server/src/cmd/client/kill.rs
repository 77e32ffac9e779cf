//! CLIENT KILL.

use std::path::Path;
use std::sync::Arc;

use ringstone_engine::cmd::{Arg, ArgKind, Spec};
use ringstone_engine::num::parse_i64;
use ringstone_engine::{Args, Error, Tree};

use super::super::{Host, HostCommand, Outcome};
use super::ADMIN_SUB;
use super::info::{ClientType, addresses};
use crate::acl::{User, Users};
use crate::ask::ask_all;
use crate::conn::{Conn, ConnId};
use crate::shard::{Shard, ShardRef};

const CLIENT_TYPES: &[Arg] = &[
    Arg::word("normal", "NORMAL"),
    Arg::word("master", "MASTER"),
    Arg::word("slave", "SLAVE"),
    Arg::word("replica", "REPLICA"),
    Arg::word("pubsub", "PUBSUB"),
];

pub(super) static KILL: HostCommand = HostCommand {
    spec: Spec {
        name: "client|kill",
        arity: -3,
        since: "2.4.0",
        complexity: "O(N) where N is the number of client connections",
        summary: "Closes connections.",
        args: &[Arg::one_of(
            "filter",
            &[
                Arg::new("ip:port", ArgKind::String),
                Arg {
                    multiple: true,
                    ..Arg::one_of(
                        "new-format",
                        &[
                            Arg::new("client-id", ArgKind::Integer).token("ID").optional(),
                            Arg {
                                optional: true,
                                token: Some("TYPE"),
                                ..Arg::one_of("normal_master_slave_pubsub", CLIENT_TYPES)
                            },
                            Arg::new("username", ArgKind::String).token("USER").optional(),
                            Arg::new("ip:port", ArgKind::String).token("ADDR").optional(),
                            Arg::new("ip:port", ArgKind::String).token("LADDR").optional(),
                            Arg::new("yes/no", ArgKind::String).token("SKIPME").optional(),
                        ],
                    )
                },
            ],
        )],
        ..ADMIN_SUB
    },
    run: kill,
    subs: &[],
};

#[derive(Clone, Default)]
struct Filter {
    id: Option<u64>,
    wanted: Option<ClientType>,
    user: Option<Arc<User>>,
    peer: Option<String>,
    local: Option<String>,
    skip: Option<u64>,
}

impl Filter {
    fn takes(&self, conn: &Conn, unix_path: &Path) -> bool {
        let wants_address = self.peer.is_some() || self.local.is_some();
        let (peer, local) =
            if wants_address { addresses(conn, unix_path) } else { Default::default() };
        self.id.is_none_or(|id| id == conn.client_id)
            && self.wanted.is_none_or(|wanted| wanted == ClientType::of(conn))
            && self.user.as_ref().is_none_or(|user| user.is_same_as(&conn.user))
            && self.peer.as_ref().is_none_or(|wanted| *wanted == peer)
            && self.local.as_ref().is_none_or(|wanted| *wanted == local)
            && self.skip != Some(conn.client_id)
    }
}

fn kill(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let me = host.conn.client_id;
    let (filter, old_form) = if args.len() == 3 {
        (Filter { peer: Some(text(args.at(2))), ..Filter::default() }, true)
    } else {
        (parse(args, me, &host.shard.users)?, false)
    };
    let path = host.shard.config.unixsocket.clone();
    let kills_me = filter.takes(host.conn, &path);
    let id = host.conn.id;
    host.later(move |shard| async move {
        let killed: usize =
            ask_all(&shard, move |there| there.kill(&filter, me)).await.into_iter().sum();
        let killed = killed + usize::from(kills_me);
        if kills_me {
            close_after_answer(&shard, id);
        }
        match (old_form, killed) {
            (true, 0) => Tree::Error(Error::text("ERR No such client")),
            (true, _) => Tree::Simple("OK".into()),
            (false, killed) => Tree::Int(i64::try_from(killed).unwrap_or(i64::MAX)),
        }
    })
}

fn parse(args: Args<'_>, me: u64, users: &Users) -> Result<Filter, Error> {
    let mut filter = Filter { skip: Some(me), ..Filter::default() };
    let mut at = 2;
    while at < args.len() {
        if at + 1 >= args.len() {
            return Err(Error::Syntax);
        }
        let value = args.at(at + 1);
        if args.is(at, "ID") {
            let id = parse_i64(value).filter(|id| *id > 0).and_then(|id| u64::try_from(id).ok());
            filter.id = Some(id.ok_or(Error::text("ERR client-id should be greater than 0"))?);
        } else if args.is(at, "TYPE") {
            filter.wanted = Some(ClientType::parse(value)?);
        } else if args.is(at, "ADDR") {
            filter.peer = Some(text(value));
        } else if args.is(at, "LADDR") {
            filter.local = Some(text(value));
        } else if args.is(at, "USER") {
            let user = users.get(value);
            let unknown = || Error::owned(format!("ERR No such user '{}'", text(value)));
            filter.user = Some(user.ok_or_else(unknown)?.clone());
        } else if args.is(at, "SKIPME") {
            filter.skip = if value.eq_ignore_ascii_case(b"yes") {
                Some(me)
            } else if value.eq_ignore_ascii_case(b"no") {
                None
            } else {
                return Err(Error::Syntax);
            };
        } else {
            return Err(Error::Syntax);
        }
        at += 2;
    }
    Ok(filter)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Ends a connection as soon as its command has been answered, which a task is working on.
pub(crate) fn close_after_answer(shard: &ShardRef, id: ConnId) {
    if let Some(conn) = shard.borrow_mut().conns.get(id) {
        conn.close_when_answered = true;
    }
}

impl Shard {
    fn kill(&mut self, filter: &Filter, caller: u64) -> usize {
        let path = self.config.unixsocket.clone();
        let ids: Vec<ConnId> = self
            .conns
            .iter_mut()
            .filter(|conn| !conn.closing && conn.client_id != caller && filter.takes(conn, &path))
            .map(|conn| conn.id)
            .collect();
        ids.iter().for_each(|id| self.close_id(*id));
        ids.len()
    }
}
