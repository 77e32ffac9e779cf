//! Replies to bytes.

use super::double::double_text;

/// Appends replies to a buffer, in the protocol version that the client speaks.
///
/// Aggregates announce their number of elements; the elements follow as further calls. What RESP2 lacks takes the
/// form that Redis gives it there.
#[derive(Debug)]
pub struct Encoder<'a> {
    /// Where the bytes go.
    pub out: &'a mut Vec<u8>,
    /// RESP3 rather than RESP2.
    pub resp3: bool,
}

impl<'a> Encoder<'a> {
    /// An encoder that appends to `out`.
    pub fn new(out: &'a mut Vec<u8>, resp3: bool) -> Self {
        Encoder { out, resp3 }
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// A status word; it must not contain a line end.
    #[inline]
    pub fn simple(&mut self, text: &str) {
        self.out.push(b'+');
        self.line(text.as_bytes());
    }

    /// An error, code first. Line ends in it become spaces, as they would break the protocol.
    pub fn error(&mut self, text: &[u8]) {
        self.out.push(b'-');
        let flat = |byte: &u8| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte };
        self.out.extend(text.iter().map(flat));
        self.out.extend_from_slice(b"\r\n");
    }

    /// An integer.
    #[inline]
    pub fn int(&mut self, value: i64) {
        match value {
            0 => self.out.extend_from_slice(b":0\r\n"),
            1 => self.out.extend_from_slice(b":1\r\n"),
            _ => {
                self.out.push(b':');
                self.line(itoa::Buffer::new().format(value).as_bytes());
            }
        }
    }

    /// A binary-safe string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.out.reserve(bytes.len() + 16);
        self.header(b'$', bytes.len());
        self.line(bytes);
    }

    /// No value.
    #[inline]
    pub fn null(&mut self) {
        self.out.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// No value, where RESP2 has a null array.
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// An array of `len` elements.
    #[inline]
    pub fn array(&mut self, len: usize) {
        self.header(b'*', len);
    }

    /// A map of `len` pairs; RESP2: an array of keys and values in turn.
    pub fn map(&mut self, len: usize) {
        if self.resp3 {
            self.header(b'%', len);
        } else {
            self.header(b'*', len.saturating_mul(2));
        }
    }

    /// A set of `len` elements; RESP2: an array.
    pub fn set(&mut self, len: usize) {
        self.header(if self.resp3 { b'~' } else { b'*' }, len);
    }

    /// An out-of-band push of `len` elements; RESP2: an array.
    pub fn push(&mut self, len: usize) {
        self.header(if self.resp3 { b'>' } else { b'*' }, len);
    }

    /// Attributes of the reply that follows, `len` pairs. RESP3 only: a RESP2 client must not be sent any.
    pub fn attribute(&mut self, len: usize) {
        self.header(b'|', len);
    }

    /// A double; RESP2: a bulk string.
    pub fn double(&mut self, value: f64) {
        let text = double_text(value);
        if self.resp3 {
            self.out.push(b',');
            self.line(text.as_bytes());
        } else {
            self.bulk(text.as_bytes());
        }
    }

    /// A boolean; RESP2: 1 or 0.
    pub fn bool(&mut self, value: bool) {
        self.out.extend_from_slice(match (self.resp3, value) {
            (true, true) => b"#t\r\n",
            (true, false) => b"#f\r\n",
            (false, true) => b":1\r\n",
            (false, false) => b":0\r\n",
        });
    }

    /// Text with its format, three letters (`txt`, `mkd`; longer is cut, shorter padded); RESP2: a bulk string.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        if !self.resp3 {
            return self.bulk(text);
        }
        let mut letters = format.bytes().chain(std::iter::repeat(b' '));
        let prefix = [(); 3].map(|()| letters.next().unwrap_or(b' '));
        self.header(b'=', text.len().saturating_add(4));
        self.out.extend_from_slice(&prefix);
        self.out.push(b':');
        self.line(text);
    }

    /// An integer of any size, as decimal digits; RESP2: a bulk string.
    pub fn big_number(&mut self, digits: &str) {
        if self.resp3 {
            self.out.push(b'(');
            self.line(digits.as_bytes());
        } else {
            self.bulk(digits.as_bytes());
        }
    }

    #[inline]
    fn header(&mut self, kind: u8, len: usize) {
        match len {
            0..10 => {
                #[expect(clippy::cast_possible_truncation, reason = "one digit")]
                self.out.extend_from_slice(&[kind, b'0' + len as u8, b'\r', b'\n']);
            }
            _ => {
                self.out.push(kind);
                self.line(itoa::Buffer::new().format(len).as_bytes());
            }
        }
    }

    #[inline]
    fn line(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::Encoder;

    fn both(write: impl Fn(&mut Encoder<'_>)) -> (String, String) {
        let [mut two, mut three] = [Vec::new(), Vec::new()];
        write(&mut Encoder::new(&mut two, false));
        write(&mut Encoder::new(&mut three, true));
        (two.escape_ascii().to_string(), three.escape_ascii().to_string())
    }

    #[test]
    fn every_type_has_its_form_in_both_protocols() {
        let same = |s: &str| (s.to_owned(), s.to_owned());
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(both(|e| e.ok()), same("+OK\\r\\n"));
        assert_eq!(both(|e| e.simple("PONG")), same("+PONG\\r\\n"));
        assert_eq!(both(|e| e.error(b"ERR a\r\nb")), same("-ERR a  b\\r\\n"));
        assert_eq!(both(|e| e.int(0)), same(":0\\r\\n"));
        assert_eq!(both(|e| e.int(i64::MIN)), same(":-9223372036854775808\\r\\n"));
        assert_eq!(both(|e| e.bulk(b"")), same("$0\\r\\n\\r\\n"));
        assert_eq!(both(|e| e.bulk(&[b'x'; 12])), same("$12\\r\\nxxxxxxxxxxxx\\r\\n"));
        assert_eq!(both(|e| e.null()), pair("$-1\\r\\n", "_\\r\\n"));
        assert_eq!(both(|e| e.null_array()), pair("*-1\\r\\n", "_\\r\\n"));
        assert_eq!(both(|e| e.array(10)), same("*10\\r\\n"));
        assert_eq!(both(|e| e.map(7)), pair("*14\\r\\n", "%7\\r\\n"));
        assert_eq!(both(|e| e.set(3)), pair("*3\\r\\n", "~3\\r\\n"));
        assert_eq!(both(|e| e.push(3)), pair("*3\\r\\n", ">3\\r\\n"));
        assert_eq!(both(|e| e.double(1.5)), pair("$3\\r\\n1.5\\r\\n", ",1.5\\r\\n"));
        assert_eq!(both(|e| e.double(f64::INFINITY)), pair("$3\\r\\ninf\\r\\n", ",inf\\r\\n"));
        assert_eq!(both(|e| e.bool(true)), pair(":1\\r\\n", "#t\\r\\n"));
        assert_eq!(both(|e| e.bool(false)), pair(":0\\r\\n", "#f\\r\\n"));
        assert_eq!(
            both(|e| e.verbatim("txt", b"hi")),
            pair("$2\\r\\nhi\\r\\n", "=6\\r\\ntxt:hi\\r\\n")
        );
        assert_eq!(both(|e| e.big_number("12")), pair("$2\\r\\n12\\r\\n", "(12\\r\\n"));
    }
}
