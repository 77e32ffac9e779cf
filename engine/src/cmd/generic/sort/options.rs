//! SORT's options.

use crate::args::Args;
use crate::error::Error;
use crate::num::parse_i64;

#[derive(Debug)]
pub(super) struct Options<'a> {
    pub(super) by: Option<&'a [u8]>,
    pub(super) get: Vec<&'a [u8]>,
    pub(super) store: Option<&'a [u8]>,
    pub(super) descending: bool,
    pub(super) alpha: bool,
    /// First element and number of elements, negative: all.
    limit: (i64, i64),
}

impl<'a> Options<'a> {
    /// Reads them from argument 2 on.
    pub(super) fn parse(args: Args<'a>, may_store: bool) -> Result<Self, Error> {
        let mut options = Options {
            by: None,
            get: Vec::new(),
            store: None,
            descending: false,
            alpha: false,
            limit: (0, -1),
        };
        let mut at = 2;
        while at < args.len() {
            let next = args.get(at + 1);
            if args.is(at, "ASC") {
                options.descending = false;
            } else if args.is(at, "DESC") {
                options.descending = true;
            } else if args.is(at, "ALPHA") {
                options.alpha = true;
            } else if args.is(at, "LIMIT") && at + 2 < args.len() {
                let number = |at| parse_i64(args.at(at)).ok_or(Error::NotInteger);
                options.limit = (number(at + 1)?, number(at + 2)?);
                at += 2;
            } else if let (true, Some(key)) = (may_store && args.is(at, "STORE"), next) {
                options.store = Some(key);
                at += 1;
            } else if let (true, Some(pattern)) = (args.is(at, "BY"), next) {
                options.by = Some(pattern);
                at += 1;
            } else if let (true, Some(pattern)) = (args.is(at, "GET"), next) {
                options.get.push(pattern);
                at += 1;
            } else {
                return Err(Error::Syntax);
            }
            at += 1;
        }
        Ok(options)
    }

    /// The part of `len` elements that LIMIT asks for: first one and the one after the last.
    pub(super) fn window(&self, len: usize) -> (usize, usize) {
        let start = usize::try_from(self.limit.0).unwrap_or(0).min(len);
        let end = match usize::try_from(self.limit.1) {
            Ok(count) => start.saturating_add(count).min(len),
            Err(_) => len,
        };
        (start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::ArgBuf;

    #[test]
    fn limits_are_cut_to_the_elements() {
        let window = |limit: &str| {
            let args = ArgBuf::from_parts(format!("SORT k LIMIT {limit}").split(' '));
            Options::parse(args.as_args(), true).map(|options| options.window(10))
        };
        assert_eq!(window("0 3"), Ok((0, 3)));
        assert_eq!(window("-5 3"), Ok((0, 3)));
        assert_eq!(window("8 9223372036854775807"), Ok((8, 10)));
        assert_eq!(window("100 1"), Ok((10, 10)));
        assert_eq!(window("2 -1"), Ok((2, 10)));
        assert_eq!(window("2 0"), Ok((2, 2)));
        assert_eq!(window("x 0"), Err(Error::NotInteger));
    }
}
