//! ACL and its subcommands.

mod dryrun;
mod file;
mod log;
mod show;
mod users;

use ringstone_engine::cmd::{Arg, ArgKind, CATEGORIES, Flags, Group, Spec};
use ringstone_engine::error::word;
use ringstone_engine::num::parse_i64;
use ringstone_engine::{Args, Error, Reply, Tree};

use super::client::close_after_answer;
use super::{Host, HostCommand, Outcome, wrong_subcommand};
use crate::ask::ask_all;
use crate::conn::ConnId;
use crate::shard::ShardRef;

/// The family's commands.
pub const COMMANDS: &[&HostCommand] = &[&ACL];

static ACL: HostCommand = HostCommand {
    spec: Spec {
        name: "acl",
        arity: -2,
        group: Group::Server,
        since: "6.0.0",
        complexity: "Depends on subcommand.",
        summary: "A container for commands about users and what they may do.",
        ..Spec::DEFAULT
    },
    run: super::container,
    subs: &[
        &CAT,
        &users::DELUSER,
        &dryrun::DRYRUN,
        &GENPASS,
        &show::GETUSER,
        &HELP,
        &show::LIST,
        &file::LOAD,
        &log::LOG,
        &file::SAVE,
        &users::SETUSER,
        &show::USERS,
        &WHOAMI,
    ],
};

/// What the subcommands for everybody have in common.
const SUB: Spec = Spec {
    flags: Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE),
    group: Group::Server,
    since: "6.0.0",
    ..Spec::DEFAULT
};

/// The same of those for administrators.
const ADMIN_SUB: Spec = Spec { flags: SUB.flags.union(Flags::ADMIN), ..SUB };

/// Has all shards go on with the users as they are now, and ends the caller's connection behind the answer if its user is
/// no more.
async fn spread(shard: ShardRef, id: ConnId, client_id: u64, answer: Tree) -> Tree {
    let ends = ask_all(&shard, move |there| there.take_over_users(client_id)).await;
    if ends.contains(&true) {
        close_after_answer(&shard, id);
    }
    answer
}

static WHOAMI: HostCommand = HostCommand {
    spec: Spec { name: "acl|whoami", arity: 2, summary: "Tells the connection's user.", ..SUB },
    run: |host, _| {
        let name = host.conn.user.name.clone();
        host.reply().bulk(&name);
        Ok(Outcome::Done)
    },
    subs: &[],
};

static CAT: HostCommand = HostCommand {
    spec: Spec {
        name: "acl|cat",
        arity: -2,
        complexity: "O(1) since the categories and commands are a fixed set.",
        summary: "Lists the categories, or the commands of one.",
        args: &[Arg::new("categoryname", ArgKind::String).optional()],
        ..SUB
    },
    run: cat,
    subs: &[],
};

fn cat(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let names = match args.len() {
        2 => CATEGORIES.iter().map(|name| name.trim_start_matches('@')).collect(),
        3 => crate::acl::in_category(args.at(2)).ok_or_else(|| {
            let name = args.at(2);
            let name = word(name.get(..128).unwrap_or(name));
            Error::owned(format!("ERR Unknown category '{name}'"))
        })?,
        _ => return Err(wrong_subcommand("ACL", args.at(1))),
    };
    let mut reply = host.reply();
    reply.array(names.len());
    names.iter().for_each(|name| reply.bulk(name.as_bytes()));
    Ok(Outcome::Done)
}

static GENPASS: HostCommand = HostCommand {
    spec: Spec {
        name: "acl|genpass",
        arity: -2,
        summary: "Makes up a password that nobody can guess.",
        args: &[Arg::new("bits", ArgKind::Integer).optional()],
        ..SUB
    },
    run: generate_password,
    subs: &[],
};

const PASSWORD_BITS_MAX: usize = 4096;

fn generate_password(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let bits = match args.len() {
        2 => 256,
        3 => parse_i64(args.at(2)).ok_or(Error::NotInteger)?,
        _ => return Err(wrong_subcommand("ACL", args.at(1))),
    };
    let bits = usize::try_from(bits).ok().filter(|bits| (1..=PASSWORD_BITS_MAX).contains(bits));
    let bits = bits.ok_or(Error::text(
        "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
    ))?;
    let mut random = [0; PASSWORD_BITS_MAX / 8];
    let digits = bits.div_ceil(4);
    let bytes = random.get_mut(..digits.div_ceil(2)).unwrap_or_default();
    getrandom::fill(bytes).map_err(|e| Error::owned(format!("ERR no random numbers: {e}")))?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    host.reply().bulk(text.get(..digits).unwrap_or(&text).as_bytes());
    Ok(Outcome::Done)
}

static HELP: HostCommand = HostCommand {
    spec: Spec {
        name: "acl|help",
        arity: 2,
        flags: Flags::LOADING.union(Flags::STALE),
        summary: "Lists the subcommands.",
        ..SUB
    },
    run: |host, _| {
        super::help(
            host,
            "ACL",
            &[
                "CAT [<category>]",
                "    List all commands that belong to <category>, or all command categories",
                "    when no category is specified.",
                "DELUSER <username> [<username> ...]",
                "    Delete a list of users.",
                "DRYRUN <username> <command> [<arg> ...]",
                "    Returns whether the user can execute the given command without executing the command.",
                "GETUSER <username>",
                "    Get the user's details.",
                "GENPASS [<bits>]",
                "    Generate a secure 256-bit user password. The optional `bits` argument can",
                "    be used to specify a different size.",
                "LIST",
                "    Show users details in config file format.",
                "LOAD",
                "    Reload users from the ACL file.",
                "LOG [<count> | RESET]",
                "    Show the ACL log entries.",
                "SAVE",
                "    Save the current config to the ACL file.",
                "SETUSER <username> <attribute> [<attribute> ...]",
                "    Create or modify a user with the specified attributes.",
                "USERS",
                "    List all the registered usernames.",
                "WHOAMI",
                "    Return the current connection username.",
            ],
        )
    },
    subs: &[],
};
