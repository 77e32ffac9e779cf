//! Values and files in the RDB format that nobody vouches for: an error or a value, never a panic or a huge allocation.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringstone_engine::serial;
use ringstone_engine::serial::reader::RdbReader;
use ringstone_engine::types::EncodingLimits;

fuzz_target!(|data: &[u8]| {
    let limits = EncodingLimits::default();
    let _ = serial::dump::restore_payload(data, &limits);
    let Some((rdb_type, body)) = data.split_first() else { return };
    let mut reader = RdbReader::new(body);
    let Ok(value) = serial::load_value(*rdb_type, &mut reader, &limits) else { return };
    // What was loaded can be written, and loads as the same.
    let payload = serial::dump::dump_payload(value.as_ref());
    let again = serial::dump::restore_payload(&payload, &limits).expect("what was written loads");
    let digest = |value: &ringstone_engine::types::Value| {
        serial::digest::value_digest(value.as_ref(), false)
    };
    assert_eq!(digest(&value), digest(&again));
});
