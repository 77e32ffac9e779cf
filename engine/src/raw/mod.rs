//! The only place of the engine with `unsafe`: entries and the key index.

mod entry;

pub use entry::Entry;
