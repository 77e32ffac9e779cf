//! The ziplist of Redis 2.4 to 6.2, integers little-endian unless told otherwise:
//!
//! ```text
//! total_bytes:u32  last_offset:u32  count:u16 (65535 = unknown)  ( previous_len  encoding  data )*  0xFF
//!
//! previous_len  u8 below 254 | 0xFE u32
//! encoding      00LLLLLL | 01LLLLLL u8 | 0x80 u32be                                   a string of that length
//!               0xC0 i16 | 0xD0 i32 | 0xE0 i64 | 0xF0 i24 | 0xFE i8 | 0xF1..=0xFD     an integer, the last ones 0..=12
//! ```

use super::Broken;
use crate::types::listpack::Item;

const HEADER_LEN: usize = 10;
const END: u8 = 0xff;
const COUNT_UNKNOWN: u16 = u16::MAX;

/// The elements of a ziplist, all of it checked.
pub fn elements(input: &[u8]) -> Result<Vec<Item<'_>>, Broken> {
    let header = input.first_chunk::<HEADER_LEN>().ok_or(Broken { at: 0 })?;
    let [t0, t1, t2, t3, l0, l1, l2, l3, c0, c1] = *header;
    if usize::try_from(u32::from_le_bytes([t0, t1, t2, t3])) != Ok(input.len()) {
        return Err(Broken { at: 0 });
    }
    let last_offset = u32::from_le_bytes([l0, l1, l2, l3]);
    let count = u16::from_le_bytes([c0, c1]);

    let mut cursor = Cursor { input, at: HEADER_LEN };
    let mut items = Vec::new();
    let mut previous = (HEADER_LEN, 0);
    loop {
        let start = cursor.at;
        let broken = Broken { at: start };
        let first = cursor.byte().ok_or(broken)?;
        if first == END {
            break;
        }
        let previous_len = cursor.previous_len(first).ok_or(broken)?;
        if previous_len != previous.1 {
            return Err(broken);
        }
        items.push(cursor.item().ok_or(broken)?);
        previous = (start, cursor.at - start);
    }
    if cursor.at != input.len() {
        return Err(Broken { at: cursor.at });
    }
    if usize::try_from(last_offset) != Ok(previous.0) {
        return Err(Broken { at: 4 });
    }
    if count != COUNT_UNKNOWN && usize::from(count) != items.len() {
        return Err(Broken { at: 8 });
    }
    Ok(items)
}

struct Cursor<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let found = self.input.get(self.at..)?.get(..len)?;
        self.at += len;
        Some(found)
    }
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }
    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }
    fn previous_len(&mut self, first: u8) -> Option<usize> {
        if first < 0xfe {
            return Some(usize::from(first));
        }
        usize::try_from(u32::from_le_bytes(self.array()?)).ok()
    }
    fn item(&mut self) -> Option<Item<'a>> {
        let encoding = self.byte()?;
        let low = usize::from(encoding & 0x3f);
        let len = match encoding {
            0x00..=0x3f => low,
            0x40..=0x7f => low << 8 | usize::from(self.byte()?),
            0x80 => usize::try_from(u32::from_be_bytes(self.array()?)).ok()?,
            _ => return self.integer(encoding).map(Item::Int),
        };
        self.bytes(len).map(Item::Str)
    }
    fn integer(&mut self, encoding: u8) -> Option<i64> {
        Some(match encoding {
            0xc0 => i64::from(i16::from_le_bytes(self.array()?)),
            0xd0 => i64::from(i32::from_le_bytes(self.array()?)),
            0xe0 => i64::from_le_bytes(self.array()?),
            0xf0 => {
                let [a, b, c] = self.array()?;
                i64::from(i32::from_le_bytes([0, a, b, c]) >> 8)
            }
            0xfe => i64::from(i8::from_le_bytes(self.array()?)),
            0xf1..=0xfd => i64::from(encoding & 0x0f) - 1,
            _ => return None,
        })
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "the samples are small")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A ziplist as Redis 6.2 lays it out.
    fn build(parts: &[&[u8]]) -> Vec<u8> {
        let mut body = Vec::new();
        let (mut last, mut previous_len) = (HEADER_LEN, 0usize);
        for part in parts {
            last = HEADER_LEN + body.len();
            let start = body.len();
            if previous_len < 254 {
                body.push(previous_len as u8);
            } else {
                body.push(0xfe);
                body.extend_from_slice(&(previous_len as u32).to_le_bytes());
            }
            body.extend_from_slice(part);
            previous_len = body.len() - start;
        }
        let mut out = Vec::new();
        out.extend_from_slice(&((HEADER_LEN + body.len() + 1) as u32).to_le_bytes());
        out.extend_from_slice(&(last as u32).to_le_bytes());
        out.extend_from_slice(&(parts.len() as u16).to_le_bytes());
        out.extend_from_slice(&body);
        out.push(END);
        out
    }

    fn sample() -> Vec<u8> {
        let long = [&[0x41, 0x2c][..], &[b'x'; 300]].concat();
        let longer = [&[0x80, 0, 0, 0x40, 1][..], &[b'y'; 16385]].concat();
        build(&[
            b"\x05hello",
            b"\x00",
            &long,
            &longer,
            b"\xc0\xfe\xff",
            b"\xd0\x00\x00\x01\x00",
            b"\xe0\x00\x00\x00\x00\x00\x00\x00\x80",
            b"\xf0\xff\xff\xff",
            b"\xfe\x80",
            b"\xf1",
            b"\xfd",
        ])
    }

    #[test]
    fn every_encoding_is_read() {
        let input = sample();
        let items = elements(&input).unwrap();
        let texts: Vec<Vec<u8>> = items.iter().map(|item| item.to_vec()).collect();
        assert_eq!(texts[0], b"hello");
        assert_eq!(texts[1], b"");
        assert_eq!((texts[2].len(), texts[3].len()), (300, 16385));
        let numbers: Vec<_> =
            texts[4..].iter().map(|t| String::from_utf8_lossy(t).into_owned()).collect();
        assert_eq!(numbers, ["-2", "65536", "-9223372036854775808", "-1", "-128", "0", "12"]);
        assert_eq!(elements(&build(&[])).unwrap(), []);
    }

    #[test]
    fn every_cut_is_refused() {
        let input = sample();
        for cut in 0..input.len() {
            assert!(elements(&input[..cut]).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_refused_or_harmless(at in 0usize..400, byte in any::<u8>()) {
            let mut input = sample();
            input[at] = byte;
            if let Ok(items) = elements(&input) {
                prop_assert_eq!(items.len(), 11);
            }
        }
    }
}
