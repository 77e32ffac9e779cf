//! CLIENT INFO and CLIENT LIST.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering;

use ringstone_engine::cmd::{Arg, ArgKind, Spec};
use ringstone_engine::num::parse_i64;
use ringstone_engine::{Args, Error, Reply, Tree};

use super::super::{HostCommand, Outcome};
use super::filter::Filter;
use super::{ADMIN_SUB, SUB};
use crate::ask::ask_all;
use crate::conn::Conn;
use crate::rt::socket;
use crate::shard::Shard;

/// One connection as CLIENT LIST shows it, with the command that it runs just now.
pub(crate) fn line(conn: &Conn, running: Args<'_>, now_ms: i64, unix_path: &Path) -> String {
    let (query_bytes, args_bytes) = command_bytes(running);
    let (peer, local) = addresses(conn, unix_path);
    let info = conn.info.as_deref();
    let text = |bytes: Option<&Vec<u8>>| {
        bytes.map(|b| String::from_utf8_lossy(b).into_owned()).unwrap_or_default()
    };
    let queue = conn.tx.as_ref().and_then(|tx| tx.queue.as_ref());
    let multi = queue.map_or(-1, |queue| i64::try_from(queue.len()).unwrap_or(i64::MAX));
    let flags = flags(conn);
    let (channels, patterns, shard_channels) =
        conn.subscriptions.as_ref().map_or((0, 0, 0), |all| all.counts());
    let (obl, oll, omem) = conn.output_parts();
    let events = match (conn.receiving, conn.is_sending()) {
        (true, true) => "rw",
        (_, false) => "r",
        (false, true) => "w",
    };
    format!(
        "id={} addr={peer} laddr={local} fd={} name={} age={} idle={} flags={flags} db={} sub={channels} psub={patterns} ssub={shard_channels} multi={multi} qbuf={} \
         qbuf-free={} argv-mem={args_bytes} multi-mem={} rbs={} rbp={} obl={obl} oll={oll} omem={omem} tot-mem={} events={events} cmd={} user={} \
         redir={} resp={} lib-name={} lib-ver={}",
        conn.client_id,
        conn.fd,
        text(info.map(|i| &i.name)),
        (now_ms - conn.since_ms) / 1000,
        (now_ms - conn.last_ms) / 1000,
        conn.db,
        conn.inbuf.len() + query_bytes,
        conn.inbuf.capacity() - conn.inbuf.len(),
        conn.queue_bytes(),
        conn.output_capacity(),
        conn.output_peak.max(conn.output_bytes()),
        conn.memory_bytes(),
        conn.last_command,
        String::from_utf8_lossy(&conn.user.name),
        super::tracking::redirect_id(conn),
        if conn.resp3 { 3 } else { 2 },
        text(info.map(|i| &i.lib_name)),
        text(info.map(|i| &i.lib_version)),
    )
}

/// The letters that CLIENT LIST shows.
pub(super) fn flags(conn: &Conn) -> String {
    let mut flags = String::new();
    if conn.is_replica() {
        flags.push('S');
    }
    if conn.monitors {
        flags.push('O');
    }
    if conn.is_subscriber() {
        flags.push('P');
    }
    if conn.is_queueing() {
        flags.push('x');
    }
    if conn.blocked {
        flags.push('b');
    }
    if let Some(tracking) = &conn.tracking {
        flags.push('t');
        if tracking.redirect.is_some_and(|redirect| redirect.broken) {
            flags.push('R');
        }
        if tracking.broadcasts() {
            flags.push('B');
        }
    }
    if conn.tx.as_ref().is_some_and(|tx| tx.dirty.load(Ordering::Acquire)) {
        flags.push('d');
    }
    if conn.close_after_reply {
        flags.push('c');
    }
    if conn.unix {
        flags.push('U');
    }
    if conn.no_evict {
        flags.push('e');
    }
    if conn.no_touch {
        flags.push('T');
    }
    if flags.is_empty() {
        flags.push('N');
    }
    flags
}

/// Length of a command in the protocol and of its words alone; nothing when there is none.
fn command_bytes(args: Args<'_>) -> (usize, usize) {
    let digits = |number: usize| number.to_string().len();
    let words: usize = args.iter_from(0).map(<[u8]>::len).sum();
    let frames: usize = args.iter_from(0).map(|word| digits(word.len()) + 5).sum();
    if args.is_empty() { (0, 0) } else { (3 + digits(args.len()) + frames + words, words) }
}

/// Peer and local address as CLIENT LIST shows them.
pub(crate) fn addresses(conn: &Conn, unix_path: &Path) -> (String, String) {
    if conn.unix {
        return (format!("{}:0", unix_path.display()), format!("{}:0", unix_path.display()));
    }
    let (peer, local) = socket::names(conn.fd);
    let text = |address: Option<SocketAddr>| {
        address.map_or_else(|| "?:0".to_owned(), |address| address.to_string())
    };
    (text(peer), text(local))
}

pub(super) static INFO: HostCommand = HostCommand {
    spec: Spec {
        name: "client|info",
        arity: 2,
        since: "6.2.0",
        summary: "Tells about the connection.",
        tips: &["nondeterministic_output"],
        ..SUB
    },
    run: |host, args| {
        let path = host.shard.config.unixsocket.clone();
        let text = line(host.conn, args, host.shard.now_ms, &path) + "\n";
        host.reply().verbatim("txt", text.as_bytes());
        Ok(Outcome::Done)
    },
    subs: &[],
};

