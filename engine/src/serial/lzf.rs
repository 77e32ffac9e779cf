//! LZF, the compression that RDB files use. Format after Marc Lehmann's liblzf:
//!
//! ```text
//! 000LLLLL  literal[L + 1]                     a run of 1..=32 bytes as they are
//! LLLooooo  oooooooo                           L in 1..=6: copy L + 2 bytes from `o + 1` bytes back
//! 111ooooo  LLLLLLLL  oooooooo                 copy L + 9 bytes from `o + 1` bytes back
//! ```
//!
//! Invariant: no input makes [`decompress`] write more than the length asked for, or read outside of what it was given.
#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "the compressor's positions are below the input's length, which is checked to fit 31 bits, \
              and table slots are masked to the table's size"
)]

const HASH_BITS: u32 = 14;
const LITERAL_MAX: usize = 32;
const OFFSET_MAX: usize = 1 << 13;
const MATCH_MAX: usize = 255 + 9;
/// No three bytes can stand for more than [`MATCH_MAX`], so no input can grow by more than this factor.
pub const EXPANSION_MAX: usize = MATCH_MAX / 3;

/// Where three-byte sequences were last seen. Kept from call to call: entries of earlier inputs are told by their
/// position, which is counted on, so that nothing needs to be cleared.
pub struct Table {
    seen: Box<[u32]>,
    base: u32,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("lzf::Table").finish_non_exhaustive()
    }
}

impl Default for Table {
    fn default() -> Self {
        Table { seen: vec![0; 1 << HASH_BITS].into_boxed_slice(), base: 1 }
    }
}

impl Table {
    /// Appends the compressed `input` to `out` when it takes at most `len_max` bytes; else leaves `out` as it was and
    /// returns false.
    pub fn compress(&mut self, input: &[u8], out: &mut Vec<u8>, len_max: usize) -> bool {
        if input.len() >= 1 << 31 {
            return false;
        }
        let input_len = input.len() as u32;
        let Some(next_base) = self.base.checked_add(input_len) else {
            self.seen.fill(0);
            self.base = 1;
            return self.compress(input, out, len_max);
        };
        let start = out.len();
        let fits = self.compress_into(input, out, start + len_max);
        self.base = next_base;
        if !fits {
            out.truncate(start);
        }
        fits
    }

    fn compress_into(&mut self, input: &[u8], out: &mut Vec<u8>, end_max: usize) -> bool {
        let mut at = 0;
        let mut literal_from = 0;
        while at + 2 < input.len() {
            let found = self.swap_seen(input, at);
            let Some(from) = found.filter(|from| {
                at - from <= OFFSET_MAX && input[*from..from + 3] == input[at..at + 3]
            }) else {
                at += 1;
                if at - literal_from == LITERAL_MAX {
                    if !put_literals(out, &input[literal_from..at], end_max) {
                        return false;
                    }
                    literal_from = at;
                }
                continue;
            };
            let longest = MATCH_MAX.min(input.len() - at);
            let len = 3 + input[from + 3..]
                .iter()
                .zip(&input[at + 3..at + longest])
                .take_while(|(a, b)| a == b)
                .count();
            if !put_literals(out, &input[literal_from..at], end_max)
                || !put_match(out, at - from - 1, len, end_max)
            {
                return false;
            }
            // The table learns the match's last positions only: the ones between rarely pay.
            for seen_at in (at + len).saturating_sub(2).max(at + 1)..at + len {
                if seen_at + 2 < input.len() {
                    self.swap_seen(input, seen_at);
                }
            }
            at += len;
            literal_from = at;
        }
        input[literal_from..].chunks(LITERAL_MAX).all(|run| put_literals(out, run, end_max))
    }

