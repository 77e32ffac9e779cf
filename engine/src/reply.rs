//! Where a command writes its reply, without knowing the wire format.

use crate::error::Error;

/// A sink for one reply. Aggregates announce their number of elements; the elements follow as further calls.
/// The RESP2 form of types that only RESP3 has is the sink's business.
pub trait Reply {
    /// `+OK` and other status words.
    fn simple(&mut self, text: &str);
    /// An error.
    fn error(&mut self, error: &Error);
    /// An integer.
    fn int(&mut self, value: i64);
    /// A binary-safe string.
    fn bulk(&mut self, bytes: &[u8]);
    /// No value: RESP2 null bulk, RESP3 null.
    fn null(&mut self);
    /// No value where RESP2 has a null array; RESP3 null.
    fn null_array(&mut self);
    /// An array of `len` elements that follow.
    fn array(&mut self, len: usize);
    /// A map of `len` pairs that follow; RESP2: an array of `2 * len`.
    fn map(&mut self, len: usize);
    /// A set of `len` elements that follow; RESP2: an array.
    fn set(&mut self, len: usize);
    /// An out-of-band push of `len` elements that follow; RESP2: an array.
    fn push(&mut self, len: usize);
    /// A double; RESP2: a bulk string of its shortest digits.
    fn double(&mut self, value: f64);
    /// A boolean; RESP2: 1 or 0.
    fn bool(&mut self, value: bool);
    /// Text with a format of three letters (`txt`, `mkd`); RESP2: a bulk string.
    fn verbatim(&mut self, format: &str, text: &[u8]);
    /// A whole number beyond 64 bits; RESP2: a bulk string of its digits.
    fn big_number(&mut self, digits: &str) {
        self.bulk(digits.as_bytes());
    }
    /// True when the client speaks RESP3.
    fn is_resp3(&self) -> bool;
    /// True when the reply is so long already that the client is dropped for it: what is left need not be written.
    fn is_cut(&self) -> bool {
        false
    }
    /// True when a reply that is too long is cut.
    fn is_bounded(&self) -> bool {
        false
    }

    /// `+OK`.
    fn ok(&mut self) {
        self.simple("OK");
    }
    /// An integer from a length.
    fn len(&mut self, value: usize) {
        self.int(i64::try_from(value).unwrap_or(i64::MAX));
    }
    /// A bulk string, or null when there is none.
    fn bulk_or_null(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }
}

/// A reply as data: what is merged when a command runs on several shards, and what scripts and tests look at.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// A status word.
    Simple(String),
    /// An error.
    Error(Error),
    /// An integer.
    Int(i64),
    /// A binary-safe string.
    Bulk(Vec<u8>),
    /// No value.
    Null,
    /// No value, in array form.
    NullArray,
    /// An array.
    Array(Vec<Tree>),
    /// A map, key and value in turn.
    Map(Vec<Tree>),
    /// A set.
    Set(Vec<Tree>),
    /// A push.
    Push(Vec<Tree>),
    /// A double.
    Double(f64),
    /// A boolean.
    Bool(bool),
    /// Text with its format.
    Verbatim(String, Vec<u8>),
    /// The digits of a whole number beyond 64 bits.
    BigNumber(String),
}

impl Tree {
    /// The error, if the reply as a whole is one.
    pub fn as_error(&self) -> Option<&Error> {
        if let Tree::Error(error) = self { Some(error) } else { None }
    }

    /// Writes the tree into a sink.
    pub fn write_to(&self, out: &mut dyn Reply) {
        match self {
            Tree::Simple(text) => out.simple(text),
            Tree::Error(error) => out.error(error),
            Tree::Int(value) => out.int(*value),
            Tree::Bulk(bytes) => out.bulk(bytes),
            Tree::Null => out.null(),
            Tree::NullArray => out.null_array(),
            Tree::Array(items) => {
                out.array(items.len());
                items.iter().for_each(|item| item.write_to(out));
            }
            Tree::Map(items) => {
                out.map(items.len() / 2);
                items.iter().for_each(|item| item.write_to(out));
            }
            Tree::Set(items) => {
                out.set(items.len());
                items.iter().for_each(|item| item.write_to(out));
            }
            Tree::Push(items) => {
                out.push(items.len());
                items.iter().for_each(|item| item.write_to(out));
            }
            Tree::Double(value) => out.double(*value),
            Tree::Bool(value) => out.bool(*value),
            Tree::Verbatim(format, text) => out.verbatim(format, text),
            Tree::BigNumber(digits) => out.big_number(digits),
        }
    }
}

