//! Data keys: random, each for one file or one run of a log, kept only wrapped under a master key.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::key::KEY_BYTES;
use super::{CryptError, KeyId};
use crate::hex::{from_hex, to_hex};

/// Length of an authentication tag in bytes.
pub const TAG_BYTES: usize = 16;
/// Length of a nonce in bytes.
pub(super) const NONCE_BYTES: usize = 12;
/// Length of a wrapped key in bytes: nonce, encrypted key, tag.
pub const WRAPPED_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES;

/// A key that seals data.
pub struct DataKey(LessSafeKey);

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

impl DataKey {
    pub(super) fn new(bytes: &[u8; KEY_BYTES]) -> Result<DataKey, CryptError> {
        let key = UnboundKey::new(&AES_256_GCM, bytes)
            .map_err(|_| CryptError::Cipher("a data key has a wrong length"))?;
        Ok(DataKey(LessSafeKey::new(key)))
    }

    /// Encrypts in place. The caller vouches that no other bytes were ever sealed with this nonce and key.
    pub fn seal(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        bytes: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], CryptError> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), bytes);
        tag.ok()
            .and_then(|tag| tag.as_ref().try_into().ok())
            .ok_or(CryptError::Cipher("too much for one seal"))
    }

    /// Decrypts `bytes` into `out`, which is as long; false, and nothing of use in `out`, when they are not what was sealed.
    #[must_use]
    pub fn open(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        bytes: &[u8],
        tag: &[u8],
        out: &mut [u8],
    ) -> bool {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.open_separate_gather(nonce, Aad::from(aad), bytes, tag, out).is_ok()
    }
}

/// A data key as it lies on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// The master key that it is wrapped under.
    pub id: KeyId,
    /// Nonce, encrypted key, tag.
    pub bytes: [u8; WRAPPED_BYTES],
}

impl WrappedKey {
    /// The bytes as hexadecimal digits.
    pub fn to_hex(&self) -> String {
        to_hex(&self.bytes)
    }

    /// From the id and the bytes in hexadecimal digits.
    pub fn from_hex(id: &str, hex: &str) -> Option<WrappedKey> {
        Some(WrappedKey { id: KeyId::parse(id)?, bytes: from_hex(hex)? })
    }
}
