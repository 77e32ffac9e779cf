//! CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO.

use ringstone_engine::cmd::{Arg, ArgKind, Spec};
use ringstone_engine::num::parse_i64;
use ringstone_engine::{Args, Error, Reply, Tree};

use super::super::{Host, HostCommand, Outcome};
use super::SUB;
use crate::ask::ask_all;
use crate::conn::{Conn, ConnId};
use crate::shard::{Shard, ShardRef};
use crate::tracking::{Client, Redirect, Settings, check_overlaps};

pub(super) static TRACKING: HostCommand = HostCommand {
    spec: Spec {
        name: "client|tracking",
        arity: -3,
        since: "6.0.0",
        complexity: "O(1). Some options may introduce additional complexity.",
        summary: "Has the connection told when keys that it has read are changed.",
        args: &[
            Arg::one_of("status", &[Arg::word("on", "ON"), Arg::word("off", "OFF")]),
            Arg::new("client-id", ArgKind::Integer).token("REDIRECT").optional(),
            Arg::new("prefix", ArgKind::String).token("PREFIX").optional().multiple_token(),
            Arg::word("bcast", "BCAST").optional(),
            Arg::word("optin", "OPTIN").optional(),
            Arg::word("optout", "OPTOUT").optional(),
            Arg::word("noloop", "NOLOOP").optional(),
        ],
        ..SUB
    },
    run: tracking,
    subs: &[],
};

/// What was asked for, as far as it could be read.
#[derive(Default)]
struct Request {
    settings: Settings,
    redirect: Option<i64>,
    broadcasts: bool,
    prefixes: Vec<Box<[u8]>>,
}

impl Request {
    /// Reads options; an error when one is none. The rest is as it was by then.
    fn read(&mut self, args: Args<'_>) -> Result<(), Error> {
        let mut at = 3;
        while at < args.len() {
            let value = args.get(at + 1);
            if let (true, Some(id)) = (args.is(at, "REDIRECT"), value) {
                if self.redirect.is_some_and(|id| id != 0) {
                    return Err(Error::text(
                        "ERR A client can only redirect to a single other client",
                    ));
                }
                self.redirect = Some(parse_i64(id).ok_or(Error::NotInteger)?);
                at += 1;
            } else if args.is(at, "BCAST") {
                self.broadcasts = true;
            } else if args.is(at, "OPTIN") {
                self.settings.opt_in = true;
            } else if args.is(at, "OPTOUT") {
                self.settings.opt_out = true;
            } else if args.is(at, "NOLOOP") {
                self.settings.no_loop = true;
            } else if let (true, Some(prefix)) = (args.is(at, "PREFIX"), value) {
                self.prefixes.push(prefix.into());
                at += 1;
            } else {
                return Err(Error::Syntax);
            }
            at += 1;
        }
        Ok(())
    }

    /// The settings that a connection has from now on; none when tracking ends.
    fn settings(mut self, on: bool, conn: &Conn) -> Result<Option<Settings>, Error> {
        if !on {
            return Ok(None);
        }
        if self.broadcasts {
            if self.prefixes.is_empty() {
                self.prefixes.push(Box::default());
            }
            self.settings.prefixes = Some(self.prefixes);
        } else if !self.prefixes.is_empty() {
            return Err(Error::text("ERR PREFIX option requires BCAST mode to be enabled"));
        }
        if let Some(before) = &conn.tracking {
            return self.settings.follow(before).map(Some);
        }
        self.settings.check()?;
        check_overlaps(self.settings.prefixes.as_deref().unwrap_or_default())?;
        Ok(Some(self.settings))
    }
}

fn tracking(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let mut request = Request::default();
    let asked = request.read(args).and_then(|()| match (args.is(2, "ON"), args.is(2, "OFF")) {
        (on, off) if on || off => Ok(on),
        _ => Err(Error::Syntax),
    });
    let id = host.conn.id;
    if request.redirect.is_none() {
        let on = asked.clone()?;
        let broadcasts = |conn: &Conn| conn.tracking.as_ref().is_some_and(|all| all.broadcasts());
        if !request.broadcasts && !broadcasts(host.conn) {
            let settings = request.settings(on, host.conn)?;
            host.shard.set_tracking(host.conn, settings);
            return host.ok();
        }
    }
    host.later(move |shard| async move {
        let done = async {
            if let Some(wanted) = request.redirect {
                let found = find(&shard, wanted)
                    .await
                    .ok_or(Error::text("ERR The client ID you want redirect to does not exist"))?;
                request.settings.redirect = Some(Redirect { to: found, broken: false });
            }
            turn(&shard, id, request, asked?).await
        };
        match done.await {
            Ok(()) => Tree::Simple("OK".into()),
            Err(error) => Tree::Error(error),
        }
    })
}

