//! Redis's DEBUG DIGEST: SHA-1 of parts, mixed where order matters and XORed where it does not, so that two servers
//! with the same content give the same 40 digits whatever their memory layout.

use sha1::{Digest as _, Sha1};

use crate::types::ValueRef;

/// 20 bytes, as DEBUG DIGEST prints them in hex.
pub type DigestBytes = [u8; 20];

/// A digest under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    sum: DigestBytes,
}

impl Digest {
    /// Mixes a string in, order mattering (Redis's `mixDigest`).
    pub fn string(&mut self, bytes: &[u8]) {
        self.unordered(bytes);
        self.sum = Sha1::digest(self.sum).into();
    }

    /// Adds a string, order not mattering (Redis's `xorDigest`): a set's member.
    pub fn unordered(&mut self, bytes: &[u8]) {
        let hash: DigestBytes = Sha1::digest(bytes).into();
        self.xor(&hash);
    }

    /// Adds parts that belong together in their order, the whole in no order: a hash's field and value.
    pub fn unordered_group(&mut self, parts: &[&[u8]]) {
        let mut group = Digest::default();
        parts.iter().for_each(|part| group.string(part));
        self.unordered(&group.sum);
    }

    /// The same, with a mark that is not in the parts' order: a field that expires.
    pub fn unordered_group_marked(&mut self, parts: &[&[u8]], mark: &[u8]) {
        let mut group = Digest::default();
        parts.iter().for_each(|part| group.string(part));
        group.unordered(mark);
        self.unordered(&group.sum);
    }

    /// Adds a sorted set's member with its score, in no order.
    pub fn scored(&mut self, member: &[u8], score: f64) {
        self.unordered_group(&[member, format_g17(score).as_bytes()]);
    }

    /// Adds a hash that was made elsewhere, order not mattering: how shards' sums come together.
    pub fn xor(&mut self, hash: &DigestBytes) {
        self.sum.iter_mut().zip(hash).for_each(|(a, b)| *a ^= b);
    }

    /// The digest.
    pub fn bytes(&self) -> DigestBytes {
        self.sum
    }

    /// Mixes a value in as DEBUG DIGEST-VALUE does: its type, its content, and whether it expires (not when).
    pub fn value(&mut self, value: ValueRef<'_>, expires: bool) {
        self.string(&type_number(value).to_be_bytes());
        value.digest(self);
        if expires {
            self.unordered(b"!!expire!!");
        }
    }
}

/// DEBUG DIGEST-VALUE of one key.
pub fn value_digest(value: ValueRef<'_>, expires: bool) -> DigestBytes {
    let mut digest = Digest::default();
    digest.value(value, expires);
    digest.bytes()
}

/// What one key adds to its database: XOR these of all keys, on all shards, into one.
pub fn key_digest(key: &[u8], value: ValueRef<'_>, expires: bool) -> DigestBytes {
    let mut digest = Digest::default();
    digest.string(key);
    digest.value(value, expires);
    Sha1::digest(digest.bytes()).into()
}

/// DEBUG DIGEST of a whole server: `dbs` are the databases that hold a key, ascending, each with the XOR of its [`key_digest`]s.
pub fn dataset_digest(dbs: impl IntoIterator<Item = (u32, DigestBytes)>) -> DigestBytes {
    let mut digest = Digest::default();
    for (index, keys) in dbs {
        digest.string(&index.to_be_bytes());
        digest.xor(&keys);
    }
    digest.bytes()
}

/// Redis's `OBJ_*` numbers, part of the digest.
fn type_number(value: ValueRef<'_>) -> u32 {
    match value {
        ValueRef::Int(_) | ValueRef::Bytes(_) => 0,
        ValueRef::List(_) => 1,
        ValueRef::Set(_) => 2,
        ValueRef::ZSet(_) => 3,
        ValueRef::Hash(_) => 4,
        ValueRef::Stream(_) => 6,
    }
}

/// C's `%.17g`.
fn format_g17(value: f64) -> String {
    if value.is_nan() {
        return if value.is_sign_negative() { "-nan" } else { "nan" }.to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-inf" } else { "inf" }.to_owned();
    }
    let scientific = format!("{value:.16e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| -> String {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if !(-4..17).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(digits), exponent.unsigned_abs());
    }
    let decimals = usize::try_from(16 - exponent).unwrap_or(0);
    trim(&format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: DigestBytes) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn doubles_read_as_c_prints_them_with_17_digits() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.10000000000000001"),
            (2.5, "2.5"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (123_456_789_012_345_680_000.0, "1.2345678901234568e+20"),
            (0.0001, "0.0001"),
            (0.00001, "1.0000000000000001e-05"),
            (5e-324, "4.9406564584124654e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (9.869_604_401_089_358, "9.869604401089358"),
        ];
        for (value, text) in cases {
            assert_eq!(format_g17(value), text);
        }
    }

    #[test]
    fn equals_what_redis_7_0_15_prints() {
        let hello = ValueRef::Bytes(b"hello");
        assert_eq!(hex(value_digest(hello, false)), "36b23a1456b2dce2c3ed252c456761301dba8060");
        let twelve = ValueRef::Int(12);
        assert_eq!(hex(value_digest(twelve, false)), "655ac46b180ad2f61a3cee25f0b1780fa2ec879a");
        let mut first = Digest::default();
        first.xor(&key_digest(b"s", hello, false));
        first.xor(&key_digest(b"n", twelve, false));
        let one_db = dataset_digest([(0, first.bytes())]);
        assert_eq!(hex(one_db), "ee882b8e06011293b419cf5608d0b27cd571f63c");
        let third = key_digest(b"x", ValueRef::Bytes(b"y"), true);
        let two_dbs = dataset_digest([(0, first.bytes()), (3, third)]);
        assert_eq!(hex(two_dbs), "526200f5338485dd7d54f629d1c4d5466924c1b8");
    }

    #[test]
    fn order_matters_where_it_should() {
        let digest = |f: &dyn Fn(&mut Digest)| {
            let mut digest = Digest::default();
            f(&mut digest);
            digest.bytes()
        };
        let ab = digest(&|d| [b"a", b"b"].iter().for_each(|s| d.string(*s)));
        let ba = digest(&|d| [b"b", b"a"].iter().for_each(|s| d.string(*s)));
        assert_ne!(ab, ba);
        let ab = digest(&|d| [b"a", b"b"].iter().for_each(|s| d.unordered(*s)));
        let ba = digest(&|d| [b"b", b"a"].iter().for_each(|s| d.unordered(*s)));
        assert_eq!(ab, ba);
    }
}
