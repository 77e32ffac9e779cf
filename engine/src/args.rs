//! A command's arguments: spans over one buffer, so that parsing copies and allocates nothing.

/// Where one argument lies in its buffer, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

/// The arguments of one command, `args[0]` being the command's name.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    buf: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    /// Arguments that lie at `spans` of `buf`. A span outside of `buf` reads as empty.
    pub fn new(buf: &'a [u8], spans: &'a [Span]) -> Self {
        Args { buf, spans }
    }

    /// Number of arguments, the command's name included.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// True when there is not even a name.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// From the first byte of the first argument to the last byte of the last one, what lies between them included.
    pub fn extent(&self) -> usize {
        let (Some(first), Some(last)) = (self.spans.first(), self.spans.last()) else { return 0 };
        (last.start as usize + last.len as usize).saturating_sub(first.start as usize)
    }

    /// The argument at `index`, or an empty slice when there is none (arity is checked before a command runs).
    pub fn at(&self, index: usize) -> &'a [u8] {
        self.get(index).unwrap_or_default()
    }

    /// The argument at `index`.
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        let span = self.spans.get(index)?;
        self.buf.get(span.start as usize..span.start as usize + span.len as usize)
    }

    /// All arguments from `first` on.
    pub fn iter_from(&self, first: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let this = *self;
        (first.min(this.len())..this.len()).map(move |i| this.at(i))
    }

    /// True when argument `index` equals `word`, ASCII case ignored.
    pub fn is(&self, index: usize, word: &str) -> bool {
        self.get(index).is_some_and(|a| a.eq_ignore_ascii_case(word.as_bytes()))
    }
}

impl std::ops::Index<usize> for Args<'_> {
    type Output = [u8];
    fn index(&self, index: usize) -> &[u8] {
        self.at(index)
    }
}

/// Owned arguments: what travels to another shard, waits in a transaction, or is replayed from a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArgBuf {
    buf: Vec<u8>,
    spans: Vec<Span>,
}

impl ArgBuf {
    /// Copies `parts`.
    pub fn from_parts<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> Self {
        let mut out = ArgBuf::default();
        for part in parts {
            out.push(part.as_ref());
        }
        out
    }

    /// Appends one argument. A command holds less than 4 GiB in all (`client-query-buffer-limit` sees to it).
    pub fn push(&mut self, arg: &[u8]) {
        let start = u32::try_from(self.buf.len()).unwrap_or(u32::MAX);
        let len = u32::try_from(arg.len()).unwrap_or(u32::MAX);
        self.buf.extend_from_slice(arg);
        self.spans.push(Span { start, len });
    }

    /// A view that commands take.
    pub fn as_args(&self) -> Args<'_> {
        Args::new(&self.buf, &self.spans)
    }

    /// Bytes held, for limits.
    pub fn len_bytes(&self) -> usize {
        self.buf.len() + self.spans.len() * size_of::<Span>()
    }
}

impl From<Args<'_>> for ArgBuf {
    fn from(args: Args<'_>) -> Self {
        ArgBuf::from_parts(args.iter_from(0))
    }
}
