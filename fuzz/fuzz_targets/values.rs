//! Values in the RDB format that nobody vouches for: an error or a value, never a panic or a huge allocation; and a value
//! can be saved and loads as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringstone_engine::serial::{self, RdbReader, crc64, digest, dump};
use ringstone_engine::types::{EncodingLimits, Value};

/// What was loaded can be written, and loads as the same.
fn comes_back(value: &Value) {
    let payload = dump::dump_payload(value.as_ref());
    let again = dump::restore_payload(&payload, &EncodingLimits::default());
    let again = again.expect("what was written loads");
    let digest = |value: &Value| digest::value_digest(value.as_ref(), false);
    assert_eq!(digest(value), digest(&again));
    assert_eq!(value.as_ref().element_count(), again.as_ref().element_count());
    // The digest of a stream says nothing of its groups.
    if matches!(value, Value::Stream(_)) {
        assert_eq!(dump::dump_payload(again.as_ref()), payload);
    }
}

fuzz_target!(|data: &[u8]| {
    let limits = EncodingLimits::default();
    // As a payload with its sum put right, and as type and body.
    let mut payload = data.to_vec();
    if let Some(summed) = payload.len().checked_sub(8) {
        let sum = crc64::checksum(&payload[..summed]);
        payload[summed..].copy_from_slice(&sum.to_le_bytes());
    }
    dump::restore_payload(&payload, &limits).iter().for_each(comes_back);
    let Some((rdb_type, body)) = data.split_first() else { return };
    let mut reader = RdbReader::new(body);
    let loaded = serial::load_value(*rdb_type, &mut reader, &limits);
    if let Ok(value) = loaded {
        comes_back(&value);
        // Whoever only skips a value must end where it ended.
        let mut skipped = RdbReader::new(body);
        assert!(serial::skip_value(*rdb_type, &mut skipped).is_ok());
        assert_eq!(skipped.at(), reader.at());
    }
});
