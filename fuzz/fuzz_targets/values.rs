//! Values in the RDB format that nobody vouches for: an error or a value, never a panic or a huge allocation; and a value
//! can be saved and loads as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringstone_engine::serial::{self, RdbReader, crc64, dump};
use ringstone_engine::types::EncodingLimits;
use ringstone_tests::generate::pair::saves_and_loads;

fuzz_target!(|data: &[u8]| {
    let limits = EncodingLimits::default();
    // As a payload with its sum put right, and as type and body.
    let mut payload = data.to_vec();
    if let Some(summed) = payload.len().checked_sub(8) {
        let sum = crc64::checksum(&payload[..summed]);
        payload[summed..].copy_from_slice(&sum.to_le_bytes());
    }
    dump::restore_payload(&payload, &limits).iter().for_each(saves_and_loads);
    let Some((rdb_type, body)) = data.split_first() else { return };
    let mut reader = RdbReader::new(body);
    let loaded = serial::load_value(*rdb_type, &mut reader, &limits);
    if let Ok(value) = loaded {
        saves_and_loads(&value);
        // Whoever only skips a value must end where it ended.
        let mut skipped = RdbReader::new(body);
        assert!(serial::skip_value(*rdb_type, &mut skipped).is_ok());
        assert_eq!(skipped.at(), reader.at());
    }
});