    /// Where the three bytes at `at` were seen before in this input, and notes that they are here.
    fn swap_seen(&mut self, input: &[u8], at: usize) -> Option<usize> {
        let word = u32::from_le_bytes([input[at], input[at + 1], input[at + 2], 0]);
        let slot = (word.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize;
        let seen = std::mem::replace(&mut self.seen[slot], self.base + at as u32);
        seen.checked_sub(self.base).map(|from| from as usize)
    }
}

fn put_literals(out: &mut Vec<u8>, run: &[u8], end_max: usize) -> bool {
    if run.is_empty() {
        return true;
    }
    if out.len() + 1 + run.len() > end_max {
        return false;
    }
    out.push(run.len() as u8 - 1);
    out.extend_from_slice(run);
    true
}

fn put_match(out: &mut Vec<u8>, offset: usize, len: usize, end_max: usize) -> bool {
    let (high, low) = ((offset >> 8) as u8, offset as u8);
    if len < 9 {
        out.extend_from_slice(&[((len as u8 - 2) << 5) | high, low]);
    } else {
        out.extend_from_slice(&[(7 << 5) | high, (len - 9) as u8, low]);
    }
    out.len() <= end_max
}

/// The `len` bytes that `input` stands for; `None` when it is broken or stands for another number of bytes.
pub fn decompress(input: &[u8], len: usize) -> Option<Vec<u8>> {
    if len > input.len().saturating_mul(EXPANSION_MAX) {
        return None;
    }
    let mut out = Vec::with_capacity(len);
    let mut rest = input;
    while let Some((&control, tail)) = rest.split_first() {
        rest = tail;
        let control = usize::from(control);
        if control < LITERAL_MAX {
            let (run, tail) = rest.split_at_checked(control + 1)?;
            if out.len() + run.len() > len {
                return None;
            }
            out.extend_from_slice(run);
            rest = tail;
            continue;
        }
        let mut copy_len = (control >> 5) + 2;
        if copy_len == 9 {
            let (&more, tail) = rest.split_first()?;
            copy_len += usize::from(more);
            rest = tail;
        }
        let (&low, tail) = rest.split_first()?;
        rest = tail;
        let back = ((control & 0x1f) << 8 | usize::from(low)) + 1;
        let from = out.len().checked_sub(back)?;
        if out.len() + copy_len > len {
            return None;
        }
        copy_within(&mut out, from, copy_len);
    }
    (out.len() == len).then_some(out)
}

/// Appends `len` bytes from `from` on; they may overlap with what is appended, which repeats them.
fn copy_within(out: &mut Vec<u8>, from: usize, len: usize) {
    let mut left = len;
    while left > 0 {
        let step = left.min(out.len() - from);
        out.extend_from_within(from..from + step);
        left -= step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compressed(table: &mut Table, input: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        table.compress(input, &mut out, input.len()).then_some(out)
    }

    #[test]
    fn reads_what_liblzf_wrote() {
        // "abc" * 5000 as redis-server 7.0.15 stores it begins with three literals and a long match.
        let input = [2, b'a', b'b', b'c', 0xe0, 0xff, 2];
        assert_eq!(decompress(&input, 3 + 264).unwrap(), b"abc".repeat(89));
    }

    #[test]
    fn repeats_shrink_and_noise_is_refused() {
        let mut table = Table::default();
        let text = b"the quick brown fox jumps over the lazy dog. ".repeat(100);
        let packed = compressed(&mut table, &text).unwrap();
        assert!(packed.len() < text.len() / 10, "{} bytes", packed.len());
        assert_eq!(decompress(&packed, text.len()).unwrap(), text);
        let mut x = 88_172_645_463_325_252u64;
        let noise: Vec<u8> = (0..4096)
            .map(|_| {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                (x >> 24) as u8
            })
            .collect();
        let mut out = vec![1, 2, 3];
        assert!(!table.compress(&noise, &mut out, noise.len() / 2));
        assert_eq!(out, [1, 2, 3], "a refused input leaves no trace");
    }

    #[test]
    fn a_table_that_wraps_starts_anew() {
        let mut table = Table { base: u32::MAX - 10, ..Table::default() };
        let text = b"0123456789".repeat(30);
        let packed = compressed(&mut table, &text).unwrap();
        assert_eq!(decompress(&packed, text.len()).unwrap(), text);
    }

    #[test]
    fn a_declared_length_beyond_the_format_allocates_nothing() {
        assert_eq!(decompress(&[0, b'a'], usize::MAX), None);
        assert_eq!(decompress(&[], 1), None);
        assert_eq!(decompress(&[], 0), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn comes_back_as_it_was(
            parts in prop::collection::vec((prop::collection::vec(0u8..4, 1..40), 1usize..80), 1..40),
        ) {
            let mut table = Table::default();
            let text: Vec<u8> = parts.iter().flat_map(|(word, times)| word.repeat(*times)).collect();
            for _ in 0..2 {
                let mut packed = Vec::new();
                prop_assert!(table.compress(&text, &mut packed, text.len() * 2 + 16));
                prop_assert_eq!(decompress(&packed, text.len()).unwrap(), text.clone());
            }
        }

        #[test]
        fn any_bytes_decompress_within_bounds_or_not_at_all(
            input in prop::collection::vec(any::<u8>(), 0..200), len in 0usize..4000,
        ) {
            if let Some(out) = decompress(&input, len) {
                prop_assert_eq!(out.len(), len);
            }
        }
    }
}
