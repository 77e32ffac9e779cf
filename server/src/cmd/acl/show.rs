//! ACL GETUSER, ACL LIST, ACL USERS.

use ringstone_engine::cmd::{Arg, ArgKind, Spec};
use ringstone_engine::{Args, Error, Reply};

use super::super::{Host, HostCommand, Outcome};
use super::ADMIN_SUB;
use crate::acl::Selector;
use crate::flow::execute::RespReply;

pub(super) static GETUSER: HostCommand = HostCommand {
    spec: Spec {
        name: "acl|getuser",
        arity: 3,
        complexity: "O(N). Where N is the number of password, command and pattern rules that the user has.",
        summary: "Tells the rules of a user.",
        history: &[
            ("6.2.0", "Added Pub/Sub channel patterns."),
            (
                "7.0.0",
                "Added selectors and changed the format of key and channel patterns from a list to their rule representation.",
            ),
        ],
        args: &[Arg::new("username", ArgKind::String)],
        ..ADMIN_SUB
    },
    run: get,
    subs: &[],
};

fn get(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let users = host.shard.shared.users();
    let mut reply = host.reply();
    let Some(user) = users.get(args.at(2)) else {
        reply.null();
        return Ok(Outcome::Done);
    };
    reply.map(6);
    reply.bulk(b"flags");
    let flags = user.flags();
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"passwords");
    let hashes = user.password_hashes();
    reply.array(hashes.len());
    hashes.for_each(|hash| reply.bulk(hash.as_bytes()));
    selector(&mut reply, user.root());
    reply.bulk(b"selectors");
    reply.array(user.selectors().len());
    for more in user.selectors() {
        reply.map(3);
        selector(&mut reply, more);
    }
    Ok(Outcome::Done)
}

fn selector(reply: &mut RespReply<'_>, selector: &Selector) {
    reply.bulk(b"commands");
    reply.bulk(&selector.describe_commands());
    reply.bulk(b"keys");
    reply.bulk(&selector.key_rules().join(&b' '));
    reply.bulk(b"channels");
    reply.bulk(&selector.channel_rules().join(&b' '));
}

pub(super) static LIST: HostCommand = HostCommand {
    spec: Spec {
        name: "acl|list",
        arity: 2,
        complexity: "O(N). Where N is the number of configured users.",
        summary: "Lists all users with their rules, as lines of an ACL file.",
        ..ADMIN_SUB
    },
    run: |host, _| {
        let lines = host.shard.shared.users().lines();
        let mut reply = host.reply();
        reply.array(lines.len());
        lines.iter().for_each(|line| reply.bulk(line));
        Ok(Outcome::Done)
    },
    subs: &[],
};

pub(super) static USERS: HostCommand = HostCommand {
    spec: Spec {
        name: "acl|users",
        arity: 2,
        complexity: "O(N). Where N is the number of configured users.",
        summary: "Lists the names of all users.",
        ..ADMIN_SUB
    },
    run: |host, _| {
        let users = host.shard.shared.users();
        let mut reply = host.reply();
        let all = users.iter();
        reply.array(all.len());
        all.for_each(|user| reply.bulk(&user.name));
        Ok(Outcome::Done)
    },
    subs: &[],
};
