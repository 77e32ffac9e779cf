//! Numbers among a command's arguments, with the errors that Redis gives for them.

use crate::error::Error;
use crate::num::parse_i64;

/// The most elements that SRANDMEMBER and HRANDFIELD repeat when nothing bounds the reply: Redis, which has no limit here, dies
/// of it.
pub(crate) const REPEATS_MAX: usize = 1 << 27;

/// Any 64-bit integer.
pub(crate) fn integer(text: &[u8]) -> Result<i64, Error> {
    parse_i64(text).ok_or(Error::NotInteger)
}

/// A count that may be 0 but not negative (Redis's `getPositiveLong` without a message).
pub(crate) fn positive(text: &[u8]) -> Result<usize, Error> {
    parse_i64(text).and_then(|n| usize::try_from(n).ok()).ok_or(Error::NotPositive)
}

/// The same with another message for everything that does not fit.
pub(crate) fn positive_or(text: &[u8], message: &'static str) -> Result<usize, Error> {
    at_least(text, 0, message)
}

/// A number of at least `min`, with one message for everything that does not fit.
pub(crate) fn at_least(text: &[u8], min: usize, message: &'static str) -> Result<usize, Error> {
    let number = parse_i64(text).and_then(|n| usize::try_from(n).ok());
    number.filter(|n| *n >= min).ok_or(Error::text(message))
}

/// A database's index, which may yet be one of none.
pub fn database_index(text: &[u8]) -> Result<usize, Error> {
    let index = i32::try_from(integer(text)?).map_err(|_| {
        Error::text("ERR value is out of range, value must between -2147483648 and 2147483647")
    })?;
    usize::try_from(index).map_err(|_| Error::DbIndex)
}

/// A number whose sign has a meaning of its own: whether it is negative, and its size.
pub(crate) fn magnitude(text: &[u8]) -> Result<(bool, usize), Error> {
    let number = integer(text)?;
    Ok((number < 0, usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX)))
}

/// The same, where the smallest integer, which has no opposite, is refused.
pub(crate) fn opposable(text: &[u8]) -> Result<(bool, usize), Error> {
    if integer(text)? == i64::MIN {
        return Err(Error::text(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ));
    }
    magnitude(text)
}
