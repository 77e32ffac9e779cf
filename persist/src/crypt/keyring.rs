//! The master keys that are known, and which of them is used for what is written from now on.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{Aad, Nonce};
use aws_lc_rs::{hmac, rand};
use zeroize::Zeroizing;

use super::data::NONCE_BYTES;
use super::key::{KEY_BYTES, MasterKey, parse_keys};
use super::{CryptError, DataKey, KeyId, KeyTextError, TAG_BYTES, WRAPPED_BYTES, WrappedKey};

/// Known master keys; empty by default. Cheap to clone.
#[derive(Clone, Default)]
pub struct Keyring {
    known: Option<Arc<Known>>,
    /// What is written is to be sealed.
    seals: bool,
}

struct Known {
    /// The first is the one that is used for writing.
    keys: Vec<Arc<MasterKey>>,
    /// Where they came from, for errors.
    source: String,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("ids", &self.ids()).field("seals", &self.seals).finish()
    }
}

impl PartialEq for Keyring {
    fn eq(&self, other: &Keyring) -> bool {
        self.ids() == other.ids() && self.seals == other.seals
    }
}

impl Eq for Keyring {}

impl Keyring {
    /// The keys of an operator's text: exactly 32 bytes are one key; else a key a line, 64 hexadecimal digits or 44 characters
    /// of base64. The first is used for writing, where `seals` says that what is written is to be sealed. `source` is named
    /// in errors.
    pub fn parse(text: &[u8], source: &str, seals: bool) -> Result<Keyring, KeyTextError> {
        let keys = parse_keys(text)?.into_iter().map(Arc::new).collect();
        let known = Known { keys, source: source.to_owned() };
        Ok(Keyring { known: Some(Arc::new(known)), seals })
    }

    /// The same keys, and those of `older` behind them: what is sealed under those can still be read.
    #[must_use]
    pub fn with_older(&self, older: &Keyring) -> Keyring {
        let Some(known) = &self.known else {
            return Keyring { seals: self.seals, ..older.clone() };
        };
        let mut keys = known.keys.clone();
        let more = older.keys().iter().filter(|key| self.find(key.id).is_none());
        keys.extend(more.cloned());
        let known = Known { keys, source: known.source.clone() };
        Keyring { known: Some(Arc::new(known)), seals: self.seals }
    }

    /// The same keys with this one first; `None` when it is not among them.
    #[must_use]
    pub fn with_first(&self, id: KeyId) -> Option<Keyring> {
        let first = self.find(id)?;
        let rest = self.keys().iter().filter(|key| key.id != id);
        let keys = [first].into_iter().chain(rest).cloned().collect();
        let source = self.known.as_ref().map(|known| known.source.clone()).unwrap_or_default();
        Some(Keyring { known: Some(Arc::new(Known { keys, source })), seals: self.seals })
    }

    /// Whether what is written is to be sealed.
    pub fn seals(&self) -> bool {
        self.seals && self.known.is_some()
    }

    /// The key for writing.
    pub fn active(&self) -> Option<KeyId> {
        self.keys().first().map(|key| key.id)
    }

    /// All keys, the one for writing first.
    pub fn ids(&self) -> Vec<KeyId> {
        self.keys().iter().map(|key| key.id).collect()
    }

    /// A new data key for `what`, wrapped under the active key. `context` says what it is for: it comes out for that only.
    pub fn new_data_key(
        &self,
        context: &[u8],
        what: &str,
    ) -> Result<(DataKey, WrappedKey), CryptError> {
        let bytes = random_key()?;
        Ok((DataKey::new(&bytes)?, self.wrap(&bytes, context, what)?))
    }

    /// A data key of `what`.
    pub fn unwrap_key(
        &self,
        wrapped: &WrappedKey,
        context: &[u8],
        what: &str,
    ) -> Result<DataKey, CryptError> {
        DataKey::new(&*self.open(wrapped, context, what)?)
    }

    /// The same data key wrapped under the active key.
    pub fn rewrap(
        &self,
        wrapped: &WrappedKey,
        context: &[u8],
        what: &str,
    ) -> Result<WrappedKey, CryptError> {
        self.wrap(&*self.open(wrapped, context, what)?, context, what)
    }

    /// An error when this master key of `what` is not known.
    pub fn check_known(&self, id: KeyId, what: &str) -> Result<(), CryptError> {
        self.known_or_error(id, what).map(|_| ())
    }

    /// A MAC under the active key; `None` when no key is known.
    pub fn mac(&self, bytes: &[u8]) -> Option<(KeyId, [u8; 32])> {
        let key = self.keys().first()?;
        let tag = hmac::sign(&key.mac, bytes);
        Some((key.id, tag.as_ref().try_into().ok()?))
    }

    /// Verifies a MAC of `what`.
    pub fn verify(
        &self,
        id: KeyId,
        bytes: &[u8],
        mac: &[u8],
        what: &str,
    ) -> Result<(), CryptError> {
        let key = self.known_or_error(id, what)?;
        hmac::verify(&key.mac, bytes, mac)
            .map_err(|_| CryptError::Mac { what: what.to_owned(), id })
    }

    fn keys(&self) -> &[Arc<MasterKey>] {
        self.known.as_ref().map(|known| &*known.keys).unwrap_or_default()
    }

