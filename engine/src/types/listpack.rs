//! A listpack in Redis's exact byte layout, so that small collections go to and from RDB as they are.
//!
//! ```text
//! total_bytes:u32le  count:u16le (65535 = unknown)  ( encoding+data  backlen )*  0xFF
//! ```

/// A listpack. Invariant: the bytes are well formed; foreign bytes come in through [`Listpack::from_bytes`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listpack(Vec<u8>);

/// An element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// Stored as an integer.
    Int(i64),
    /// Stored as bytes.
    Str(&'a [u8]),
}
