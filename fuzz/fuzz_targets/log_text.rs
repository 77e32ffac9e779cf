//! The log's MANIFEST and effect records: broken ones are an error, whole ones survive a round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringstone_engine::effect::Records;
use ringstone_persist::log::manifest::Manifest;

fuzz_target!(|data: &[u8]| {
    for record in Records::new(data) {
        if record.is_err() {
            break;
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(manifest) = Manifest::parse(text) {
        let again = Manifest::parse(&manifest.to_text()).expect("what was written is read");
        assert_eq!(again.to_text(), manifest.to_text());
    }
});
