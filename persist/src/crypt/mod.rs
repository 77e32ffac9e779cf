//! Encryption at rest: master keys that an operator keeps, data keys that files are sealed with.
//!
//! ```text
//!   key file, variable or command ──> Keyring ── wraps ──> DataKey (random)  ──seals──> frames of the log      (log::seal)
//!                                        └────── MACs ───> MANIFEST           └─seals──> units of a sealed file (container)
//! ```
//!
//! AES-256-GCM throughout, keys derived with HKDF-SHA-256, MACs by HMAC-SHA-256. The bytes are drawn in `docs/formats.md`.
//!
//! Invariant: no nonce is used twice with a data key: a data key belongs to one file, or to one run's frames, whose GSNs
//! rise. Invariant: key bytes are wiped when they are let go, and no `Debug` or `Display` shows them.

mod container;
mod data;
mod error;
mod key;
mod keyring;
mod sealed_file;

pub use container::{BODY_AT, FileSealer, Purpose, Unit, seal_bytes};
pub use data::{DataKey, TAG_BYTES, WRAPPED_BYTES, WrappedKey};
pub use error::CryptError;
pub use key::{KeyId, KeyTextError};
pub use keyring::Keyring;
pub use sealed_file::{SealedFile, is_sealed, open_bytes, sealed_block_with, sealed_with};
