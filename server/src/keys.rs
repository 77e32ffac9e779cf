//! What a command does to each of its keys, as its row and its arguments say.

use ringstone_engine::Args;
use ringstone_engine::cmd::{Begin, KeyFlags, KeySpec, Spec};

/// The keys of a command line with their flags, in the order of their specifications.
pub fn keys_with_flags(spec: &Spec, line: Args<'_>, keys: &[usize]) -> Vec<(usize, KeyFlags)> {
    let is_guess =
        |key: &KeySpec| key.flags.contains(KeyFlags::INCOMPLETE) && key.begin != Begin::Unknown;
    if let Some(first) = spec.keys.first().filter(|_| spec.keys.iter().any(is_guess)) {
        // Only the command itself can tell them (MIGRATE).
        return keys.iter().map(|at| (*at, first.flags)).collect();
    }
    let mut found: Vec<(usize, KeyFlags)> = Vec::new();
    for key in spec.keys {
        let one = Spec { keys: std::slice::from_ref(key), more_keys: None, ..*spec };
        let flags = key_flags(spec, key.flags, line);
        found.extend(one.key_positions(line).unwrap_or_default().iter().map(|at| (*at, flags)));
    }
    // What a keyword anywhere in the line names is of the last specification, which cannot tell where it is.
    let hidden = spec.keys.iter().rev().find(|key| key.begin == Begin::Unknown);
    let flags = hidden.map_or(KeyFlags::empty(), |key| key.flags);
    found.extend(keys.iter().skip(found.len()).map(|at| (*at, flags)));
    found
}

/// What happens to the key where that depends on the arguments.
fn key_flags(spec: &Spec, flags: KeyFlags, line: Args<'_>) -> KeyFlags {
    if !flags.contains(KeyFlags::VARIABLE_FLAGS) {
        return flags;
    }
    let read_only = match spec.name {
        "set" if line.iter_from(3).any(|word| word.eq_ignore_ascii_case(b"get")) => false,
        "set" => return KeyFlags::OW | KeyFlags::UPDATE,
        "bitfield" => bitfield_only_reads(line),
        _ => return flags.difference(KeyFlags::VARIABLE_FLAGS),
    };
    if read_only {
        KeyFlags::RO | KeyFlags::ACCESS
    } else {
        KeyFlags::RW | KeyFlags::ACCESS | KeyFlags::UPDATE
    }
}

fn bitfield_only_reads(line: Args<'_>) -> bool {
    let mut at = 2;
    while at < line.len() {
        let left = line.len() - at - 1;
        if line.is(at, "GET") && left >= 2 {
            at += 3;
        } else if line.is(at, "OVERFLOW") && left >= 1 {
            at += 2;
        } else {
            return false;
        }
    }
    true
}
