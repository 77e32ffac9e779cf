//! Payloads of a real redis-server load with the digest that it gave, and broken ones never do harm.

use super::*;
use crate::serial::digest::value_digest;
use crate::serial::{crc64, dump_payload, restore_payload, skip_value};
use proptest::prelude::*;

struct Fixture {
    key: &'static str,
    payload: Vec<u8>,
    digest: &'static str,
    encoding: &'static str,
}

fn fixtures() -> Vec<Fixture> {
    include_str!("../fixtures/dumps-7.0.15.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let payload = words[1]
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect();
            Fixture { key: words[0], payload, digest: words[2], encoding: words[3] }
        })
        .collect()
}

fn hex_digest(value: &Value) -> String {
    value_digest(value.as_ref(), false).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn restored(payload: &[u8]) -> Value {
    restore_payload(payload, &EncodingLimits::default()).unwrap()
}

/// The body of a payload, type first.
fn body(fixture: &Fixture) -> &[u8] {
    &fixture.payload[..fixture.payload.len() - 10]
}

#[test]
fn payloads_of_redis_7_0_15_have_its_content_and_encoding() {
    for fixture in fixtures() {
        let value = restored(&fixture.payload);
        assert_eq!(hex_digest(&value), fixture.digest, "{}", fixture.key);
        assert_eq!(value.as_ref().encoding(), fixture.encoding, "{}", fixture.key);
    }
}

#[test]
fn what_is_dumped_is_what_is_restored() {
    for fixture in fixtures() {
        let payload = dump_payload(restored(&fixture.payload).as_ref());
        assert_eq!(hex_digest(&restored(&payload)), fixture.digest, "{}", fixture.key);
    }
}

#[test]
fn skipping_ends_where_loading_does() {
    for fixture in fixtures() {
        let (rdb_type, value) = body(&fixture).split_first().unwrap();
        let mut reader = RdbReader::new(value);
        skip_value(*rdb_type, &mut reader).unwrap();
        assert!(reader.is_at_end(), "{}", fixture.key);
    }
}

#[test]
fn a_wrong_footer_is_no_dump_and_wrong_content_is_bad_data() {
    let limits = EncodingLimits::default();
    let payload = dump_payload(Value::Int(7).as_ref());
    for at in 0..payload.len() {
        let mut changed = payload.clone();
        changed[at] ^= 1;
        let error = restore_payload(&changed, &limits).unwrap_err();
        assert_eq!(error, crate::Error::BadDump);
        assert_eq!(restore_payload(&payload[..at], &limits).unwrap_err(), crate::Error::BadDump);
    }
    let sealed = |body: &[u8], version: u16| {
        let summed = [body, &version.to_le_bytes()].concat();
        [&summed[..], &crc64::checksum(&summed).to_le_bytes()].concat()
    };
    assert!(matches!(restore_payload(&sealed(b"\x00\x01x", 12), &limits), Ok(Value::Bytes(_))));
    for (body, version, error) in [
        (&b"\x00\x01x"[..], 13, crate::Error::BadDump),
        (b"\x00\x05x", 10, crate::Error::BadData),
        (b"\x00\x01xx", 10, crate::Error::BadData),
        (b"\x63\x01x", 10, crate::Error::BadData),
        (b"\xde\x00", 10, crate::Error::BadData),
        (b"\x01\x00", 10, crate::Error::BadData),
        (b"", 10, crate::Error::BadData),
    ] {
        assert_eq!(restore_payload(&sealed(body, version), &limits).unwrap_err(), error);
    }
}

fn loaded(rdb_type: u8, body: &[u8]) -> Result<Value, LoadFault> {
    let mut reader = RdbReader::new(body);
    load_value(rdb_type, &mut reader, &EncodingLimits::default()).map_err(|error| error.fault)
}

#[test]
fn sets_of_listpacks_are_read_as_redis_7_2_writes_them() {
    let mut packed = Listpack::new();
    [&b"a"[..], b"b", b"17"].iter().for_each(|m| packed.push_back(m));
    let mut out = crate::serial::RdbWriter::default();
    out.string(packed.as_bytes());
    let Ok(Value::Set(set)) = loaded(RDB_TYPE_SET_LISTPACK, &out.buf) else { panic!() };
    assert_eq!((set.len(), set.contains(b"17")), (3, true));
}

#[test]
fn hashes_with_field_ttls_are_read_as_redis_and_valkey_write_them() {
    let times = |rdb_type, body: &[u8]| {
        let Ok(Value::Hash(hash)) = loaded(rdb_type, body) else { panic!("{body:?}") };
        (hash.time_of(b"f"), hash.time_of(b"g"), hash.len())
    };
    let body = b"\x10\x27\x00\x00\x00\x00\x00\x00\x02\x06\x01f\x01x\x00\x01g\x01y";
    assert_eq!(times(RDB_TYPE_HASH_METADATA, body), (Some(10_005), None, 2));
    assert_eq!(times(RDB_TYPE_HASH_METADATA_PRE_GA, &body[8..]), (Some(6), None, 2));

    let packed = |ttl: &[u8]| {
        let mut packed = Listpack::new();
        [&b"f"[..], b"v", ttl].iter().for_each(|item| packed.push_back(item));
        let mut out = crate::serial::RdbWriter::default();
        out.ms_time(0);
        out.string(packed.as_bytes());
        out.buf
    };
    assert_eq!(times(RDB_TYPE_HASH_LISTPACK_EX, &packed(b"0")), (None, None, 1));
    assert_eq!(times(RDB_TYPE_HASH_LISTPACK_EX, &packed(b"17000000")), (Some(17_000_000), None, 1));
    assert!(loaded(RDB_TYPE_HASH_LISTPACK_EX, &packed(b"-5")).is_err());
    assert!(loaded(RDB_TYPE_HASH_LISTPACK_EX, &packed(b"x")).is_err());

    let valkey = b"\x01\x01f\x01v\xff\xff\xff\xff\xff\xff\xff\xff";
    assert_eq!(times(RDB_TYPE_VALKEY_HASH_2, valkey), (None, None, 1));
    let valkey = b"\x01\x01f\x01v\x05\x00\x00\x00\x00\x00\x00\x00";
    assert_eq!(times(RDB_TYPE_VALKEY_HASH_2, valkey), (Some(5), None, 1));
}

#[test]
fn times_of_fields_survive_a_dump_in_both_encodings() {
    let limits = EncodingLimits::default();
    for count in [3u32, 300] {
        let mut hash = Hash::new(&limits);
        for field in 0..count {
            hash.set(field.to_string().as_bytes(), b"v", &limits);
        }
        hash.set_time(b"2", Some(i64::MAX - 7));
        hash.set_time(b"1", Some(1_700_000_000_000));
        let value = hash.into_value();
        let payload = dump_payload(value.as_ref());
        let mut reader = RdbReader::new(&payload[1..payload.len() - 10]);
        assert!(skip_value(payload[0], &mut reader).is_ok() && reader.is_at_end());
        let again = restored(&payload);
        assert_eq!(hex_digest(&again), hex_digest(&value));
        assert_eq!(again.as_ref().encoding(), value.as_ref().encoding());
        let Value::Hash(again) = again else { panic!() };
        let times = [again.time_of(b"0"), again.time_of(b"1"), again.time_of(b"2")];
        assert_eq!(times, [None, Some(1_700_000_000_000), Some(i64::MAX - 7)]);
    }
}

#[test]
fn empty_collections_duplicates_and_nan_are_told_apart() {
    assert_eq!(loaded(RDB_TYPE_SET, b"\x00").unwrap_err(), LoadFault::EmptyCollection);
    assert_eq!(loaded(RDB_TYPE_LIST_QUICKLIST_2, b"\x00").unwrap_err(), LoadFault::EmptyCollection);
    assert!(matches!(loaded(RDB_TYPE_SET, b"\x02\x01a\x01a"), Err(LoadFault::Corrupt(_))));
    assert!(matches!(
        loaded(RDB_TYPE_HASH, b"\x02\x01a\x01x\x01a\x01y"),
        Err(LoadFault::Corrupt(_))
    ));
    assert!(matches!(loaded(RDB_TYPE_ZSET, b"\x01\x01a\xfd"), Err(LoadFault::Corrupt(_))));
    assert!(matches!(loaded(RDB_TYPE_MODULE_2, b"\x00"), Err(LoadFault::Unsupported { .. })));
    assert_eq!(loaded(99, b"").unwrap_err(), LoadFault::UnknownType(99));
}

/// Loads broken bytes; what loads all the same must be fit to be saved, summed and loaded again.
fn load_broken(rdb_type: u8, body: &[u8]) {
    let mut skipper = RdbReader::new(body);
    let skipped = skip_value(rdb_type, &mut skipper);
    let mut reader = RdbReader::new(body);
    if let Ok(value) = load_value(rdb_type, &mut reader, &EncodingLimits::default()) {
        assert!(skipped.is_ok());
        assert_eq!(skipper.at(), reader.at());
        let digest = hex_digest(&value);
        assert_eq!(hex_digest(&restored(&dump_payload(value.as_ref()))), digest);
    }
}

#[test]
fn every_cut_of_a_real_payload_is_refused() {
    for fixture in fixtures() {
        let (rdb_type, value) = body(&fixture).split_first().unwrap();
        for cut in 0..value.len() {
            let cut = &value[..cut];
            assert!(loaded(*rdb_type, cut).is_err(), "{}", fixture.key);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn changed_bytes_of_real_payloads_do_no_harm(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        rdb_type in prop::option::weighted(0.2, 0u8..26),
    ) {
        let all = fixtures();
        let fixture = which.get(&all);
        let (own_type, value) = body(fixture).split_first().unwrap();
        let mut value = value.to_vec();
        for (at, byte) in changes {
            if !value.is_empty() {
                let at = at.index(value.len());
                value[at] = byte;
            }
        }
        load_broken(rdb_type.unwrap_or(*own_type), &value);
    }

    #[test]
    fn any_bytes_as_any_type_do_no_harm(
        rdb_type in 0u8..27, bytes in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        load_broken(rdb_type, &bytes);
    }
}
