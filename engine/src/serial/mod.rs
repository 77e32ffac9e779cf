//! Values as bytes: Redis's RDB value encodings, the DUMP payload, and digests.
//!
//! ```text
//!   Value ──Object::save──> RdbWriter ──> snapshot, DUMP        RdbReader ──load_value──> Value
//!                                │                                  │
//!                            lzf, crc64                        legacy (ziplist, zipmap), listpacks, intsets
//! ```
//!
//! Invariant: bytes that come from outside never make anything here panic, loop without end, or allocate more than
//! their own size times what LZF can expand to.

pub mod crc64;
pub mod digest;
pub mod dump;
pub mod legacy;
pub mod load;
pub mod lzf;
pub mod rdb_type;
pub mod reader;
pub mod skip;
pub mod snapshot;
pub mod writer;

pub use digest::{Digest, DigestBytes};
pub use dump::{dump_payload, restore_payload};
pub use load::load_value;
pub use rdb_type::*;
pub use reader::{LoadError, LoadFault, RdbReader};
pub use skip::skip_value;
pub use snapshot::SnapshotWriter;
pub use writer::{Compression, RdbWriter};
