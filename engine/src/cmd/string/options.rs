//! The options that SET and GETEX share.

use crate::args::Args;
use crate::error::Error;
use crate::num::parse_i64;

/// When a key shall expire, as the client said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cmd) struct Expiry<'a> {
    /// The unread number.
    pub(in crate::cmd) text: &'a [u8],
    /// In seconds, or else in milliseconds.
    pub(in crate::cmd) seconds: bool,
    /// Since 1970, or else from now.
    pub(in crate::cmd) absolute: bool,
}

impl Expiry<'_> {
    /// The time in ms since 1970; an error when it is no positive time that fits.
    pub(in crate::cmd) fn at_ms(self, now_ms: i64, command: &'static str) -> Result<i64, Error> {
        let invalid = Error::InvalidExpire(command);
        let value = parse_i64(self.text).ok_or(Error::NotInteger)?;
        if value <= 0 {
            return Err(invalid);
        }
        let value = if self.seconds { value.checked_mul(1000) } else { Some(value) };
        let base = if self.absolute { 0 } else { now_ms };
        value.and_then(|value| value.checked_add(base)).filter(|at| *at > 0).ok_or(invalid)
    }
}

/// What becomes of the expiry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cmd) enum Ttl<'a> {
    /// Nothing was said.
    #[default]
    Unsaid,
    /// A new one.
    Set(Expiry<'a>),
    /// KEEPTTL.
    Keep,
    /// PERSIST.
    Persist,
}

/// What must be there for anything to be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cmd) enum Condition<'a> {
    /// It does not matter.
    #[default]
    Always,
    /// NX: only when the key is not there.
    Absent,
    /// XX: only when it is.
    Present,
    /// IFEQ: only when this string is there.
    Equal(&'a [u8]),
}

impl<'a> Condition<'a> {
    /// Reads NX or XX at `at`, if it is one of these and does not contradict what was said before.
    pub(in crate::cmd) fn read(self, args: Args<'_>, at: usize) -> Option<Condition<'a>> {
        let words = [("NX", Condition::Absent), ("XX", Condition::Present)];
        let (_, read) = words.into_iter().find(|(word, _)| args.is(at, word))?;
        (self == Condition::Always || self == read).then_some(read)
    }
}

/// Options of SET.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cmd) struct SetOptions<'a> {
    pub(in crate::cmd) condition: Condition<'a>,
    pub(in crate::cmd) get: bool,
    pub(in crate::cmd) ttl: Ttl<'a>,
}

impl<'a> SetOptions<'a> {
    /// Reads them from argument 3 on.
    pub(in crate::cmd) fn parse(args: Args<'a>) -> Result<Self, Error> {
        let mut options = SetOptions::default();
        let mut at = 3;
        while at < args.len() {
            if let Some(condition) = options.condition.read(args, at) {
                options.condition = condition;
            } else if args.is(at, "IFEQ")
                && options.condition == Condition::Always
                && let Some(wanted) = args.get(at + 1)
            {
                options.condition = Condition::Equal(wanted);
                at += 1;
            } else if args.is(at, "GET") {
                options.get = true;
            } else if args.is(at, "KEEPTTL") && matches!(options.ttl, Ttl::Unsaid | Ttl::Keep) {
                options.ttl = Ttl::Keep;
            } else {
                options.ttl = Ttl::Set(parse_expiry(args, at, options.ttl)?);
                at += 1;
            }
            at += 1;
        }
        Ok(options)
    }
}

/// Reads GETEX's options, from argument 2 on.
pub(in crate::cmd) fn parse_getex(args: Args<'_>) -> Result<Ttl<'_>, Error> {
    let mut ttl = Ttl::Unsaid;
    let mut at = 2;
    while at < args.len() {
        if args.is(at, "PERSIST") && matches!(ttl, Ttl::Unsaid | Ttl::Persist) {
            ttl = Ttl::Persist;
        } else {
            ttl = Ttl::Set(parse_expiry(args, at, ttl)?);
            at += 1;
        }
        at += 1;
    }
    Ok(ttl)
}

/// Reads EX, PX, EXAT or PXAT at `at` and the number after it. `before` is what was said before: the same word may
/// come twice, another one may not.
pub(in crate::cmd) fn parse_expiry<'a>(
    args: Args<'a>,
    at: usize,
    before: Ttl<'a>,
) -> Result<Expiry<'a>, Error> {
    const WORDS: [(&str, bool, bool); 4] =
        [("EX", true, false), ("PX", false, false), ("EXAT", true, true), ("PXAT", false, true)];
    let word = WORDS.iter().find(|(word, ..)| args.is(at, word));
    let (Some((_, seconds, absolute)), Some(text)) = (word, args.get(at + 1)) else {
        return Err(Error::Syntax);
    };
    let expiry = Expiry { text, seconds: *seconds, absolute: *absolute };
    match before {
        Ttl::Unsaid => Ok(expiry),
        Ttl::Set(other) if (other.seconds, other.absolute) == (*seconds, *absolute) => Ok(expiry),
        Ttl::Set(_) | Ttl::Keep | Ttl::Persist => Err(Error::Syntax),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::ArgBuf;

    fn parses(line: &str) -> bool {
        let args = ArgBuf::from_parts(line.split(' '));
        SetOptions::parse(args.as_args()).is_ok()
    }

    #[test]
    fn words_that_contradict_are_a_syntax_error() {
        for good in ["NX GET", "XX nx_", "EX 1 EX 2", "KEEPTTL KEEPTTL", "NX NX", "PXAT 5 GET NX"] {
            assert_eq!(parses(&format!("SET k v {good}")), !good.contains('_'), "{good}");
        }
        assert!(parses("SET k v IFEQ NX GET"));
        for bad in ["NX XX", "EX 1 PX 2", "EX 1 EXAT 2", "KEEPTTL EX 1", "PX", "PERSIST"] {
            assert!(!parses(&format!("SET k v {bad}")), "{bad}");
        }
        for bad in ["IFEQ", "IFEQ a NX", "XX IFEQ a", "IFEQ a IFEQ b"] {
            assert!(!parses(&format!("SET k v {bad}")), "{bad}");
        }
    }

    #[test]
    fn times_that_do_not_fit_are_invalid() {
        let at = |text: &str, seconds, absolute| {
            Expiry { text: text.as_bytes(), seconds, absolute }.at_ms(1000, "set")
        };
        assert_eq!(at("5", true, false), Ok(6000));
        assert_eq!(at("5", false, true), Ok(5));
        assert_eq!(at("0", true, false), Err(Error::InvalidExpire("set")));
        assert_eq!(at("-1", false, true), Err(Error::InvalidExpire("set")));
        assert_eq!(at("9223372036854775807", true, true), Err(Error::InvalidExpire("set")));
        assert_eq!(at("9223372036854775807", false, false), Err(Error::InvalidExpire("set")));
        assert_eq!(at("x", false, false), Err(Error::NotInteger));
    }
}
