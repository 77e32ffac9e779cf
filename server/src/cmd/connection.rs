//! HELLO, AUTH, SELECT, PING, ECHO, QUIT, RESET.

use ringstone_engine::cmd::{Acl, Arg, ArgKind, Flags, Group, Spec, database_index};
use ringstone_engine::error::word;
use ringstone_engine::num::parse_i64;
use ringstone_engine::{Args, Error, Reply};

use super::{Host, HostCommand, Outcome};
use crate::conn::ReplyMode;

/// The family's commands.
pub const COMMANDS: &[&HostCommand] = &[&AUTH, &ECHO, &HELLO, &PING, &QUIT, &RESET, &SELECT];

const FAST: Flags = Flags::FAST;
const ANY_TIME: Flags = Flags::NOSCRIPT
    .union(Flags::LOADING)
    .union(Flags::STALE)
    .union(FAST)
    .union(Flags::NO_AUTH)
    .union(Flags::ALLOW_BUSY);

static PING: HostCommand = HostCommand {
    spec: Spec {
        name: "ping",
        arity: -1,
        flags: FAST,
        acl: Acl::CONNECTION,
        group: Group::Connection,
        summary: "Answers PONG, or the message given.",
        args: &[Arg::new("message", ArgKind::String).optional()],
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        ..Spec::DEFAULT
    },
    run: |host, args| match args.len() {
        1 | 2 if host.conn.is_subscriber() && !host.conn.resp3 => {
            let mut reply = host.reply();
            reply.array(2);
            reply.bulk(b"pong");
            reply.bulk(args.at(1));
            Ok(Outcome::Done)
        }
        1 => {
            host.reply().simple("PONG");
            Ok(Outcome::Done)
        }
        2 => {
            host.reply().bulk(args.at(1));
            Ok(Outcome::Done)
        }
        _ => Err(Error::Arity("ping".into())),
    },
    subs: &[],
};

static ECHO: HostCommand = HostCommand {
    spec: Spec {
        name: "echo",
        arity: 2,
        flags: FAST.union(Flags::LOADING).union(Flags::STALE),
        acl: Acl::CONNECTION,
        group: Group::Connection,
        summary: "Answers the message given.",
        args: &[Arg::new("message", ArgKind::String)],
        ..Spec::DEFAULT
    },
    run: |host, args| {
        host.reply().bulk(args.at(1));
        Ok(Outcome::Done)
    },
    subs: &[],
};

static QUIT: HostCommand = HostCommand {
    spec: Spec {
        name: "quit",
        arity: -1,
        flags: ANY_TIME,
        acl: Acl::CONNECTION,
        group: Group::Connection,
        summary: "Closes the connection.",
        ..Spec::DEFAULT
    },
    run: |host, _| {
        host.conn.close_after_reply = true;
        host.ok()
    },
    subs: &[],
};

static SELECT: HostCommand = HostCommand {
    spec: Spec {
        name: "select",
        arity: 2,
        flags: Flags::LOADING.union(Flags::STALE).union(FAST),
        acl: Acl::CONNECTION,
        group: Group::Connection,
        summary: "Changes the selected database.",
        args: &[Arg::new("index", ArgKind::Integer)],
        ..Spec::DEFAULT
    },
    run: |host, args| {
        let index = database_index(args.at(1))?;
        if index >= host.shard.keyspace.databases() {
            return Err(Error::DbIndex);
        }
        host.conn.db = index;
        host.ok()
    },
    subs: &[],
};

static AUTH: HostCommand = HostCommand {
    spec: Spec {
        name: "auth",
        arity: -2,
        flags: ANY_TIME,
        acl: Acl::CONNECTION,
        group: Group::Connection,
        summary: "Authenticates the connection.",
        history: &[("6.0.0", "Added ACL style (username and password).")],
        complexity: "O(N) where N is the number of passwords defined for the user",
        args: &[
            Arg::new("username", ArgKind::String).optional().since("6.0.0"),
            Arg::new("password", ArgKind::String),
        ],
        ..Spec::DEFAULT
    },
    run: |host, args| {
        let (user, password): (&[u8], &[u8]) = match args.len() {
            2 => (b"default", args.at(1)),
            3 => (args.at(1), args.at(2)),
            _ => return Err(Error::Syntax),
        };
        if args.len() == 2 && host.shard.users.default().needs_no_password() {
            return Err(Error::text(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
                 configuration is correct?",
            ));
        }
        authenticate(host, args, user, password)?;
        host.ok()
    },
    subs: &[],
};

