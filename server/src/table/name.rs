//! A command's name in a form that is quick to look up: all names are short, and every command of every client has one.

/// The longest name; anything longer is unknown.
const LEN_MAX: usize = 24;

/// A name in lower case, packed into words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PackedName {
    /// The first eight bytes, or all; the last eight, or none; those in between. They overlap where the name is shorter,
    /// which its length tells.
    words: [u64; 3],
    len: u8,
}

impl PackedName {
    /// Packs a name in any case; `None` if it is longer than any command's.
    #[inline]
    pub(super) fn new(name: &[u8]) -> Option<PackedName> {
        let len = u8::try_from(name.len()).ok().filter(|_| name.len() <= LEN_MAX)?;
        let words = match name.first_chunk::<8>() {
            None => [packed_short(name), 0, 0],
            Some(first) => {
                let between = name.get(8..16).and_then(|at| at.first_chunk::<8>());
                let between = between.map_or(0, |at| u64::from_le_bytes(*at));
                let last = name.last_chunk::<8>().map_or(0, |at| u64::from_le_bytes(*at));
                [u64::from_le_bytes(*first), last, between]
            }
        };
        Some(PackedName { words: words.map(to_lower), len })
    }
}

/// Fewer than eight bytes.
#[inline]
fn packed_short(name: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return u64::from(first) | (u64::from(last) << 32);
    }
    name.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte))
}

/// Lower case for the eight ASCII letters that a word may hold; other bytes stay.
#[inline]
fn to_lower(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    let low_bits = word & !HIGH;
    // Carries into a byte's high bit say "from A on" and "beyond Z"; they never leave the byte.
    let from_a = low_bits + (0x80 - u64::from(b'A')) * EACH;
    let beyond_z = low_bits + (0x7f - u64::from(b'Z')) * EACH;
    let is_upper = from_a & !beyond_z & !word & HIGH;
    word | (is_upper >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_become_lower_case_and_nothing_else_changes() {
        for byte in 0..=u8::MAX {
            for at in 0..8 {
                let mut bytes = [b'Q'; 8];
                bytes[at] = byte;
                let lower = to_lower(u64::from_le_bytes(bytes)).to_le_bytes();
                assert_eq!(lower, bytes.map(|b| b.to_ascii_lowercase()), "{byte:#x} at {at}");
            }
        }
    }

    #[test]
    fn names_are_equal_when_they_are_equal_in_lower_case() {
        let mut names: Vec<Vec<u8>> = Vec::new();
        for len in 0..=LEN_MAX {
            let name: Vec<u8> = (0..len).map(|at| b'a' + u8::try_from(at).unwrap()).collect();
            // Each byte in turn is another one.
            for at in 0..len {
                for other in [b'_', b'-', b'!', 0, 0x7f, 0xff] {
                    let mut changed = name.clone();
                    changed[at] = other;
                    names.push(changed);
                }
            }
            names.push(name);
        }
        let mut seen = std::collections::HashMap::new();
        for name in &names {
            let packed = PackedName::new(name).unwrap();
            assert_eq!(PackedName::new(&name.to_ascii_uppercase()), Some(packed));
            let before = seen.insert((packed.words, packed.len), name.clone());
            assert!(before.is_none_or(|before| before == *name), "{name:?}");
        }
        assert_eq!(PackedName::new(&[b'a'; LEN_MAX + 1]), None);
    }
}
