//! The only place of the engine with `unsafe`: entries and the key index, and the door to C.

mod entry;
mod long_double;
mod thin;

pub use entry::Entry;
pub use long_double::LongDouble;
pub(crate) use long_double::strtod;
pub use thin::Thin;
