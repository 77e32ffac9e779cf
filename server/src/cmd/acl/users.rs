//! ACL SETUSER, ACL DELUSER.

use ringstone_engine::cmd::{Arg, ArgKind, Spec};
use ringstone_engine::{Args, Error, Tree};

use super::super::{Host, HostCommand, Outcome};
use super::{ADMIN_SUB, spread};

pub(super) static SETUSER: HostCommand = HostCommand {
    spec: Spec {
        name: "acl|setuser",
        arity: -3,
        complexity: "O(N). Where N is the number of rules provided.",
        summary: "Makes a user, or changes what it may do.",
        history: &[
            ("6.2.0", "Added Pub/Sub channel patterns."),
            ("7.0.0", "Added selectors and key based permissions."),
        ],
        args: &[
            Arg::new("username", ArgKind::String),
            Arg::new("rule", ArgKind::String).optional().multiple(),
        ],
        ..ADMIN_SUB
    },
    run: set,
    subs: &[],
};

fn set(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let channels = host.shard.config.acl_pubsub_default;
    host.shard
        .shared
        .change_users(|users| users.set(args.at(2), args.iter_from(3), channels))
        .map_err(|e| Error::owned(format!("ERR {e}")))?;
    answer(host, Tree::Simple("OK".into()))
}

pub(super) static DELUSER: HostCommand = HostCommand {
    spec: Spec {
        name: "acl|deluser",
        arity: -3,
        complexity: "O(1) amortized time considering the typical user.",
        summary: "Deletes users and ends their connections.",
        args: &[Arg::new("username", ArgKind::String).multiple()],
        ..ADMIN_SUB
    },
    run: delete,
    subs: &[],
};

fn delete(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    if args.iter_from(2).any(|name| name == b"default") {
        return Err(Error::text("ERR The 'default' user cannot be removed"));
    }
    let deleted = host
        .shard
        .shared
        .change_users(|users| args.iter_from(2).map(|name| i64::from(users.delete(name))).sum());
    answer(host, Tree::Int(deleted))
}

fn answer(host: &mut Host<'_>, answer: Tree) -> Result<Outcome, Error> {
    let (id, client_id) = (host.conn.id, host.conn.client_id);
    host.later(move |shard| spread(shard, id, client_id, answer))
}
