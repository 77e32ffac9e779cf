//! The zipmap of Redis before 2.6, a hash:
//!
//! ```text
//! count:u8 (254 and more = unknown)  ( len key  len free:u8 value free_bytes )*  0xFF        len  u8 below 254 | 0xFE u32le
//! ```

use super::Broken;

const END: u8 = 0xff;
const COUNT_UNKNOWN: u8 = 254;

/// A field with its value.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// The fields and values of a zipmap, all of it checked.
pub fn pairs(input: &[u8]) -> Result<Vec<Pair<'_>>, Broken> {
    let (&count, mut rest) = input.split_first().ok_or(Broken { at: 0 })?;
    let mut pairs = Vec::new();
    loop {
        let broken = Broken { at: input.len() - rest.len() };
        if rest.first() == Some(&END) {
            break;
        }
        pairs.push(pair(&mut rest).ok_or(broken)?);
    }
    if rest.len() != 1 {
        return Err(Broken { at: input.len() - rest.len() });
    }
    if count < COUNT_UNKNOWN && usize::from(count) != pairs.len() {
        return Err(Broken { at: 0 });
    }
    Ok(pairs)
}

fn pair<'a>(rest: &mut &'a [u8]) -> Option<Pair<'a>> {
    let key_len = length(rest)?;
    let key = take(rest, key_len)?;
    let value_len = length(rest)?;
    let free = usize::from(*take(rest, 1)?.first()?);
    let value = take(rest, value_len)?;
    take(rest, free)?;
    Some((key, value))
}

fn length(rest: &mut &[u8]) -> Option<usize> {
    match *take(rest, 1)?.first()? {
        END => None,
        0xfe => usize::try_from(u32::from_le_bytes(take(rest, 4)?.try_into().ok()?)).ok(),
        len => Some(usize::from(len)),
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (found, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Redis's zipmap.c: "foo" => "bar", "hello" => "world".
    const SAMPLE: &[u8] = b"\x02\x03foo\x03\x00bar\x05hello\x05\x02world..\xff";

    #[test]
    fn fields_and_values_are_read_and_free_bytes_passed_over() {
        let got = pairs(SAMPLE).unwrap();
        assert_eq!(got, [(&b"foo"[..], &b"bar"[..]), (b"hello", b"world")]);
        assert_eq!(pairs(b"\x00\xff").unwrap(), []);
    }

    #[test]
    fn cuts_and_changes_never_panic() {
        for cut in 0..SAMPLE.len() {
            assert!(pairs(&SAMPLE[..cut]).is_err());
        }
        for at in 0..SAMPLE.len() {
            for byte in 0..=255 {
                let mut input = SAMPLE.to_vec();
                input[at] = byte;
                let _ = pairs(&input);
            }
        }
    }
}
