//! How one element is encoded: head, bytes, backlen.

#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "heads and backlens are cut from arrays that hold their longest form"
)]

use super::Item;

/// An element's encoding: a short head, then the bytes of a string.
pub(super) struct Encoded<'a> {
    head: [u8; 9],
    head_len: u8,
    pub(super) body: &'a [u8],
}

impl<'a> Encoded<'a> {
    pub(super) fn of(item: Item<'a>) -> Self {
        let mut head = [0; 9];
        let (head_len, body) = match item {
            Item::Int(n) => (put_int(&mut head, n), &[][..]),
            Item::Str(body) => (put_str_head(&mut head, body.len()), body),
        };
        Encoded { head, head_len, body }
    }
    pub(super) fn head(&self) -> &[u8] {
        &self.head[..usize::from(self.head_len)]
    }
    pub(super) fn len(&self) -> usize {
        usize::from(self.head_len) + self.body.len()
    }
}

fn put_int(head: &mut [u8; 9], n: i64) -> u8 {
    let bytes = n.to_le_bytes();
    let (tag, len) = match n {
        0..=127 => {
            head[0] = bytes[0];
            return 1;
        }
        -4096..=4095 => {
            head[0] = 0xc0 | (bytes[1] & 0x1f);
            head[1] = bytes[0];
            return 2;
        }
        -0x8000..=0x7fff => (0xf1, 2),
        -0x80_0000..=0x7f_ffff => (0xf2, 3),
        -0x8000_0000..=0x7fff_ffff => (0xf3, 4),
        _ => (0xf4, 8),
    };
    head[0] = tag;
    head[1..=len].copy_from_slice(&bytes[..len]);
    1 + len as u8
}

fn put_str_head(head: &mut [u8; 9], len: usize) -> u8 {
    match len {
        0..=63 => {
            head[0] = 0x80 | len as u8;
            1
        }
        64..=4095 => {
            head[0] = 0xe0 | (len >> 8) as u8;
            head[1] = len as u8;
            2
        }
        _ => {
            head[0] = 0xf0;
            head[1..5].copy_from_slice(&(len as u32).to_le_bytes());
            5
        }
    }
}

/// Bytes that the backlen of an element of `len` bytes takes. The bounds are Redis's, one below the powers of two.
pub(super) fn backlen_len(len: usize) -> usize {
    match len {
        0..=127 => 1,
        128..=16382 => 2,
        16383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    }
}

pub(super) fn put_backlen(out: &mut [u8], len: usize) -> usize {
    let n = backlen_len(len);
    for (i, byte) in out[..n].iter_mut().enumerate() {
        let more = if i == 0 { 0 } else { 0x80 };
        *byte = (len >> (7 * (n - 1 - i)) & 0x7f) as u8 | more;
    }
    n
}

/// Checks the element at `at`; the offset behind it.
pub(super) fn check_entry(bytes: &[u8], at: usize) -> Option<usize> {
    let byte = |i: usize| bytes.get(at + i).map(|b| usize::from(*b));
    let len = match byte(0)? {
        0x00..=0x7f => 1,
        n @ 0x80..=0xbf => 1 + (n & 0x3f),
        0xc0..=0xdf => 2,
        n @ 0xe0..=0xef => 2 + ((n & 0x0f) << 8 | byte(1)?),
        0xf0 => 5 + (byte(1)? | byte(2)? << 8 | byte(3)? << 16 | byte(4)? << 24),
        0xf1 => 3,
        0xf2 => 4,
        0xf3 => 5,
        0xf4 => 9,
        _ => return None,
    };
    let mut expected = [0; 5];
    let tail = put_backlen(&mut expected, len);
    let end = at.checked_add(len)?.checked_add(tail)?;
    (bytes.get(at + len..end)? == &expected[..tail]).then_some(end)
}
