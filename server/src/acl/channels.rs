//! Which arguments of a command are channels.

use ringstone_engine::Args;
use ringstone_engine::cmd::Flags;

use crate::table::Entry;

/// The channels among a command's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channels {
    /// The first argument.
    One,
    /// All arguments.
    All,
    /// All arguments, which are patterns.
    Patterns,
}

/// Leaving a channel is always allowed.
const WITH_CHANNELS: &[(&str, Channels)] = &[
    ("publish", Channels::One),
    ("spublish", Channels::One),
    ("subscribe", Channels::All),
    ("ssubscribe", Channels::All),
    ("psubscribe", Channels::Patterns),
];

/// Positions of the channels that a command publishes to or subscribes to, and whether they are patterns.
pub(super) fn of(entry: &Entry, args: Args<'_>) -> Option<(std::ops::Range<usize>, bool)> {
    if !entry.spec.flags.contains(Flags::PUBSUB) {
        return None;
    }
    let (_, channels) = WITH_CHANNELS.iter().find(|(name, _)| *name == entry.spec.name)?;
    Some(match channels {
        Channels::One => (1..args.len().min(2), false),
        Channels::All => (1..args.len(), false),
        Channels::Patterns => (1..args.len(), true),
    })
}