pub(super) static LIST: HostCommand = HostCommand {
    spec: Spec {
        name: "client|list",
        arity: -2,
        since: "2.4.0",
        complexity: "O(N) where N is the number of client connections",
        summary: "Tells about all connections.",
        history: &[
            ("2.8.12", "Added unique client `id` field."),
            ("5.0.0", "Added optional `TYPE` filter."),
            ("6.0.0", "Added `user` field."),
            (
                "6.2.0",
                "Added `argv-mem`, `tot-mem`, `laddr` and `redir` fields and the optional `ID` filter.",
            ),
            ("7.0.0", "Added `resp`, `multi-mem`, `rbs` and `rbp` fields."),
            ("7.0.3", "Added `ssub` field."),
        ],
        tips: &["nondeterministic_output"],
        args: &[
            Arg {
                optional: true,
                token: Some("TYPE"),
                ..Arg::one_of(
                    "normal_master_replica_pubsub",
                    &[
                        Arg::word("normal", "NORMAL"),
                        Arg::word("master", "MASTER"),
                        Arg::word("replica", "REPLICA"),
                        Arg::word("pubsub", "PUBSUB"),
                    ],
                )
                .since("5.0.0")
            },
            Arg {
                optional: true,
                token: Some("ID"),
                ..Arg::block("id", &[Arg::new("client-id", ArgKind::Integer).multiple()])
                    .since("6.2.0")
            },
        ],
        ..ADMIN_SUB
    },
    run: |host, args| {
        let asked: Option<Vec<i64>> = args.iter_from(3).map(parse_i64).collect();
        let asked = asked.filter(|ids| args.is(2, "ID") && !ids.is_empty());
        let filter = match &asked {
            // Numbers that no client has, negative ones among them, name nobody.
            Some(_) => Filter::default(),
            // Numbers and one word that is none: no option has a value behind it.
            None if args.is(2, "ID")
                && args.len() > 3
                && args.iter_from(3).position(|id| parse_i64(id).is_none())
                    == Some(args.len() - 4) =>
            {
                return Err(Error::text("ERR Invalid client ID"));
            }
            None => Filter::parse(args, 2, &host.shard.users)?,
        };
        let (now_ms, path) = (host.shard.now_ms, host.shard.config.unixsocket.clone());
        let me = host.conn.client_id;
        let shows_me = filter.skips_me != Some(true) && filter.takes(host.conn, now_ms, &path);
        let mine = shows_me.then(|| (me, line(host.conn, args, now_ms, &path)));
        host.later(|shard| async move {
            let lists = ask_all(&shard, move |there| there.client_lines(&filter, me)).await;
            let mut all: Vec<Line> = lists.into_iter().flatten().chain(mine).collect();
            all.sort_unstable_by_key(|(id, _)| *id);
            let lines: Vec<&str> = match &asked {
                None => all.iter().map(|(_, line)| &**line).collect(),
                // In the order asked for, and as often.
                Some(ids) => ids.iter().filter_map(|id| find(&all, *id)).collect(),
            };
            let text: String = lines.into_iter().flat_map(|line| [line, "\n"]).collect();
            Tree::Verbatim("txt".into(), text.into_bytes())
        })
    },
    subs: &[],
};

/// A client's number and its line.
type Line = (u64, String);

fn find(lines: &[Line], id: i64) -> Option<&str> {
    let id = u64::try_from(id).ok()?;
    lines.iter().find(|(known, _)| *known == id).map(|(_, line)| &**line)
}

/// The types that CLIENT LIST and CLIENT KILL tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientType {
    Normal,
    /// Subscribed to something.
    PubSub,
    /// A replica.
    Replica,
    /// What a replica's connection to its primary would be.
    Master,
}

impl ClientType {
    pub(super) fn parse(word: &[u8]) -> Result<ClientType, Error> {
        let lower = word.to_ascii_lowercase();
        match lower.as_slice() {
            b"normal" => Ok(ClientType::Normal),
            b"pubsub" => Ok(ClientType::PubSub),
            b"slave" | b"replica" => Ok(ClientType::Replica),
            b"master" => Ok(ClientType::Master),
            _ => Err(Error::owned(format!(
                "ERR Unknown client type '{}'",
                ringstone_engine::error::word(word)
            ))),
        }
    }

    pub(super) fn of(conn: &Conn) -> ClientType {
        match conn {
            _ if conn.is_replica() => ClientType::Replica,
            _ if conn.is_subscriber() => ClientType::PubSub,
            _ => ClientType::Normal,
        }
    }
}

impl Shard {
    fn client_lines(&mut self, filter: &Filter, caller: u64) -> Vec<Line> {
        let (now_ms, path) = (self.now_ms, self.config.unixsocket.clone());
        self.conns
            .iter_mut()
            .filter(|conn| !conn.closing && conn.client_id != caller)
            .filter(|conn| filter.takes(conn, now_ms, &path))
            .map(|conn| (conn.client_id, line(conn, Args::new(&[], &[]), now_ms, &path)))
            .collect()
    }
}
