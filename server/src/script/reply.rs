//! The replies of the server's own commands, which are written as RESP, as data.

use ringstone_engine::error::any_bytes;
use ringstone_engine::{Error, Tree};

/// Reads one reply; null where the bytes are none (they come from our own encoder).
pub(super) fn read(bytes: &[u8]) -> Tree {
    Reader { rest: bytes }.tree().unwrap_or(Tree::Null)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn line(&mut self) -> Option<(u8, String)> {
        let end = self.rest.windows(2).position(|pair| pair == b"\r\n")?;
        let (line, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.get(2..)?;
        let (kind, text) = line.split_first()?;
        Some((*kind, any_bytes(text)))
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest.get(2..)?;
        Some(bytes)
    }

    fn items(&mut self, len: &str, each: usize) -> Option<Vec<Tree>> {
        let len = len.parse::<usize>().ok()?.checked_mul(each)?;
        (0..len).map(|_| self.tree()).collect()
    }

    fn tree(&mut self) -> Option<Tree> {
        let (mut kind, mut text) = self.line()?;
        while kind == b'|' {
            // Scripts are not shown attributes.
            self.items(&text, 2)?;
            (kind, text) = self.line()?;
        }
        Some(match kind {
            b'+' => Tree::Simple(text),
            b'-' => Tree::Error(Error::owned(text)),
            b':' => Tree::Int(text.parse().ok()?),
            b'$' if text.starts_with('-') => Tree::Null,
            b'$' => Tree::Bulk(self.bytes(text.parse().ok()?)?.to_vec()),
            b'*' if text.starts_with('-') => Tree::NullArray,
            b'*' => Tree::Array(self.items(&text, 1)?),
            b'%' => Tree::Map(self.items(&text, 2)?),
            b'~' => Tree::Set(self.items(&text, 1)?),
            b'>' => Tree::Push(self.items(&text, 1)?),
            b',' => Tree::Double(ringstone_engine::num::parse_f64(text.as_bytes())?),
            b'#' => Tree::Bool(text == "t"),
            b'(' => Tree::BigNumber(text),
            b'=' => {
                let body = self.bytes(text.parse().ok()?)?;
                let (format, text) = body.split_at_checked(4)?;
                let format = String::from_utf8_lossy(format.get(..3)?).into_owned();
                Tree::Verbatim(format, text.to_vec())
            }
            _ => Tree::Null,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_back() {
        let tree = read(b"*3\r\n:1\r\n$2\r\nab\r\n%1\r\n+k\r\n_\r\n");
        let map = Tree::Map(vec![Tree::Simple("k".into()), Tree::Null]);
        assert_eq!(tree, Tree::Array(vec![Tree::Int(1), Tree::Bulk(b"ab".to_vec()), map]));
        assert_eq!(read(b"$5\r\nab"), Tree::Null);
        assert_eq!(read(b"|1\r\n+a\r\n*1\r\n:1\r\n+real\r\n"), Tree::Simple("real".into()));
    }
}