/// The client of this number.
async fn find(shard: &ShardRef, wanted: i64) -> Option<Client> {
    let wanted = u64::try_from(wanted).ok()?;
    let found = ask_all(shard, move |there| {
        let index = there.index;
        let mut alive = there.conns.iter_mut().filter(|conn| !conn.closing);
        alive.find(|conn| conn.client_id == wanted).map(|conn| conn.as_client(index))
    });
    found.await.into_iter().flatten().next()
}

/// Changes a connection's tracking; with prefixes, all shards have them before the answer.
async fn turn(shard: &ShardRef, id: ConnId, request: Request, on: bool) -> Result<(), Error> {
    let changed = {
        let mut this = shard.borrow_mut();
        let Some(mut conn) = this.conns.take(id) else { return Ok(()) };
        let client = conn.as_client(this.index);
        let changed = request.settings(on, &conn).map(|settings| {
            let prefixes =
                settings.as_ref().and_then(|all| Some((all.prefixes.clone()?, all.no_loop)));
            this.set_tracking(&mut conn, settings);
            (client, prefixes)
        });
        this.conns.put_back(conn);
        changed?
    };
    match changed {
        (client, Some((prefixes, no_loop))) => {
            ask_all(shard, move |there| there.set_prefixes(client, no_loop, &prefixes)).await
        }
        // Turned off: it is over everywhere before the answer.
        (client, None) => ask_all(shard, move |there| there.forget_prefixes(client)).await,
    };
    Ok(())
}

impl Shard {
    fn set_tracking(&mut self, conn: &mut Conn, settings: Option<Settings>) {
        match settings {
            None => self.stop_tracking(conn),
            Some(settings) => {
                if conn.tracking.is_none() {
                    self.count_tracking(true);
                }
                conn.tracking = Some(Box::new(settings));
            }
        }
    }
}

pub(super) static CACHING: HostCommand = HostCommand {
    spec: Spec {
        name: "client|caching",
        arity: 3,
        since: "6.0.0",
        complexity: "O(1)",
        summary: "Says whether the keys of the next command are tracked, in modes OPTIN and OPTOUT.",
        args: &[Arg::one_of("mode", &[Arg::word("yes", "YES"), Arg::word("no", "NO")])],
        ..SUB
    },
    run: |host, args| {
        let settings = host.conn.tracking.as_ref().ok_or(Error::text(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        ))?;
        if args.is(2, "YES") {
            if !settings.opt_in {
                return Err(Error::text(
                    "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
                ));
            }
        } else if args.is(2, "NO") {
            if !settings.opt_out {
                return Err(Error::text(
                    "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
                ));
            }
        } else {
            return Err(Error::Syntax);
        }
        host.conn.set_caching();
        host.ok()
    },
    subs: &[],
};

/// The number of the client that is told instead: 0 = none, -1 = tracking is off.
pub(super) fn redirect_id(conn: &Conn) -> i64 {
    conn.tracking.as_ref().map_or(-1, |all| {
        all.redirect.map_or(0, |redirect| i64::try_from(redirect.to.id).unwrap_or(i64::MAX))
    })
}

pub(super) static GETREDIR: HostCommand = HostCommand {
    spec: Spec {
        name: "client|getredir",
        arity: 2,
        since: "6.0.0",
        complexity: "O(1)",
        summary: "Tells which client is told of changed keys instead of the connection.",
        ..SUB
    },
    run: |host, _| {
        let id = redirect_id(host.conn);
        host.reply().int(id);
        Ok(Outcome::Done)
    },
    subs: &[],
};

pub(super) static TRACKINGINFO: HostCommand = HostCommand {
    spec: Spec {
        name: "client|trackinginfo",
        arity: 2,
        since: "6.2.0",
        complexity: "O(1)",
        summary: "Tells how the connection tracks keys.",
        ..SUB
    },
    run: |host, _| {
        let flags = flags(host.conn.tracking.as_deref());
        let id = redirect_id(host.conn);
        let prefixes = host.conn.tracking.as_ref().and_then(|all| all.prefixes.clone());
        let prefixes = prefixes.unwrap_or_default();
        let mut reply = host.reply();
        reply.map(3);
        reply.bulk(b"flags");
        reply.set(flags.len());
        flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
        reply.bulk(b"redirect");
        reply.int(id);
        reply.bulk(b"prefixes");
        reply.array(prefixes.len());
        prefixes.iter().for_each(|prefix| reply.bulk(prefix));
        Ok(Outcome::Done)
    },
    subs: &[],
};

fn flags(settings: Option<&Settings>) -> Vec<&'static str> {
    let Some(settings) = settings else { return vec!["off"] };
    let caching = settings.is_caching();
    let all = [
        (true, "on"),
        (settings.broadcasts(), "bcast"),
        (settings.opt_in, "optin"),
        (settings.opt_in && caching, "caching-yes"),
        (settings.opt_out, "optout"),
        (settings.opt_out && caching, "caching-no"),
        (settings.no_loop, "noloop"),
        (settings.redirect.is_some_and(|redirect| redirect.broken), "broken_redirect"),
    ];
    all.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| *flag).collect()
}
