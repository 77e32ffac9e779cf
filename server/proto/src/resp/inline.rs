//! The quoting of inline commands and of redis.conf lines, which is the same one.
//!
//! Words are separated by white space. `"..."` knows `\n \r \t \b \a`, `\xHH` and `\` before any other byte; `'...'`
//! knows `\'` only. A closing quote must be followed by white space or the end.

/// A quote was not closed, or was followed by something else than white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnbalancedQuotes;

impl std::fmt::Display for UnbalancedQuotes {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("unbalanced quotes")
    }
}

impl std::error::Error for UnbalancedQuotes {}

/// Splits a line into words as Redis's `sdssplitargs` does.
///
/// # Errors
/// When quotes do not balance.
pub fn split_args(line: &[u8]) -> Result<Vec<Vec<u8>>, UnbalancedQuotes> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = skip_space(rest);
        if rest.is_empty() {
            return Ok(words);
        }
        let (word, after) = word(rest)?;
        words.push(word);
        rest = after;
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn skip_space(mut rest: &[u8]) -> &[u8] {
    while let [first, after @ ..] = rest
        && is_space(*first)
    {
        rest = after;
    }
    rest
}

/// One word; a quote may open in its middle, but ends it where it closes.
fn word(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), UnbalancedQuotes> {
    let mut out = Vec::new();
    loop {
        match rest {
            [] => return Ok((out, rest)),
            [first, ..] if is_space(*first) => return Ok((out, rest)),
            [b'"', after @ ..] => {
                let rest = double_quoted(&mut out, after)?;
                return Ok((out, rest));
            }
            [b'\'', after @ ..] => {
                let rest = single_quoted(&mut out, after)?;
                return Ok((out, rest));
            }
            [first, after @ ..] => {
                out.push(*first);
                rest = after;
            }
        }
    }
}

fn double_quoted<'a>(out: &mut Vec<u8>, mut rest: &'a [u8]) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        match rest {
            [b'\\', b'x', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                out.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            [b'\\', escaped, after @ ..] => {
                out.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                rest = after;
            }
            [b'"', after @ ..] => return closed(after),
            [byte, after @ ..] => {
                out.push(*byte);
                rest = after;
            }
            [] => return Err(UnbalancedQuotes),
        }
    }
}

fn single_quoted<'a>(out: &mut Vec<u8>, mut rest: &'a [u8]) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        match rest {
            [b'\\', b'\'', after @ ..] => {
                out.push(b'\'');
                rest = after;
            }
            [b'\'', after @ ..] => return closed(after),
            [byte, after @ ..] => {
                out.push(*byte);
                rest = after;
            }
            [] => return Err(UnbalancedQuotes),
        }
    }
}

fn closed(after: &[u8]) -> Result<&[u8], UnbalancedQuotes> {
    match after.first() {
        Some(byte) if !is_space(*byte) => Err(UnbalancedQuotes),
        _ => Ok(after),
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Option<Vec<Vec<u8>>> {
        split_args(line.as_bytes()).ok()
    }

    fn as_bytes(words: &[&[u8]]) -> Option<Vec<Vec<u8>>> {
        Some(words.iter().map(|w| w.to_vec()).collect())
    }

    #[test]
    fn splits_on_white_space() {
        assert_eq!(words("  a\tb \r\n c  "), as_bytes(&[b"a", b"b", b"c"]));
        assert_eq!(words(" \t "), as_bytes(&[]));
    }

    #[test]
    fn unescapes_quoted_words() {
        assert_eq!(words(r#""\n\r\t\b\a\x41\q\"" x"#), as_bytes(&[b"\n\r\t\x08\x07Aq\"", b"x"]));
        assert_eq!(words(r#"'it\'s' '\n' '' "" "#), as_bytes(&[b"it's", b"\\n", b"", b""]));
        assert_eq!(words(r#""\xzz" "\x4""#), as_bytes(&[b"xzz", b"x4"]));
        assert_eq!(words(r#"ab"cd""#), as_bytes(&[b"abcd"]));
    }

    #[test]
    fn refuses_unbalanced_quotes() {
        for line in ["\"a", "'a", "\"a\"b", "'a'b", "\"a\\\"", "\"\\"] {
            assert_eq!(words(line), None, "{line}");
        }
    }
}
