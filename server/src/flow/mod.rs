//! A request's path in reading order, a file a step; nothing calls backwards.
//!
//! ```text
//! intake ─> decode ─> admit ─> route ─> execute ─> commit ─> reply
//! bytes     words     may it?  where?   result     log       bytes
//! ```

pub mod admit;
pub mod commit;
pub mod decode;
pub mod execute;
pub mod intake;
pub mod permit;
pub mod reply;
pub mod route;
