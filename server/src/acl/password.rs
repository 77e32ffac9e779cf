//! Passwords: only their SHA-256 is kept.

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The SHA-256 of a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct PasswordHash([u8; 32]);

impl PasswordHash {
    /// Of a password.
    pub(super) fn of(password: &[u8]) -> PasswordHash {
        PasswordHash(Sha256::digest(password).into())
    }

    /// From 64 lower-case hexadecimal digits.
    pub(super) fn from_hex(text: &[u8]) -> Option<PasswordHash> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let (pairs, rest) = text.as_chunks::<2>();
        let mut bytes = [0; 32];
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return None;
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(PasswordHash(bytes))
    }

    /// As 64 hexadecimal digits.
    pub(super) fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// True when it is one of `known`, in a time that depends on their number only.
    pub(super) fn is_among(&self, known: &[PasswordHash]) -> bool {
        let none = Choice::from(0);
        known.iter().fold(none, |found, hash| found | hash.0.ct_eq(&self.0)).into()
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("PasswordHash(...)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_written_and_read_back() {
        let hash = PasswordHash::of(b"passwd4");
        let hex = "34344e4d60c2b6d639b7bd22e18f2b0b91bc34bf0ac5f9952744435093cfb4e6";
        assert_eq!(hash.to_hex(), hex);
        assert_eq!(PasswordHash::from_hex(hex.as_bytes()), Some(hash));
        assert!(hash.is_among(&[PasswordHash::of(b"a"), hash]));
        assert!(!hash.is_among(&[PasswordHash::of(b"a")]) && !hash.is_among(&[]));
        let upper = hex.to_ascii_uppercase();
        for bad in [&hex[1..], &format!("{hex}0"), &upper, &hex.replace('3', "q"), ""] {
            assert_eq!(PasswordHash::from_hex(bad.as_bytes()), None, "{bad}");
        }
        assert!(!format!("{hash:?}").contains("34344e"));
    }
}
