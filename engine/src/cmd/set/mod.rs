//! The set family.

pub mod sadd;
pub mod scard;
pub mod sdiff;
pub mod sinter;
pub mod sismember;
pub mod smembers;
pub mod smove;
pub mod spop;
pub mod srandmember;
pub mod srem;
pub mod sscan;
pub mod sunion;

mod store;

use super::Command;
use crate::effect::Opcode;

/// The family's commands.
pub const COMMANDS: &[&Command] = &[
    &sadd::SADD,
    &srem::SREM,
    &spop::SPOP,
    &srandmember::SRANDMEMBER,
    &smembers::SMEMBERS,
    &sismember::SISMEMBER,
    &sismember::SMISMEMBER,
    &scard::SCARD,
    &smove::SMOVE,
    &sinter::SINTER,
    &sinter::SINTERCARD,
    &sinter::SINTERSTORE,
    &sunion::SUNION,
    &sunion::SUNIONSTORE,
    &sdiff::SDIFF,
    &sdiff::SDIFFSTORE,
    &sscan::SSCAN,
];

// Pinned: these numbers are in logs. The other commands of the family are recorded as one of these.
const OPCODE_SADD: Opcode = 192;
const OPCODE_SREM: Opcode = 193;
