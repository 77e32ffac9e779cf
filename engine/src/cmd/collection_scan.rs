//! What SSCAN and HSCAN share: options and the form of the reply.

use crate::args::Args;
use crate::cmd::numbers::integer;
use crate::error::Error;
use crate::glob;
use crate::reply::Reply;

/// `MATCH` and `COUNT`.
pub(crate) struct Options<'a> {
    /// Elements a step.
    pub(crate) count: usize,
    pattern: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    /// Reads them from argument 3 on.
    pub(crate) fn parse(args: Args<'a>) -> Result<Self, Error> {
        let mut options = Options { count: 10, pattern: None };
        for at in (3..args.len()).step_by(2) {
            let Some(value) = args.get(at + 1) else { return Err(Error::Syntax) };
            if args.is(at, "COUNT") {
                let count = integer(value)?;
                options.count = usize::try_from(count).map_err(|_| Error::Syntax)?;
                if options.count == 0 {
                    return Err(Error::Syntax);
                }
            } else if args.is(at, "MATCH") {
                options.pattern = (value != b"*").then_some(value);
            } else {
                return Err(Error::Syntax);
            }
        }
        Ok(options)
    }

    /// True when an element's name fits the pattern.
    pub(crate) fn wants(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name))
    }
}

/// Replies with the next cursor and the elements found.
pub(crate) fn reply_scan(reply: &mut dyn Reply, next: u64, items: &[Vec<u8>]) {
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    reply.array(items.len());
    items.iter().for_each(|item| reply.bulk(item));
}
