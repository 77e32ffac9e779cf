//! The stream family.

mod common;
mod references;
mod trim;
pub mod xack;
pub mod xadd;
pub mod xclaim;
pub mod xdel;
pub mod xdelex;
pub mod xgroup;
pub mod xinfo;
pub mod xlen;
pub mod xpending;
pub mod xrange;
pub mod xread;
pub mod xreadgroup;
pub mod xsetid;
pub mod xtrim;

use super::Command;

/// The family's commands.
pub const COMMANDS: &[&Command] = &[
    &xack::XACK,
    &xdelex::XACKDEL,
    &xadd::XADD,
    &xclaim::XCLAIM,
    &xclaim::XAUTOCLAIM,
    &xdel::XDEL,
    &xdelex::XDELEX,
    &xgroup::XGROUP,
    &xinfo::XINFO,
    &xlen::XLEN,
    &xpending::XPENDING,
    &xrange::XRANGE,
    &xrange::XREVRANGE,
    &xread::XREAD,
    &xreadgroup::XREADGROUP,
    &xsetid::XSETID,
    &xtrim::XTRIM,
];

#[cfg(test)]
mod tests;
