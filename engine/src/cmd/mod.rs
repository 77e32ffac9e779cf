//! The command table: a row a command, from which dispatch, routing, COMMAND, ACL categories, docs and fuzz alphabets derive.
//!
//! A command is one file `cmd/<family>/<name>.rs` with its row and its `run`; the family's `mod.rs` names it twice.

pub mod arg;
pub mod blocking;
pub(crate) mod collection_scan;
pub mod merge;
pub(crate) mod numbers;
pub mod spec;

pub mod bitmap;
pub mod generic;
pub mod geo;
pub mod hash;
pub mod hyperloglog;
pub mod list;
pub mod set;
pub mod stream;
pub mod string;
pub mod zset;

pub use arg::*;
pub use numbers::database_index;
pub use spec::*;

use crate::args::Args;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// A command's code.
pub type Run = fn(&mut Ctx<'_>, Args<'_>) -> CmdResult;

/// A command that acts on the keyspace: its row and its code.
pub struct Command {
    /// The row.
    pub spec: Spec,
    /// The code. A container (`OBJECT`) has subcommands and a `run` that answers an unknown one.
    pub run: Run,
    /// Subcommands.
    pub subs: &'static [&'static Command],
}

/// All commands of the engine, by family.
pub const FAMILIES: &[&[&Command]] = &[
    string::COMMANDS,
    generic::COMMANDS,
    bitmap::COMMANDS,
    hyperloglog::COMMANDS,
    geo::COMMANDS,
    list::COMMANDS,
    set::COMMANDS,
    hash::COMMANDS,
    zset::COMMANDS,
    stream::COMMANDS,
];

/// All commands of the engine, subcommands not listed.
pub fn all() -> impl Iterator<Item = &'static Command> {
    FAMILIES.iter().flat_map(|family| family.iter().copied())
}

/// The command or subcommand that a logged opcode stands for.
pub fn by_opcode(opcode: crate::effect::Opcode) -> Option<&'static Command> {
    all()
        .flat_map(|c| std::iter::once(c).chain(c.subs.iter().copied()))
        .find(|c| c.spec.opcode == opcode && opcode != 0)
}
