//! CLIENT KILL.

use ringstone_engine::cmd::{Arg, ArgKind, Spec};
use ringstone_engine::{Args, Error, Tree};

use super::super::{Host, HostCommand, Outcome};
use super::ADMIN_SUB;
use super::filter::Filter;
use crate::ask::ask_all;
use crate::conn::ConnId;
use crate::shard::{Shard, ShardRef};

const CLIENT_TYPES: &[Arg] = &[
    Arg::word("normal", "NORMAL"),
    Arg::word("master", "MASTER").since("3.2.0"),
    Arg::word("slave", "SLAVE"),
    Arg::word("replica", "REPLICA").since("5.0.0"),
    Arg::word("pubsub", "PUBSUB"),
];

pub(super) static KILL: HostCommand = HostCommand {
    spec: Spec {
        name: "client|kill",
        arity: -3,
        since: "2.4.0",
        complexity: "O(N) where N is the number of client connections",
        summary: "Closes connections.",
        history: &[
            ("2.8.12", "Added new filter format."),
            ("2.8.12", "`ID` option."),
            ("3.2.0", "Added `master` type in for `TYPE` option."),
            (
                "5.0.0",
                "Replaced `slave` `TYPE` with `replica`. `slave` still supported for backward compatibility.",
            ),
            ("6.2.0", "`LADDR` option."),
        ],
        args: &[Arg::one_of(
            "filter",
            &[
                Arg::new("ip:port", ArgKind::String).deprecated_since("2.8.12"),
                Arg {
                    multiple: true,
                    ..Arg::one_of(
                        "new-format",
                        &[
                            Arg::new("client-id", ArgKind::Integer)
                                .token("ID")
                                .optional()
                                .since("2.8.12"),
                            Arg {
                                optional: true,
                                token: Some("TYPE"),
                                ..Arg::one_of("normal_master_slave_pubsub", CLIENT_TYPES)
                                    .since("2.8.12")
                            },
                            Arg::new("username", ArgKind::String).token("USER").optional(),
                            Arg::new("ip:port", ArgKind::String).token("ADDR").optional(),
                            Arg::new("ip:port", ArgKind::String)
                                .token("LADDR")
                                .optional()
                                .since("6.2.0"),
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

fn kill(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let me = host.conn.client_id;
    let (filter, old_form) = if args.len() == 3 {
        (Filter::peer(args.at(2)), true)
    } else {
        (Filter::parse(args, 2, &host.shard.users)?, false)
    };
    let path = host.shard.config.unixsocket.clone();
    let kills_me =
        filter.skips_me == Some(false) && filter.takes(host.conn, host.shard.now_ms, &path);
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

/// Ends a connection as soon as its command has been answered, which a task is working on.
pub(crate) fn close_after_answer(shard: &ShardRef, id: ConnId) {
    if let Some(conn) = shard.borrow_mut().conns.get(id) {
        conn.close_when_answered = true;
    }
}

impl Shard {
    fn kill(&mut self, filter: &Filter, caller: u64) -> usize {
        let (now_ms, path) = (self.now_ms, self.config.unixsocket.clone());
        let ids: Vec<ConnId> = self
            .conns
            .iter_mut()
            .filter(|conn| !conn.closing && conn.client_id != caller)
            .filter(|conn| filter.takes(conn, now_ms, &path))
            .map(|conn| conn.id)
            .collect();
        ids.iter().for_each(|id| self.close_id(*id));
        ids.len()
    }
}
