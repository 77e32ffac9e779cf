//! What long runs take when they are not told.

use std::path::{Path, absolute};
use std::time::{SystemTime, UNIX_EPOCH};

use ringstone_tests::server::Binary;

/// The server at `path`; the workspace's own where none is named.
pub(crate) fn binary(path: Option<&Path>) -> Result<Binary, String> {
    let Some(path) = path else { return Ok(Binary::ringstone()) };
    let path = absolute(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(Binary { path })
}

/// A seed that is another one each second: seconds since 1970.
pub(crate) fn clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
