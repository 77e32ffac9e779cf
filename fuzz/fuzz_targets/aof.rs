//! An append-only file of Redis: an error or commands; and whatever it is cut to is a torn tail, with the commands before it.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ringstone_engine::types::EncodingLimits;
use ringstone_fuzz::rdb::scratch_path;
use ringstone_persist::import::{Import, ImportError, ImportOptions, ImportSummary, Imported};

static PATH: LazyLock<PathBuf> = LazyLock::new(scratch_path);

/// Database, words and offset of each command.
type Commands = Vec<(u32, Vec<Vec<u8>>, u64)>;

fn import(bytes: &[u8]) -> Result<(ImportSummary, Commands), ImportError> {
    std::fs::write(&*PATH, bytes).expect("space for a small file");
    let options = ImportOptions {
        limits: EncodingLimits::default(),
        threads: 1,
        now_ms: 1_700_000_000_000,
        load_truncated: true,
    };
    let mut commands = Vec::new();
    let summary = Import::open(&PATH)?.run(&options, &mut |imported| {
        if let Imported::Command { db, args, offset, .. } = imported {
            let words = args.as_args().iter_from(0).map(<[u8]>::to_vec).collect();
            commands.push((db, words, offset));
        }
        Ok(())
    })?;
    assert_eq!(summary.commands, commands.len() as u64);
    Ok((summary, commands))
}

// Two bytes choose where the file is cut, the rest is the file.
fuzz_target!(|data: &[u8]| {
    let Some((cut, file)) = data.split_first_chunk::<2>() else { return };
    let (summary, commands) = match import(file) {
        Ok(imported) => imported,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(commands.is_sorted_by_key(|command| command.2));
    let rdb_end = summary.rdb.map_or(1, |rdb| rdb.end_offset);
    let cut = usize::from(u16::from_le_bytes(*cut)) % file.len();
    if cut as u64 >= rdb_end {
        let (summary, fewer) = import(&file[..cut]).unwrap_or_else(|e| panic!("cut at {cut}: {e}"));
        assert_eq!(fewer[..], commands[..fewer.len()]);
        let torn = summary.torn_tail.map_or(cut as u64, |torn| torn.offset);
        assert!(commands[fewer.len()..].iter().all(|command| command.2 >= torn));
    }
});
