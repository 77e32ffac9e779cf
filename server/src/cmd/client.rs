//! CLIENT and its subcommands.

mod filter;
mod info;
mod kill;
mod pause;
mod settings;
mod tracking;
mod unblock;

use ringstone_engine::Error;
use ringstone_engine::cmd::{Acl, Flags, Group, Spec};

use super::HostCommand;
pub(crate) use info::addresses;
pub(crate) use info::line as client_line;
pub(crate) use kill::close_after_answer;
pub use pause::Pause;
pub use settings::checked_name;

/// The family's commands.
pub const COMMANDS: &[&HostCommand] = &[&CLIENT];

static CLIENT: HostCommand = HostCommand {
    spec: Spec {
        name: "client",
        arity: -2,
        group: Group::Connection,
        since: "2.4.0",
        complexity: "Depends on subcommand.",
        summary: "A container for commands about connections.",
        ..Spec::DEFAULT
    },
    run: super::container,
    subs: &[
        &settings::GETNAME,
        &settings::ID,
        &settings::NO_EVICT,
        &settings::NO_TOUCH,
        &settings::REPLY,
        &settings::SETINFO,
        &settings::SETNAME,
        &info::INFO,
        &info::LIST,
        &kill::KILL,
        &tracking::CACHING,
        &tracking::GETREDIR,
        &tracking::TRACKING,
        &tracking::TRACKINGINFO,
        &pause::PAUSE,
        &pause::UNPAUSE,
        &unblock::UNBLOCK,
        &HELP,
    ],
};

/// What most subcommands have in common.
const SUB: Spec = Spec {
    flags: Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE),
    acl: Acl::CONNECTION,
    group: Group::Connection,
    ..Spec::DEFAULT
};

/// The same of those for administrators.
const ADMIN_SUB: Spec = Spec { flags: SUB.flags.union(Flags::ADMIN), ..SUB };

static HELP: HostCommand = HostCommand {
    spec: Spec {
        name: "client|help",
        arity: 2,
        flags: Flags::LOADING.union(Flags::STALE),
        since: "5.0.0",
        summary: "Lists the subcommands.",
        ..SUB
    },
    run: |host, _| {
        super::help(
            host,
            "CLIENT",
            &[
                "CACHING (YES|NO)",
                "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
                "GETREDIR",
                "    Return the client ID we are redirecting to when tracking is enabled.",
                "GETNAME",
                "    Return the name of the current connection.",
                "ID",
                "    Return the ID of the current connection.",
                "INFO",
                "    Return information about the current client connection.",
                "KILL <ip:port>",
                "    Kill connection made from <ip:port>.",
                "KILL <option> <value> [<option> <value> [...]]",
                "    Kill connections. Options are:",
                "    * ADDR (<ip:port>|<unixsocket>:0)",
                "    * LADDR (<ip:port>|<unixsocket>:0)",
                "    * TYPE (normal|master|replica|pubsub)",
                "    * USER <username>",
                "    * SKIPME (yes|no)",
                "    * ID <client-id> [<client-id> ...]",
                "    * MAXAGE <seconds>",
                "    * NAME, IP, DB, FLAGS, LIB-NAME, LIB-VER <value>; IDLE <seconds>",
                "    * NOT-<option> <value>: those that do not fit",
                "LIST [options ...]",
                "    Return information about client connections. Options:",
                "    * TYPE (normal|master|replica|pubsub)",
                "    * ID <client-id> [<client-id> ...]",
                "NO-EVICT (ON|OFF)",
                "    Protect the current connection from being evicted.",
                "NO-TOUCH (ON|OFF)",
                "    Keep the commands of this connection from changing the LRU/LFU of keys.",
                "PAUSE <timeout> [WRITE|ALL]",
                "    Suspend all, or just write, clients for <timeout> milliseconds.",
                "REPLY (ON|OFF|SKIP)",
                "    Control the replies sent to the current connection.",
                "SETINFO (LIB-NAME|LIB-VER) <value>",
                "    Name the client library of the current connection.",
                "SETNAME <name>",
                "    Assign the name <name> to the current connection.",
                "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
                "         [OPTIN] [OPTOUT] [NOLOOP]",
                "    Control server assisted client side caching.",
                "TRACKINGINFO",
                "    Report tracking status for the current connection.",
                "UNBLOCK <clientid> [TIMEOUT|ERROR]",
                "    Unblock the specified blocked client.",
                "UNPAUSE",
                "    Stop the current client pause, resuming traffic.",
            ],
        )
    },
    subs: &[],
};

/// ON or OFF.
fn on_off(word: &[u8]) -> Result<bool, Error> {
    if word.eq_ignore_ascii_case(b"on") {
        Ok(true)
    } else if word.eq_ignore_ascii_case(b"off") {
        Ok(false)
    } else {
        Err(Error::Syntax)
    }
}

/// YES or NO.
fn yes_no(word: &[u8]) -> Result<bool, Error> {
    if word.eq_ignore_ascii_case(b"yes") {
        Ok(true)
    } else if word.eq_ignore_ascii_case(b"no") {
        Ok(false)
    } else {
        Err(Error::Syntax)
    }
}
