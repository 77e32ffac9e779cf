//! Trimming as XADD and XTRIM ask for it.

use super::common::{integer, strict_id};
use super::references::{References, Removal};
use crate::args::Args;
use crate::error::Error;
use crate::keyspace::Mode;
use crate::types::stream::Trim;
use crate::types::{EncodingLimits, Stream};

/// `MAXLEN | MINID [= | ~] threshold [LIMIT count]` and `KEEPREF | DELREF | ACKED`
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TrimOptions {
    what: Option<Trim>,
    approximate: bool,
    limit: Option<u64>,
    references: Option<References>,
}

/// What trimming did.
#[derive(Debug, Default)]
pub(super) struct Trimmed {
    /// Entries that went.
    pub(super) count: u64,
    /// The oldest went, so that their number says it all.
    pub(super) is_head: bool,
    /// What else is to be recorded.
    pub(super) removal: Removal,
}

impl TrimOptions {
    /// Reads the option at `at`, if it is one of these; how many arguments it takes, 0 when it is another.
    pub(super) fn read(&mut self, args: Args<'_>, at: usize) -> Result<usize, Error> {
        let behind = args.len() - at - 1;
        let by_len = args.is(at, "maxlen");
        if (by_len || args.is(at, "minid")) && behind >= 1 {
            if self.what.is_some() {
                return Err(Error::text(
                    "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
                ));
            }
            self.approximate = behind >= 2 && args.at(at + 1) == b"~";
            let word = self.approximate || (behind >= 2 && args.at(at + 1) == b"=");
            let threshold = args.at(at + 1 + usize::from(word));
            self.what = Some(if by_len {
                let max = u64::try_from(integer(threshold)?);
                Trim::MaxLen(max.map_err(|_| Error::text("ERR The MAXLEN argument must be >= 0."))?)
            } else {
                Trim::MinId(strict_id(threshold)?)
            });
            return Ok(2 + usize::from(word));
        }
        if args.is(at, "limit") && behind >= 1 {
            let limit = u64::try_from(integer(args.at(at + 1))?);
            self.limit =
                Some(limit.map_err(|_| Error::text("ERR The LIMIT argument must be >= 0."))?);
            return Ok(2);
        }
        if let Some(references) = References::read(args, at) {
            if self.references.replace(references).is_some() {
                return Err(Error::Syntax);
            }
            return Ok(1);
        }
        Ok(0)
    }

    /// Checks that the options fit each other.
    pub(super) fn check(&self, required: bool, mode: Mode) -> Result<(), Error> {
        if self.what.is_none() && self.limit.is_some_and(|limit| limit > 0) {
            return Err(Error::text(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
            ));
        }
        if self.what.is_none() && required {
            return Err(Error::text(
                "ERR syntax error, XTRIM must be called with a trimming strategy",
            ));
        }
        if self.limit.is_some() && !self.approximate && mode == Mode::Live {
            return Err(Error::text(
                "ERR syntax error, LIMIT cannot be used without the special ~ option",
            ));
        }
        Ok(())
    }

    /// Trims.
    pub(super) fn apply(&self, stream: &mut Stream, limits: &EncodingLimits) -> Trimmed {
        let Some(what) = self.what else { return Trimmed::default() };
        let limit = match (self.approximate, self.limit) {
            (false, _) => 0,
            (true, Some(limit)) => limit,
            // A hundred blocks of work, within reason.
            (true, None) => match limits.stream_node_max_entries as u64 {
                0 => 10_000,
                entries => entries.saturating_mul(100).min(1_000_000),
            },
        };
        let mut removal = Removal::default();
        let references = self.references.unwrap_or_default();
        if references == References::Acked {
            let may_go = |id| !stream.is_needed(id);
            let ids = stream.trimmable(what, self.approximate, limit, may_go);
            for id in &ids {
                removal.remove(stream, *id, References::Keep);
            }
            return Trimmed { count: ids.len() as u64, is_head: false, removal };
        }
        if references == References::Delete {
            for id in stream.trimmable(what, self.approximate, limit, |_| true) {
                removal.forget(stream, id);
            }
        }
        Trimmed { count: stream.trim(what, self.approximate, limit), is_head: true, removal }
    }
}
