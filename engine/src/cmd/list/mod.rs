//! The list family.

use super::Command;

/// The family's commands.
pub const COMMANDS: &[&Command] = &[];