/// Logs in; `args` is the command that asks for it.
fn authenticate(
    host: &mut Host<'_>,
    args: Args<'_>,
    name: &[u8],
    password: &[u8],
) -> Result<(), Error> {
    if let Some(user) = host.shard.users.log_in(name, password) {
        host.conn.user = user.clone();
        host.conn.authenticated = true;
        return Ok(());
    }
    host.shard.note_failed_login(host.conn, args, name);
    Err(Error::text("WRONGPASS invalid username-password pair or user is disabled."))
}

static HELLO: HostCommand = HostCommand {
    spec: Spec {
        name: "hello",
        arity: -1,
        flags: ANY_TIME,
        acl: Acl::CONNECTION,
        group: Group::Connection,
        since: "6.0.0",
        summary: "Agrees on the protocol, and may authenticate and name the connection.",
        history: &[(
            "6.2.0",
            "`protover` made optional; when called without arguments the command reports the current connection's context.",
        )],
        args: &[Arg {
            optional: true,
            ..Arg::block(
                "arguments",
                &[
                    Arg::new("protover", ArgKind::Integer),
                    Arg {
                        optional: true,
                        token: Some("AUTH"),
                        ..Arg::block(
                            "username_password",
                            &[
                                Arg::new("username", ArgKind::String),
                                Arg::new("password", ArgKind::String),
                            ],
                        )
                    },
                    Arg::new("clientname", ArgKind::String).token("SETNAME").optional(),
                ],
            )
        }],
        ..Spec::DEFAULT
    },
    run: hello,
    subs: &[],
};

fn hello(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let mut at = 1;
    let mut resp3 = host.conn.resp3;
    if args.len() > 1 {
        let version = parse_i64(args.at(1))
            .ok_or(Error::text("ERR Protocol version is not an integer or out of range"))?;
        if !(2..=3).contains(&version) {
            return Err(Error::text("NOPROTO unsupported protocol version"));
        }
        resp3 = version == 3;
        at = 2;
    }
    while at < args.len() {
        let left = args.len() - at;
        if args.is(at, "AUTH") && left > 2 {
            authenticate(host, args, args.at(at + 1), args.at(at + 2))?;
            at += 3;
        } else if args.is(at, "SETNAME") && left > 1 {
            let name = super::client::checked_name(args.at(at + 1))?;
            host.conn.info.get_or_insert_default().name = name.to_vec();
            at += 2;
        } else {
            let option = word(args.at(at));
            return Err(Error::owned(format!("ERR Syntax error in HELLO option '{option}'")));
        }
    }
    if !host.conn.authenticated {
        return Err(Error::text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> \
             option can be used to authenticate the client and select the RESP protocol version at the same time",
        ));
    }
    host.conn.resp3 = resp3;
    let id = i64::try_from(host.conn.client_id).unwrap_or(i64::MAX);
    let mut reply = host.reply();
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(crate::REDIS_VERSION.as_bytes());
    reply.bulk(b"proto");
    reply.int(if resp3 { 3 } else { 2 });
    reply.bulk(b"id");
    reply.int(id);
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(b"master");
    reply.bulk(b"modules");
    reply.array(0);
    Ok(Outcome::Done)
}

static RESET: HostCommand = HostCommand {
    spec: Spec {
        name: "reset",
        arity: 1,
        flags: ANY_TIME,
        acl: Acl::CONNECTION,
        group: Group::Connection,
        since: "6.2.0",
        summary: "Puts the connection back to how it was when it was made.",
        ..Spec::DEFAULT
    },
    run: |host, _| {
        host.shard.drop_subscriptions(host.conn);
        host.shard.stop_tracking(host.conn);
        host.shard.forget_tx(host.conn);
        host.shard.stop_monitoring(host.conn);
        let conn = &mut *host.conn;
        conn.db = 0;
        conn.resp3 = false;
        conn.reply_mode = ReplyMode::On;
        conn.no_evict = false;
        conn.no_touch = false;
        if let Some(info) = &mut conn.info {
            info.name.clear();
        }
        conn.user = host.shard.users.default().clone();
        conn.authenticated = conn.user.is_open();
        host.reply().simple("RESET");
        Ok(Outcome::Done)
    },
    subs: &[],
};
