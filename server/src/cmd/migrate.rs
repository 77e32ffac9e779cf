//! MIGRATE.

use ringstone_engine::cmd::{
    Acl, Arg, ArgKind, Begin, Find, Flags, Group, KeyFlags, KeySpec, Spec,
};
use ringstone_engine::{Args, Error, Tree};

use super::{Host, HostCommand, Outcome};
use crate::ask::ask_when_safe;
use crate::migrate::{Request, key_positions, migrate_in};
use crate::tx::held::Held;

/// The family's commands.
pub const COMMANDS: &[&HostCommand] = &[&MIGRATE];

const MOVED: KeyFlags = KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE);

/// MIGRATE: moves keys to another server.
static MIGRATE: HostCommand = HostCommand {
    spec: Spec {
        name: "migrate",
        arity: -6,
        flags: Flags::WRITE.union(Flags::MOVABLEKEYS),
        acl: Acl::KEYSPACE.union(Acl::DANGEROUS),
        keys: &[
            KeySpec::range(MOVED, 3, 0, 1),
            KeySpec {
                flags: MOVED.union(KeyFlags::INCOMPLETE),
                begin: Begin::Keyword("KEYS", -2),
                find: Find::Range(-1, 1, 0),
                notes: None,
            },
        ],
        more_keys: Some(key_positions),
        group: Group::Generic,
        since: "2.6.0",
        complexity: "This command actually executes a DUMP+DEL in the source instance, and a RESTORE in the target instance. See the pages of these commands for time complexity. Also an O(N) data transfer between the two instances is performed.",
        summary: "Moves keys to another server.",
        history: &[
            ("3.0.0", "Added the `COPY` and `REPLACE` options."),
            ("3.0.6", "Added the `KEYS` option."),
            ("4.0.7", "Added the `AUTH` option."),
            ("6.0.0", "Added the `AUTH2` option."),
        ],
        args: &[
            Arg::new("host", ArgKind::String),
            Arg::new("port", ArgKind::Integer),
            Arg::one_of(
                "key_or_empty_string",
                &[Arg::new("key", ArgKind::Key), Arg::word("empty_string", "")],
            ),
            Arg::new("destination-db", ArgKind::Integer),
            Arg::new("timeout", ArgKind::Integer),
            Arg::word("copy", "COPY").optional().since("3.0.0"),
            Arg::word("replace", "REPLACE").optional().since("3.0.0"),
            Arg::one_of(
                "authentication",
                &[
                    Arg::new("password", ArgKind::String).token("AUTH").optional().since("4.0.7"),
                    Arg::block(
                        "username_password",
                        &[
                            Arg::new("username", ArgKind::String),
                            Arg::new("password", ArgKind::String),
                        ],
                    )
                    .token("AUTH2")
                    .optional()
                    .since("6.0.0"),
                ],
            )
            .optional(),
            Arg::new("key", ArgKind::Key).token("KEYS").optional().multiple().since("3.0.6"),
        ],
        tips: &["nondeterministic_output"],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let request = Request::parse(args)?;
    let db = host.conn.db;
    let owner = |key: &Vec<u8>| host.shard.shared.slots.shard_of_key(key);
    let keys = request.keys.iter().map(|key| (owner(key), db, key.clone())).collect();
    let (id, index) = (host.conn.id, host.shard.index);
    host.later(async move |me| {
        let mut held = match Held::keys(&me, keys).await {
            Ok(held) => held,
            Err(busy) => return Tree::Error(busy),
        };
        held.set_caller_of(id);
        let reply = migrate_in(&mut held, db, &request).await;
        let batch = held.end();
        // That they are gone here is safe before it is told.
        ask_when_safe(&me, index, move |_| ((), batch)).await;
        reply
    })
}