/// A sink that builds [`Tree`]s.
#[derive(Debug, Default)]
pub struct TreeSink {
    /// Finished top-level replies.
    done: Vec<Tree>,
    /// Open aggregates: kind, elements still to come, elements so far.
    open: Vec<(Kind, usize, Vec<Tree>)>,
    resp3: bool,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Array,
    Map,
    Set,
    Push,
}

impl TreeSink {
    /// An empty sink that reports the given protocol to commands.
    pub fn new(resp3: bool) -> Self {
        TreeSink { resp3, ..TreeSink::default() }
    }

    /// The replies written so far.
    pub fn into_replies(self) -> Vec<Tree> {
        self.done
    }

    /// The one reply written, or null when there was none.
    pub fn into_reply(self) -> Tree {
        self.done.into_iter().next().unwrap_or(Tree::Null)
    }

    fn add(&mut self, tree: Tree) {
        let Some((_, left, items)) = self.open.last_mut() else {
            self.done.push(tree);
            return;
        };
        items.push(tree);
        *left -= 1;
        if *left == 0
            && let Some((kind, _, items)) = self.open.pop()
        {
            self.add(close(kind, items));
        }
    }

    fn begin(&mut self, kind: Kind, len: usize) {
        if len == 0 {
            self.add(close(kind, Vec::new()));
        } else {
            self.open.push((kind, len, Vec::with_capacity(len.min(1024))));
        }
    }
}

fn close(kind: Kind, items: Vec<Tree>) -> Tree {
    match kind {
        Kind::Array => Tree::Array(items),
        Kind::Map => Tree::Map(items),
        Kind::Set => Tree::Set(items),
        Kind::Push => Tree::Push(items),
    }
}

impl Reply for TreeSink {
    fn simple(&mut self, text: &str) {
        self.add(Tree::Simple(text.to_owned()));
    }
    fn error(&mut self, error: &Error) {
        self.add(Tree::Error(error.clone()));
    }
    fn int(&mut self, value: i64) {
        self.add(Tree::Int(value));
    }
    fn bulk(&mut self, bytes: &[u8]) {
        self.add(Tree::Bulk(bytes.to_vec()));
    }
    fn null(&mut self) {
        self.add(Tree::Null);
    }
    fn null_array(&mut self) {
        self.add(Tree::NullArray);
    }
    fn array(&mut self, len: usize) {
        self.begin(Kind::Array, len);
    }
    fn map(&mut self, len: usize) {
        self.begin(Kind::Map, len * 2);
    }
    fn set(&mut self, len: usize) {
        self.begin(Kind::Set, len);
    }
    fn push(&mut self, len: usize) {
        self.begin(Kind::Push, len);
    }
    fn double(&mut self, value: f64) {
        self.add(Tree::Double(value));
    }
    fn bool(&mut self, value: bool) {
        self.add(Tree::Bool(value));
    }
    fn verbatim(&mut self, format: &str, text: &[u8]) {
        self.add(Tree::Verbatim(format.to_owned(), text.to_vec()));
    }
    fn big_number(&mut self, digits: &str) {
        self.add(Tree::BigNumber(digits.to_owned()));
    }
    fn is_resp3(&self) -> bool {
        self.resp3
    }
}

/// A sink that drops everything: replay from a log has nobody to answer.
#[derive(Debug, Default)]
pub struct NoReply {
    /// The last error, which a replay reports.
    pub error: Option<Error>,
}

impl Reply for NoReply {
    fn simple(&mut self, _: &str) {}
    fn error(&mut self, error: &Error) {
        self.error = Some(error.clone());
    }
    fn int(&mut self, _: i64) {}
    fn bulk(&mut self, _: &[u8]) {}
    fn null(&mut self) {}
    fn null_array(&mut self) {}
    fn array(&mut self, _: usize) {}
    fn map(&mut self, _: usize) {}
    fn set(&mut self, _: usize) {}
    fn push(&mut self, _: usize) {}
    fn double(&mut self, _: f64) {}
    fn bool(&mut self, _: bool) {}
    fn verbatim(&mut self, _: &str, _: &[u8]) {}
    fn is_resp3(&self) -> bool {
        false
    }
}
