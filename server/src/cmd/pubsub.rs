//! Publish and subscribe.

mod introspect;
mod publish;
mod subscribe;

use super::HostCommand;

/// The family's commands.
pub const COMMANDS: &[&HostCommand] = &[
    &subscribe::SUBSCRIBE,
    &subscribe::UNSUBSCRIBE,
    &subscribe::PSUBSCRIBE,
    &subscribe::PUNSUBSCRIBE,
    &subscribe::SSUBSCRIBE,
    &subscribe::SUNSUBSCRIBE,
    &publish::PUBLISH,
    &publish::SPUBLISH,
    &introspect::PUBSUB,
];
