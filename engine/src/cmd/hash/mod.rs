//! The hash family.

pub mod hdel;
pub mod hexists;
pub mod hget;
pub mod hgetall;
pub mod hincrby;
pub mod hincrbyfloat;
pub mod hlen;
pub mod hmget;
pub mod hrandfield;
pub mod hscan;
pub mod hset;
pub mod hstrlen;

use super::Command;
use crate::effect::Opcode;

/// The family's commands.
pub const COMMANDS: &[&Command] = &[
    &hset::HSET,
    &hset::HMSET,
    &hset::HSETNX,
    &hget::HGET,
    &hmget::HMGET,
    &hgetall::HGETALL,
    &hgetall::HKEYS,
    &hgetall::HVALS,
    &hlen::HLEN,
    &hstrlen::HSTRLEN,
    &hexists::HEXISTS,
    &hdel::HDEL,
    &hincrby::HINCRBY,
    &hincrbyfloat::HINCRBYFLOAT,
    &hrandfield::HRANDFIELD,
    &hscan::HSCAN,
];

// Pinned: these numbers are in logs. The other commands of the family are recorded as one of these.
const OPCODE_HSET: Opcode = 256;
const OPCODE_HDEL: Opcode = 257;
const OPCODE_HINCRBY: Opcode = 258;
