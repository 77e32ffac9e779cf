//! RDB type numbers, as Redis has pinned them for ever.

/// A string.
pub const RDB_TYPE_STRING: u8 = 0;
/// A list of strings (before quicklists).
pub const RDB_TYPE_LIST: u8 = 1;
/// A set of strings.
pub const RDB_TYPE_SET: u8 = 2;
/// A sorted set with scores as text.
pub const RDB_TYPE_ZSET: u8 = 3;
/// A hash of strings.
pub const RDB_TYPE_HASH: u8 = 4;
/// A sorted set with binary scores.
pub const RDB_TYPE_ZSET_2: u8 = 5;
/// A module's value, first format (unreadable without the module).
pub const RDB_TYPE_MODULE_PRE_GA: u8 = 6;
/// A module's value.
pub const RDB_TYPE_MODULE_2: u8 = 7;
/// A hash as zipmap.
pub const RDB_TYPE_HASH_ZIPMAP: u8 = 9;
/// A list as ziplist.
pub const RDB_TYPE_LIST_ZIPLIST: u8 = 10;
/// A set of integers.
pub const RDB_TYPE_SET_INTSET: u8 = 11;
/// A sorted set as ziplist.
pub const RDB_TYPE_ZSET_ZIPLIST: u8 = 12;
/// A hash as ziplist.
pub const RDB_TYPE_HASH_ZIPLIST: u8 = 13;
/// A list of ziplists.
pub const RDB_TYPE_LIST_QUICKLIST: u8 = 14;
/// A stream, Redis 5.
pub const RDB_TYPE_STREAM_LISTPACKS: u8 = 15;
/// A hash as listpack.
pub const RDB_TYPE_HASH_LISTPACK: u8 = 16;
/// A sorted set as listpack.
pub const RDB_TYPE_ZSET_LISTPACK: u8 = 17;
/// A list of listpacks and plain nodes.
pub const RDB_TYPE_LIST_QUICKLIST_2: u8 = 18;
/// A stream, Redis 7.0.
pub const RDB_TYPE_STREAM_LISTPACKS_2: u8 = 19;
/// A set as listpack, Redis 7.2.
pub const RDB_TYPE_SET_LISTPACK: u8 = 20;
/// A stream, Redis 7.2: consumers have an active time.
pub const RDB_TYPE_STREAM_LISTPACKS_3: u8 = 21;
/// A hash with times to live of fields, as in Redis 7.4's release candidates.
pub const RDB_TYPE_HASH_METADATA_PRE_GA: u8 = 22;
/// The same as listpack.
pub const RDB_TYPE_HASH_LISTPACK_EX_PRE_GA: u8 = 23;
/// A hash with times to live of fields, Redis 7.4.
pub const RDB_TYPE_HASH_METADATA: u8 = 24;
/// The same as listpack.
pub const RDB_TYPE_HASH_LISTPACK_EX: u8 = 25;

/// A hash with times to live of fields, Valkey 9. On disk it has the number 22, which Redis gave to another layout; the
/// loader tells them apart by the file's magic and uses this number, which no file has.
pub const RDB_TYPE_VALKEY_HASH_2: u8 = 222;

/// What a list node of [`RDB_TYPE_LIST_QUICKLIST_2`] holds: one element as it is.
pub const QUICKLIST_NODE_PLAIN: u64 = 1;
/// What a list node of [`RDB_TYPE_LIST_QUICKLIST_2`] holds: a listpack.
pub const QUICKLIST_NODE_PACKED: u64 = 2;
