//! Master keys: read from an operator's text, and turned at once into what they are used for.
//!
//! Invariant: the key's own bytes do not outlive [`MasterKey::new`]; what is derived from them lies in the cipher's contexts,
//! which are wiped when they are freed.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use base64::Engine as _;
use zeroize::Zeroizing;

use super::CryptError;
use crate::hex::{fill_from_hex, from_hex, to_hex};

/// Length of a key in bytes.
pub(super) const KEY_BYTES: usize = 32;

/// Names a master key: derived from it, so that it need not be given, and tells nothing about it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub(super) [u8; 8]);

impl KeyId {
    /// The id that 16 hexadecimal digits stand for.
    pub fn parse(hex: &str) -> Option<KeyId> {
        from_hex(hex).map(KeyId)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A master key, ready for use.
pub(super) struct MasterKey {
    pub(super) id: KeyId,
    /// Wraps data keys.
    pub(super) wrap: LessSafeKey,
    /// Authenticates MANIFEST.
    pub(super) mac: hmac::Key,
}

impl MasterKey {
    pub(super) fn new(bytes: &[u8; KEY_BYTES]) -> Result<MasterKey, CryptError> {
        let derive = |label: &[u8]| {
            let mut out = Zeroizing::new([0; KEY_BYTES]);
            let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"ringstone").extract(bytes);
            let filled =
                prk.expand(&[label], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut *out));
            filled.map(|()| out).map_err(|_| CryptError::Cipher("a key cannot be derived"))
        };
        let (id, wrap, mac) = (derive(b"key id 1")?, derive(b"wrap 1")?, derive(b"mac 1")?);
        let mut short = [0; 8];
        short.iter_mut().zip(id.iter()).for_each(|(to, from)| *to = *from);
        let wrap = UnboundKey::new(&AES_256_GCM, &*wrap)
            .map_err(|_| CryptError::Cipher("a key has a wrong length"))?;
        Ok(MasterKey {
            id: KeyId(short),
            wrap: LessSafeKey::new(wrap),
            mac: hmac::Key::new(hmac::HMAC_SHA256, &*mac),
        })
    }
}

/// Why a text holds no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyTextError {
    /// Nothing in it.
    #[error("it holds no key")]
    Empty,
    /// A line of another form; counted from 1.
    #[error("line {0} is no key: 64 hexadecimal digits or 44 characters of base64, 256 bits, are")]
    Line(usize),
    /// A key that anybody would try first.
    #[error("line {0} has the same byte 32 times, which is no key")]
    Trivial(usize),
    /// The cipher refuses.
    #[error("the cipher refuses the key of line {0}")]
    Refused(usize),
}

/// The keys of an operator's text: exactly 32 bytes are one key as it is; else a key a line, in hexadecimal or base64, blank
/// lines and lines that begin with `#` left out.
pub(super) fn parse_keys(text: &[u8]) -> Result<Vec<MasterKey>, KeyTextError> {
    let make = |bytes: &[u8; KEY_BYTES], line: usize| {
        let [first, rest @ ..] = bytes;
        if rest.iter().all(|byte| byte == first) {
            return Err(KeyTextError::Trivial(line));
        }
        MasterKey::new(bytes).map_err(|_| KeyTextError::Refused(line))
    };
    if let Ok(raw) = <&[u8; KEY_BYTES]>::try_from(text) {
        return Ok(vec![make(raw, 1)?]);
    }
    let mut keys: Vec<MasterKey> = Vec::new();
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let bytes = decode(line).ok_or(KeyTextError::Line(at + 1))?;
        let key = make(&bytes, at + 1)?;
        if keys.iter().all(|known| known.id != key.id) {
            keys.push(key);
        }
    }
    if keys.is_empty() { Err(KeyTextError::Empty) } else { Ok(keys) }
}

fn decode(line: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let mut out = Zeroizing::new([0; KEY_BYTES]);
    let text = std::str::from_utf8(line).ok()?;
    if fill_from_hex(text, &mut *out) {
        return Some(out);
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok().map(Zeroizing::new)?;
    if bytes.len() != KEY_BYTES {
        return None;
    }
    out.copy_from_slice(&bytes);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn ids(text: &[u8]) -> Result<Vec<KeyId>, KeyTextError> {
        parse_keys(text).map(|keys| keys.iter().map(|key| key.id).collect())
    }

    #[test]
    fn hex_base64_and_raw_bytes_are_the_same_key() {
        let raw: Vec<u8> = (0..32).collect();
        let base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let expected = ids(&raw).unwrap();
        assert_eq!(ids(HEX.as_bytes()).unwrap(), expected);
        assert_eq!(ids(format!("{}\r\n", HEX.to_uppercase()).as_bytes()).unwrap(), expected);
        assert_eq!(ids(base64.as_bytes()).unwrap(), expected);
        assert_eq!(ids(format!("# now\n\n{HEX}\n{base64}\n").as_bytes()).unwrap(), expected);
    }

    #[test]
    fn the_id_of_a_key_is_pinned() {
        assert_eq!(ids(HEX.as_bytes()).unwrap(), [KeyId::parse("5a4a4dd0581c80ef").unwrap()]);
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_line() {
        assert_eq!(ids(b""), Err(KeyTextError::Empty));
        assert_eq!(ids(b"# nothing\n"), Err(KeyTextError::Empty));
        assert_eq!(ids(format!("{HEX}\nsecret").as_bytes()), Err(KeyTextError::Line(2)));
        assert_eq!(ids(&HEX.as_bytes()[1..]), Err(KeyTextError::Line(1)));
        assert_eq!(ids("00".repeat(32).as_bytes()), Err(KeyTextError::Trivial(1)));
    }
}
