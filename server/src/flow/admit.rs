//! Step 3: is there such a command, and may it run now?

use std::borrow::Cow;

use ringstone_engine::cmd::Flags;
use ringstone_engine::error::word;
use ringstone_engine::{Args, Error};

use crate::conn::Conn;
use crate::shard::Shard;
use crate::table::Entry;

/// A command that may run. Only [`Shard::admit`] makes one, so that no later step can be reached around it.
pub struct Admitted<'a> {
    /// The command, a subcommand where there are some.
    pub entry: &'static Entry,
    /// Its arguments.
    pub args: Args<'a>,
    _proof: Proof,
}

/// Only this file can make one.
struct Proof;

/// What a subscriber may do in RESP2, where a push cannot be told from a reply.
const MAY_SUBSCRIBERS: &[&str] = &[
    "ping",
    "psubscribe",
    "punsubscribe",
    "quit",
    "reset",
    "ssubscribe",
    "subscribe",
    "sunsubscribe",
    "unsubscribe",
];

impl Shard {
    /// Takes one command through the steps.
    pub(crate) fn command(&mut self, conn: &mut Conn, args: Args<'_>) {
        conn.commands += 1;
        conn.last_ms = self.now_ms;
        self.mark_dirty(conn);
        if conn.tracking.is_some() {
            conn.note_command_begins();
        }
        self.make_room();
        if self.pubsub.has_late() {
            // Of keys that had to go for this command it is told before its reply.
            self.push_late(conn);
        }
        match self.admit(conn, args) {
            Ok(Admitted { entry, args, .. })
                if conn.is_queueing() && !crate::tx::multi::runs_in_multi(entry) =>
            {
                self.queue_command(conn, entry, args);
            }
            Ok(Admitted { entry, args, _proof }) => {
                let flags = entry.spec.flags;
                conn.wrote |= flags.intersects(Flags::WRITE | Flags::MAY_REPLICATE)
                    || entry.spec.name == "exec";
                self.route(conn, Admitted { entry, args, _proof });
                // An EXEC that waits is shown behind its commands.
                if self.is_monitored() && !(conn.blocked && entry.spec.name == "exec") {
                    let mut own = Vec::new();
                    self.show(conn, entry, conn.db, args, &mut own);
                    conn.push(&own);
                }
            }
            Err(error) if args.is(0, "EXEC") => {
                // What EXEC would have run is gone, whyever it is refused.
                self.forget_tx(conn);
                let why = error.to_string();
                let why = why.strip_prefix("ERR ").unwrap_or(&why);
                let text = format!("EXECABORT Transaction discarded because of: {why}");
                self.reply_error(conn, &Error::owned(text));
            }
            Err(error) => {
                conn.fail_queue();
                self.reply_error(conn, &error);
            }
        }
        if self.pubsub.has_late() {
            self.push_late(conn);
        }
    }

    fn admit<'a>(&mut self, conn: &mut Conn, args: Args<'a>) -> Result<Admitted<'a>, Error> {
        let top = self.table.find(args.at(0)).ok_or_else(|| unknown_command(args))?;
        let entry = if top.subs.is_empty() || args.len() < 2 {
            top
        } else {
            top.sub(args).ok_or_else(|| unknown_sub(top, args))?
        };
        match self.check(conn, entry, args) {
            Ok(()) => Ok(Admitted { entry, args, _proof: Proof }),
            Err(error) => {
                self.measure.calls.note_rejected(entry);
                Err(error)
            }
        }
    }

    fn check(&mut self, conn: &mut Conn, entry: &Entry, args: Args<'_>) -> Result<(), Error> {
        let flags = entry.spec.flags;
        if !entry.spec.arity_fits(args.len()) {
            return Err(Error::Arity(Cow::Borrowed(entry.spec.name)));
        }
        conn.last_command = entry.spec.name;
        if !flags.contains(Flags::NO_AUTH) && self.must_authenticate(conn) {
            return Err(Error::text("NOAUTH Authentication required."));
        }
        if conn.is_queueing() && flags.contains(Flags::NO_MULTI) {
            return Err(Error::text("ERR Command not allowed inside a transaction"));
        }
        self.permit(conn, entry, args)?;
        self.check_room(conn, entry)?;
        if flags.contains(Flags::WRITE) || entry.spec.name == "ping" {
            self.commit.check_writable(self.config.stops_on_save_error(), &self.shared.saving)?;
        }
        if flags.contains(Flags::WRITE) {
            self.check_replicas()?;
        }
        if conn.is_replica()
            && flags.intersects(Flags::WRITE | Flags::READONLY | Flags::MAY_REPLICATE)
        {
            return Err(Error::text("ERR Replica can't interact with the keyspace"));
        }
        if !flags.contains(Flags::ALLOW_BUSY)
            && let Some(busy) = self.busy_error()
        {
            return Err(busy);
        }
        if conn.is_subscriber() && !conn.resp3 && !MAY_SUBSCRIBERS.contains(&entry.spec.name) {
            return Err(Error::owned(format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
                entry.spec.name
            )));
        }
        Ok(())
    }
}

fn unknown_command(args: Args<'_>) -> Error {
    let mut list = String::new();
    for arg in args.iter_from(1) {
        if list.len() >= 128 {
            break;
        }
        let room = 128 - list.len();
        list.push('\'');
        list.push_str(&word(arg.get(..room).unwrap_or(arg)));
        list.push_str("' ");
    }
    let name = args.at(0);
    let name = word(name.get(..128).unwrap_or(name));
    Error::owned(format!("ERR unknown command '{name}', with args beginning with: {list}"))
}

fn unknown_sub(top: &Entry, args: Args<'_>) -> Error {
    let sub = args.at(1);
    let sub = word(sub.get(..128).unwrap_or(sub));
    Error::UnknownSubcommand(sub, top.spec.name.to_ascii_uppercase())
}
