//! Scripts and functions.

mod call;
mod eval;
mod function;
mod function_text;
mod manage;

use super::HostCommand;

pub(crate) use call::NO_SCRIPT;
pub use call::{program_for, program_of};
pub(crate) use function::{change_of, changed_to_tree, changes_libraries};

/// The family's commands.
pub const COMMANDS: &[&HostCommand] = &[
    &eval::EVAL,
    &eval::EVAL_RO,
    &eval::EVALSHA,
    &eval::EVALSHA_RO,
    &eval::FCALL,
    &eval::FCALL_RO,
    &function::FUNCTION,
    &manage::SCRIPT,
];
