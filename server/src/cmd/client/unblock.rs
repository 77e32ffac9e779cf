//! CLIENT UNBLOCK.

use ringstone_engine::cmd::{Arg, ArgKind, Spec};
use ringstone_engine::num::parse_i64;
use ringstone_engine::{Error, Tree};

use super::super::{HostCommand, wrong_subcommand};
use super::ADMIN_SUB;
use crate::ask::ask_all;

pub(super) static UNBLOCK: HostCommand = HostCommand {
    spec: Spec {
        name: "client|unblock",
        arity: -3,
        since: "5.0.0",
        complexity: "O(log N) where N is the number of client connections",
        summary: "Ends the wait of another client's blocking command.",
        args: &[
            Arg::new("client-id", ArgKind::Integer),
            Arg {
                optional: true,
                ..Arg::one_of(
                    "timeout_error",
                    &[Arg::word("timeout", "TIMEOUT"), Arg::word("error", "ERROR")],
                )
            },
        ],
        ..ADMIN_SUB
    },
    run: |host, args| {
        let with_error = match args.len() {
            3 => false,
            4 if args.is(3, "TIMEOUT") => false,
            4 if args.is(3, "ERROR") => true,
            4 => {
                return Err(Error::text("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
            }
            _ => return Err(wrong_subcommand("CLIENT", args.at(1))),
        };
        let id = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
        let id = u64::try_from(id).unwrap_or(0);
        host.later(move |shard| async move {
            let ended = ask_all(&shard, move |there| there.unblock_client(id, with_error)).await;
            Tree::Int(i64::from(ended.contains(&true)))
        })
    },
    subs: &[],
};
