//! CLIENT subcommands that set or tell one thing of their own connection.

use ringstone_engine::cmd::{Arg, ArgKind, Spec};
use ringstone_engine::error::word;
use ringstone_engine::{Error, Reply};

use super::super::{HostCommand, Outcome};
use super::{ADMIN_SUB, SUB, on_off};
use crate::conn::ReplyMode;

/// A client's name: no spaces, no special characters.
pub fn checked_name(name: &[u8]) -> Result<&[u8], Error> {
    if name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        Ok(name)
    } else {
        Err(Error::text("ERR Client names cannot contain spaces, newlines or special characters."))
    }
}

pub(super) static ID: HostCommand = HostCommand {
    spec: Spec {
        name: "client|id",
        arity: 2,
        since: "5.0.0",
        summary: "Tells the connection's number.",
        ..SUB
    },
    run: |host, _| {
        let id = i64::try_from(host.conn.client_id).unwrap_or(i64::MAX);
        host.reply().int(id);
        Ok(Outcome::Done)
    },
    subs: &[],
};

pub(super) static GETNAME: HostCommand = HostCommand {
    spec: Spec {
        name: "client|getname",
        arity: 2,
        since: "2.6.9",
        summary: "Tells the connection's name.",
        ..SUB
    },
    run: |host, _| {
        let name =
            host.conn.info.as_ref().map(|info| info.name.clone()).filter(|name| !name.is_empty());
        host.reply().bulk_or_null(name.as_deref());
        Ok(Outcome::Done)
    },
    subs: &[],
};

pub(super) static SETNAME: HostCommand = HostCommand {
    spec: Spec {
        name: "client|setname",
        arity: 3,
        since: "2.6.9",
        summary: "Names the connection.",
        args: &[Arg::new("connection-name", ArgKind::String)],
        ..SUB
    },
    run: |host, args| {
        host.conn.info.get_or_insert_default().name = checked_name(args.at(2))?.to_vec();
        host.ok()
    },
    subs: &[],
};

pub(super) static SETINFO: HostCommand = HostCommand {
    spec: Spec {
        name: "client|setinfo",
        arity: 4,
        since: "7.2.0",
        summary: "Names the client library of the connection.",
        args: &[Arg::one_of(
            "attr",
            &[
                Arg::new("libname", ArgKind::String).token("LIB-NAME"),
                Arg::new("libver", ArgKind::String).token("LIB-VER"),
            ],
        )],
        ..SUB
    },
    run: |host, args| {
        let info = host.conn.info.get_or_insert_default();
        let field = if args.is(2, "LIB-NAME") {
            &mut info.lib_name
        } else if args.is(2, "LIB-VER") {
            &mut info.lib_version
        } else {
            let option = word(args.at(2));
            return Err(Error::owned(format!("ERR Unrecognized option '{option}'")));
        };
        if checked_name(args.at(3)).is_err() {
            let option = String::from_utf8_lossy(args.at(2)).to_ascii_lowercase();
            return Err(Error::owned(format!(
                "ERR {option} cannot contain spaces, newlines or special characters."
            )));
        }
        *field = args.at(3).to_vec();
        host.ok()
    },
    subs: &[],
};

pub(super) static NO_EVICT: HostCommand = HostCommand {
    spec: Spec {
        name: "client|no-evict",
        arity: 3,
        since: "7.0.0",
        summary: "Protects the connection from being closed when clients take too much memory.",
        args: &[Arg::one_of("enabled", &[Arg::word("on", "ON"), Arg::word("off", "OFF")])],
        ..ADMIN_SUB
    },
    run: |host, args| {
        host.conn.no_evict = on_off(args.at(2))?;
        host.ok()
    },
    subs: &[],
};

pub(super) static NO_TOUCH: HostCommand = HostCommand {
    spec: Spec {
        name: "client|no-touch",
        arity: 3,
        since: "7.2.0",
        summary: "Keeps the connection's commands from counting as accesses to keys.",
        args: &[Arg::one_of("enabled", &[Arg::word("on", "ON"), Arg::word("off", "OFF")])],
        ..SUB
    },
    run: |host, args| {
        host.conn.no_touch = on_off(args.at(2))?;
        host.ok()
    },
    subs: &[],
};

pub(super) static REPLY: HostCommand = HostCommand {
    spec: Spec {
        name: "client|reply",
        arity: 3,
        since: "3.2.0",
        summary: "Says which replies the connection wants.",
        args: &[Arg::one_of(
            "on_off_skip",
            &[Arg::word("on", "ON"), Arg::word("off", "OFF"), Arg::word("skip", "SKIP")],
        )],
        ..SUB
    },
    run: |host, args| {
        if args.is(2, "ON") {
            host.conn.reply_mode = ReplyMode::On;
            return host.ok();
        }
        if args.is(2, "OFF") {
            host.conn.reply_mode = ReplyMode::Off;
        } else if args.is(2, "SKIP") {
            if host.conn.reply_mode != ReplyMode::Off {
                host.conn.reply_mode = ReplyMode::Skip;
            }
        } else {
            return Err(Error::Syntax);
        }
        Ok(Outcome::Silent)
    },
    subs: &[],
};
