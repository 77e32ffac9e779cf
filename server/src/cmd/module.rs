//! MODULE: there are no modules, and none can be loaded.

use ringstone_engine::cmd::{Arg, ArgKind, Flags, Group, Spec};
use ringstone_engine::{Args, Error, Reply};

use super::{Host, HostCommand, Outcome};

/// The family's commands.
pub const COMMANDS: &[&HostCommand] = &[&MODULE];

static MODULE: HostCommand = HostCommand {
    spec: Spec {
        name: "module",
        arity: -2,
        group: Group::Server,
        since: "4.0.0",
        complexity: "Depends on subcommand.",
        summary: "Tells about modules.",
        ..Spec::DEFAULT
    },
    run: |_, args| Err(super::wrong_subcommand("MODULE", args.at(1))),
    subs: &[&HELP, &LIST, &LOAD, &LOADEX, &UNLOAD],
};

static HELP: HostCommand = HostCommand {
    spec: Spec {
        name: "module|help",
        arity: 2,
        flags: Flags::LOADING.union(Flags::STALE),
        group: Group::Server,
        since: "5.0.0",
        summary: "Explains the subcommands.",
        ..Spec::DEFAULT
    },
    run: |host, _| {
        super::help(
            host,
            "MODULE",
            &["LIST", "    Return a list of loaded modules, which is always empty."],
        )
    },
    subs: &[],
};

static LIST: HostCommand = HostCommand {
    spec: Spec {
        name: "module|list",
        arity: 2,
        flags: Flags::ADMIN.union(Flags::NOSCRIPT),
        group: Group::Server,
        since: "4.0.0",
        complexity: "O(N) where N is the number of loaded modules.",
        summary: "Lists the modules that are loaded, of which there are none.",
        tips: &["nondeterministic_output_order"],
        ..Spec::DEFAULT
    },
    run: |host, _| {
        host.reply().array(0);
        Ok(Outcome::Done)
    },
    subs: &[],
};

static LOAD: HostCommand = HostCommand {
    spec: Spec {
        name: "module|load",
        arity: -3,
        flags: Flags::ADMIN.union(Flags::NO_ASYNC_LOADING).union(Flags::NOSCRIPT),
        group: Group::Server,
        since: "4.0.0",
        summary: "Refused: modules cannot be loaded.",
        args: &[
            Arg::new("path", ArgKind::String),
            Arg::new("arg", ArgKind::String).optional().multiple(),
        ],
        ..Spec::DEFAULT
    },
    run: refused,
    subs: &[],
};

static LOADEX: HostCommand = HostCommand {
    spec: Spec {
        name: "module|loadex",
        arity: -3,
        flags: Flags::ADMIN.union(Flags::NO_ASYNC_LOADING).union(Flags::NOSCRIPT),
        group: Group::Server,
        since: "7.0.0",
        summary: "Refused: modules cannot be loaded.",
        args: &[
            Arg::new("path", ArgKind::String),
            Arg::block(
                "configs",
                &[Arg::new("name", ArgKind::String), Arg::new("value", ArgKind::String)],
            )
            .token("CONFIG")
            .optional()
            .multiple()
            .multiple_token(),
            Arg::block("args", &[Arg::new("arg", ArgKind::String)])
                .token("ARGS")
                .optional()
                .multiple(),
        ],
        ..Spec::DEFAULT
    },
    run: refused,
    subs: &[],
};

static UNLOAD: HostCommand = HostCommand {
    spec: Spec {
        name: "module|unload",
        arity: 3,
        flags: Flags::ADMIN.union(Flags::NO_ASYNC_LOADING).union(Flags::NOSCRIPT),
        group: Group::Server,
        since: "4.0.0",
        summary: "Refused: modules cannot be loaded.",
        args: &[Arg::new("name", ArgKind::String)],
        ..Spec::DEFAULT
    },
    run: refused,
    subs: &[],
};

/// The words of a server of Redis that was started without `enable-module-command`.
fn refused(_: &mut Host<'_>, _: Args<'_>) -> Result<Outcome, Error> {
    Err(Error::text(
        "ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", you can run it from a local connection, \
         otherwise you need to set this option in the configuration file, and then restart the server.",
    ))
}
