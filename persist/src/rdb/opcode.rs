//! Bytes of the RDB file format, pinned by Redis and Valkey, and the names of our own AUX fields.

/// Magic and version of the files written here.
pub const MAGIC: &[u8; 9] = b"REDIS0010";
/// The same for files with types that Redis 7.0 does not know.
pub const MAGIC_NEWER: &[u8; 9] = b"REDIS0012";
/// Length of magic and version.
pub const MAGIC_LEN: usize = 9;
/// The newest Redis format that is read.
pub const REDIS_VERSION_MAX: u32 = 12;
/// The Valkey format that is read (`VALKEY080`).
pub const VALKEY_VERSION: u32 = 80;

/// A slot import under way (Valkey 9).
pub const SLOT_IMPORT: u8 = 243;
/// Sizes of a slot, a hint.
pub const SLOT_INFO: u8 = 244;
/// A function library.
pub const FUNCTION2: u8 = 245;
/// A function library, as in the release candidates of Redis 7.0.
pub const FUNCTION_PRE_GA: u8 = 246;
/// What a module wrote beside the keys.
pub const MODULE_AUX: u8 = 247;
/// Seconds since the key was used.
pub const IDLE: u8 = 248;
/// How often the key is used.
pub const FREQ: u8 = 249;
/// A field with a value about the file.
pub const AUX: u8 = 250;
/// Sizes of a database, a hint.
pub const RESIZEDB: u8 = 251;
/// Expiry in ms.
pub const EXPIRETIME_MS: u8 = 252;
/// Expiry in seconds.
pub const EXPIRETIME: u8 = 253;
/// Which database the keys that follow belong to.
pub const SELECTDB: u8 = 254;
/// End; the CRC-64 follows.
pub const EOF: u8 = 255;

/// AUX field that fills a block up.
pub const AUX_PAD: &[u8] = b"ringstone-pad";
/// AUX field that holds the block index.
pub const AUX_INDEX: &[u8] = b"ringstone-index";

/// Blocks begin and end at multiples of this many bytes, as O_DIRECT wants it.
pub const ALIGN_BYTES: usize = crate::disk::BLOCK_BYTES;

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_on_disk_stay_as_they_are() {
        assert_eq!([super::MAGIC, super::MAGIC_NEWER], [b"REDIS0010", b"REDIS0012"]);
        assert_eq!([super::AUX, super::SELECTDB, super::EOF], [0xfa, 0xfe, 0xff]);
        assert_eq!([super::EXPIRETIME_MS, super::RESIZEDB, super::FUNCTION2], [0xfc, 0xfb, 0xf5]);
        assert_eq!(super::AUX_PAD, b"ringstone-pad");
        assert_eq!(super::AUX_INDEX, b"ringstone-index");
    }
}
