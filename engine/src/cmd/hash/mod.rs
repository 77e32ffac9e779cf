//! The hash family.

mod fields;
pub mod hdel;
pub mod hexists;
pub mod hexpire;
pub mod hget;
pub mod hgetall;
pub mod hgetdel;
pub mod hgetex;
pub mod hincrby;
pub mod hincrbyfloat;
pub mod hlen;
pub mod hmget;
pub mod hpersist;
pub mod hrandfield;
pub mod hscan;
pub mod hset;
pub mod hsetex;
pub mod hstrlen;
pub mod httl;

use super::Command;
use crate::effect::Opcode;
use crate::keyspace::OPCODE_HDEL;

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
    &hexpire::HEXPIRE,
    &hexpire::HPEXPIRE,
    &hexpire::HEXPIREAT,
    &hexpire::HPEXPIREAT,
    &httl::HTTL,
    &httl::HPTTL,
    &httl::HEXPIRETIME,
    &httl::HPEXPIRETIME,
    &hpersist::HPERSIST,
    &hgetdel::HGETDEL,
    &hgetex::HGETEX,
    &hsetex::HSETEX,
];

// Pinned: these numbers are in logs. The other commands of the family are recorded as one of these.
const OPCODE_HSET: Opcode = 256;
const OPCODE_HINCRBY: Opcode = 258;
const OPCODE_HPEXPIREAT: Opcode = 259;
const OPCODE_HPERSIST: Opcode = 260;
