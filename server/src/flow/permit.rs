//! Step 3, in part: may this user run this? And what becomes of connections when users change.
//!
//! Invariant: a connection's user is one of the shard's users, or was when the connection's command at hand was admitted.

use std::sync::Arc;

use ringstone_engine::{Args, Error};

use crate::acl::{Context, Denied, Happening, Reason, User};
use crate::cmd::client::client_line;
use crate::conn::{Conn, ConnId};
use crate::pubsub::Kind;
use crate::shard::Shard;
use crate::table::Entry;

impl Shard {
    /// True when the connection may do next to nothing before it logs in.
    pub(crate) fn must_authenticate(&self, conn: &Conn) -> bool {
        !conn.authenticated && self.users.must_authenticate()
    }

    /// Whether the connection's user may run the command now, or queue it.
    #[inline]
    pub(crate) fn permit(
        &mut self,
        conn: &Conn,
        entry: &Entry,
        args: Args<'_>,
    ) -> Result<(), Error> {
        if conn.user.is_unrestricted() {
            return Ok(());
        }
        let context = if conn.is_queueing() { Context::Multi } else { Context::TopLevel };
        self.permit_in(conn, entry, args, context)?.map_err(|denied| denied.error(entry))
    }

    /// Whether the connection's user may still run a command that it queued earlier.
    pub(crate) fn permit_in_exec(
        &mut self,
        conn: &Conn,
        entry: &Entry,
        args: Args<'_>,
    ) -> Result<(), Error> {
        if conn.user.is_unrestricted() {
            return Ok(());
        }
        let permitted = self.permit_in(conn, entry, args, Context::Multi);
        let permitted = permitted.and_then(|inner| inner.map_err(Denied::error_in_exec));
        permitted.inspect_err(|error| self.note_error(error))
    }

    /// Whether a script of the connection may call the command.
    pub fn permit_in_script(
        &mut self,
        conn: &Conn,
        entry: &Entry,
        args: Args<'_>,
    ) -> Result<(), Error> {
        if conn.user.is_unrestricted() {
            return Ok(());
        }
        self.permit_in(conn, entry, args, Context::Lua)?.map_err(Denied::error_in_script)
    }

    /// The check itself; what is denied is noted. The outer error is the command's own.
    fn permit_in(
        &mut self,
        conn: &Conn,
        entry: &Entry,
        args: Args<'_>,
        context: Context,
    ) -> Result<Result<(), Denied>, Error> {
        if let Err(denied) = conn.user.may(entry, args) {
            let stats = &mut self.stats.acl_denied;
            let (reason, count, object) = match denied.reason {
                Reason::Command => ("command", &mut stats.commands, entry.spec.name.as_bytes()),
                Reason::Key => ("key", &mut stats.keys, args.at(denied.argument)),
                Reason::Channel => ("channel", &mut stats.channels, args.at(denied.argument)),
            };
            *count += 1;
            let (object, username) = (object.to_vec(), conn.user.name.clone());
            self.note_denied(conn, args, Happening { reason, context, object, username });
            return Ok(Err(denied));
        }
        if entry.spec.derived_keys.is_some()
            && let Some(option) = pattern_option(args)
            && !conn.user.may_read_every_key(entry, args)
        {
            return Err(Error::owned(format!(
                "ERR {option} option of SORT denied due to insufficient ACL permissions."
            )));
        }
        Ok(Ok(()))
    }

    /// Notes an attempt to log in that failed.
    pub(crate) fn note_failed_login(&mut self, conn: &Conn, args: Args<'_>, username: &[u8]) {
        self.stats.acl_denied.logins += 1;
        let context =
            if conn.is_queueing() || conn.in_exec { Context::Multi } else { Context::TopLevel };
        let (object, username) = (args.at(0).to_vec(), username.to_vec());
        self.note_denied(conn, args, Happening { reason: "auth", context, object, username });
    }

    fn note_denied(&self, conn: &Conn, args: Args<'_>, what: Happening) {
        let info = client_line(conn, args, self.now_ms, &self.config.unixsocket);
        let (now_ms, len_max) = (self.now_ms, self.config.acllog_max_len);
        self.shared.with_acl_log(|log| log.add(what, info, now_ms, len_max));
    }

    /// Goes on with the users as they are now. Connections of users that are no more end, and those of subscribers that
    /// may not stay so; save for the one whose command this is: true when it has to end as well, once it has its answer.
    pub(crate) fn take_over_users(&mut self, caller: u64) -> bool {
        let users = self.shared.users();
        let mut ending: Vec<ConnId> = Vec::new();
        let mut caller_ends = false;
        for conn in self.conns.iter_mut().filter(|conn| !conn.closing) {
            let stays = match users.heir(&conn.user) {
                Some(heir) => {
                    let stays = Arc::ptr_eq(heir, &conn.user) || keeps_subscriptions(conn, heir);
                    conn.user = heir.clone();
                    stays
                }
                None => {
                    conn.user = users.default().clone();
                    conn.authenticated = false;
                    false
                }
            };
            match (stays, conn.client_id == caller) {
                (true, _) => {}
                (false, true) => caller_ends = true,
                (false, false) => ending.push(conn.id),
            }
        }
        self.users = users;
        ending.into_iter().for_each(|id| self.close_id(id));
        caller_ends
    }
}

fn keeps_subscriptions(conn: &Conn, user: &User) -> bool {
    let Some(all) = &conn.subscriptions else { return true };
    user.keeps_subscribers_of(&conn.user)
        || [Kind::Channel, Kind::Pattern, Kind::ShardChannel].into_iter().all(|kind| {
            let is_pattern = kind == Kind::Pattern;
            all.names(kind).iter().all(|name| user.allows_channel(name, is_pattern))
        })
}

/// The first option of SORT that may read keys which its arguments do not name.
fn pattern_option(args: Args<'_>) -> Option<&'static str> {
    let mut at = 2;
    while at + 1 < args.len() {
        if args.is(at, "BY") && args.at(at + 1).contains(&b'*') {
            return Some("BY");
        }
        if args.is(at, "GET") {
            return Some("GET");
        }
        at += if args.is(at, "LIMIT") {
            3
        } else if args.is(at, "BY") || args.is(at, "STORE") {
            2
        } else {
            1
        };
    }
    None
}