    fn find(&self, id: KeyId) -> Option<&Arc<MasterKey>> {
        self.keys().iter().find(|key| key.id == id)
    }

    fn known_or_error(&self, id: KeyId, what: &str) -> Result<&MasterKey, CryptError> {
        let what = what.to_owned();
        let Some(known) = &self.known else { return Err(CryptError::NoKey { what, id }) };
        let source_name = known.source.clone();
        let unknown = || CryptError::UnknownKey { what, id, source_name };
        self.find(id).map(|key| &**key).ok_or_else(unknown)
    }

    fn wrap(
        &self,
        key: &[u8; KEY_BYTES],
        context: &[u8],
        what: &str,
    ) -> Result<WrappedKey, CryptError> {
        let Some(master) = self.keys().first() else {
            return Err(CryptError::NothingToSealWith(what.to_owned()));
        };
        let mut nonce = [0; NONCE_BYTES];
        rand::fill(&mut nonce).map_err(|_| CryptError::Cipher("there are no random bytes"))?;
        let mut sealed = Zeroizing::new(*key);
        let tag = master
            .wrap
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context),
                &mut *sealed,
            )
            .map_err(|_| CryptError::Cipher("a key cannot be wrapped"))?;
        let mut bytes = [0; WRAPPED_BYTES];
        let all = nonce.iter().chain(sealed.iter()).chain(tag.as_ref());
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
        Ok(WrappedKey { id: master.id, bytes })
    }

    fn open(
        &self,
        wrapped: &WrappedKey,
        context: &[u8],
        what: &str,
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, CryptError> {
        let master = self.known_or_error(wrapped.id, what)?;
        let failed = || CryptError::Wrapped { what: what.to_owned(), id: wrapped.id };
        let (nonce, rest) = wrapped.bytes.split_first_chunk::<NONCE_BYTES>().ok_or_else(failed)?;
        let (sealed, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or_else(failed)?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let nonce = Nonce::assume_unique_for_key(*nonce);
        master
            .wrap
            .open_separate_gather(nonce, Aad::from(context), sealed, tag, &mut *key)
            .map_err(|_| failed())?;
        Ok(key)
    }
}

fn random_key() -> Result<Zeroizing<[u8; KEY_BYTES]>, CryptError> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    rand::fill(&mut *bytes).map_err(|_| CryptError::Cipher("there are no random bytes"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring(numbers: &[u8]) -> Keyring {
        let line = |n: &u8| format!("{n:02x}{}\n", "5a".repeat(31));
        let text: String = numbers.iter().map(line).collect();
        Keyring::parse(text.as_bytes(), "encryption-key-file k", true).unwrap()
    }

    #[test]
    fn a_data_key_comes_out_for_its_context_and_its_master_key_only() {
        let ring = keyring(&[1]);
        let (key, wrapped) = ring.new_data_key(b"one", "f").unwrap();
        let mut bytes = *b"secret";
        let tag = key.seal([0; 12], b"", &mut bytes).unwrap();
        assert_ne!(&bytes, b"secret");
        let mut out = [0; 6];
        let again = ring.unwrap_key(&wrapped, b"one", "f").unwrap();
        assert!(again.open([0; 12], b"", &bytes, &tag, &mut out) && &out == b"secret");
        assert!(!again.open([1; 12], b"", &bytes, &tag, &mut out));
        assert!(!again.open([0; 12], b"x", &bytes, &tag, &mut out));
        let error = ring.unwrap_key(&wrapped, b"two", "f").unwrap_err();
        assert_eq!(error, CryptError::Wrapped { what: "f".to_owned(), id: wrapped.id });
        let error = keyring(&[2]).unwrap_key(&wrapped, b"one", "f").unwrap_err().to_string();
        assert!(error.contains("f is encrypted under the master key"), "{error}");
        assert!(error.contains("encryption-key-file k does not hold"), "{error}");
        let error = Keyring::default().unwrap_key(&wrapped, b"one", "f").unwrap_err();
        assert!(matches!(error, CryptError::NoKey { .. }));
    }

    #[test]
    fn a_key_that_is_rotated_still_opens_what_it_sealed() {
        let old = keyring(&[1]);
        let (_, wrapped) = old.new_data_key(b"one", "f").unwrap();
        let new = keyring(&[2]).with_older(&old);
        assert_ne!(new.active(), old.active());
        let rewrapped = new.rewrap(&wrapped, b"one", "f").unwrap();
        assert_eq!(Some(rewrapped.id), new.active());
        assert!(keyring(&[2]).unwrap_key(&rewrapped, b"one", "f").is_ok());
        let back = new.with_first(wrapped.id).unwrap();
        assert_eq!(back.active(), old.active());
        assert_eq!(back.ids().len(), 2);
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        let shown = format!("{:?}", keyring(&[1]));
        assert!(!shown.contains("5a5a"), "{shown}");
    }

    #[test]
    fn a_mac_fits_its_bytes_and_key_only() {
        let ring = keyring(&[1, 2]);
        let (id, mac) = ring.mac(b"text").unwrap();
        assert!(ring.verify(id, b"text", &mac, "f").is_ok());
        assert!(matches!(ring.verify(id, b"texT", &mac, "f"), Err(CryptError::Mac { .. })));
        let other = ring.ids()[1];
        assert!(matches!(ring.verify(other, b"text", &mac, "f"), Err(CryptError::Mac { .. })));
    }
}
