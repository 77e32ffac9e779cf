//! ACL LOAD, ACL SAVE.

use std::path::PathBuf;

use ringstone_engine::cmd::Spec;
use ringstone_engine::{Args, Error, Tree};

use super::super::{Host, HostCommand, Outcome};
use super::{ADMIN_SUB, spread};
use crate::snapshot::on_helper;
use crate::users_file;

pub(super) static LOAD: HostCommand = HostCommand {
    spec: Spec {
        name: "acl|load",
        arity: 2,
        complexity: "O(N). Where N is the number of configured users.",
        summary: "Reads the users from the ACL file again, all or none.",
        ..ADMIN_SUB
    },
    run: load,
    subs: &[],
};

pub(super) static SAVE: HostCommand = HostCommand {
    spec: Spec {
        name: "acl|save",
        arity: 2,
        complexity: "O(N). Where N is the number of configured users.",
        summary: "Writes the users to the ACL file.",
        ..ADMIN_SUB
    },
    run: save,
    subs: &[],
};

fn path(host: &Host<'_>) -> Result<PathBuf, Error> {
    users_file::path(&host.shard.config).ok_or(Error::text(
        "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER \
         command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users \
         in the Redis configuration.",
    ))
}

const NO_HELPER: Error = Error::text("ERR the helper is gone");

fn load(host: &mut Host<'_>, _: Args<'_>) -> Result<Outcome, Error> {
    let path = path(host)?;
    let (config, shared) = (host.shard.config.clone(), host.shard.shared.clone());
    let (id, client_id) = (host.conn.id, host.conn.client_id);
    host.later(move |shard| async move {
        let loaded = on_helper(&shard, move || {
            let loaded = users_file::read(&config, path)?;
            shared.change_users(|users| *users = users.replaced_by(loaded));
            Ok::<(), String>(())
        });
        match loaded.await {
            Some(Ok(())) => spread(shard, id, client_id, Tree::Simple("OK".into())).await,
            Some(Err(reason)) => Tree::Error(Error::owned(format!("ERR {reason}"))),
            None => Tree::Error(NO_HELPER),
        }
    })
}

fn save(host: &mut Host<'_>, _: Args<'_>) -> Result<Outcome, Error> {
    let path = path(host)?;
    let shared = host.shard.shared.clone();
    host.later(move |shard| async move {
        let saved = on_helper(&shard, move || {
            let saved = users_file::write(&path, &shared.users());
            saved.inspect_err(|e| tracing::warn!("ACL SAVE: {}: {e}", path.display()))
        });
        match saved.await {
            Some(Ok(())) => Tree::Simple("OK".into()),
            Some(Err(_)) => Tree::Error(Error::text(
                "ERR There was an error trying to save the ACLs. Please check the server logs for more information",
            )),
            None => Tree::Error(NO_HELPER),
        }
    })
}
