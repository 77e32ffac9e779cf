//! Runs of equal registers.

use smallvec::SmallVec;

use super::HEADER_LEN;
use crate::error::Error;

/// The largest value that a run can have.
const VALUE_MAX: u8 = 32;
const VALUE_LEN_MAX: usize = 4;
const ZERO_LEN_MAX: usize = 64;
/// Neighbours that are looked at for runs to be joined.
const JOIN_SCAN: usize = 5;

/// All registers 0: one run of 16384.
pub(super) const EMPTY: [u8; 2] = [0x7f, 0xff];

/// A run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// What the registers are.
    pub value: u8,
    /// How many they are.
    pub len: usize,
    /// Bytes that the run takes.
    pub size: usize,
}

/// What became of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raised {
    Yes,
    No,
    NoRoom,
}

/// The runs of a sparse HyperLogLog's body.
pub fn runs(body: &[u8]) -> impl Iterator<Item = Run> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let run = run_at(body, at)?;
        at += run.size;
        Some(run)
    })
}

fn run_at(bytes: &[u8], at: usize) -> Option<Run> {
    let byte = *bytes.get(at)?;
    let low = usize::from(byte & 0x3f);
    Some(match byte >> 6 {
        0 => Run { value: 0, len: low + 1, size: 1 },
        1 => {
            let next = bytes.get(at + 1).copied().unwrap_or(0);
            Run { value: 0, len: (low << 8 | usize::from(next)) + 1, size: 2 }
        }
        _ => Run { value: (byte >> 2 & 31) + 1, len: usize::from(byte & 3) + 1, size: 1 },
    })
}

/// Appends a run; none of length 0.
fn push(out: &mut SmallVec<[u8; 5]>, value: u8, len: usize) {
    let Some(less_one) = len.checked_sub(1).and_then(|len| u16::try_from(len).ok()) else { return };
    let [high, low] = less_one.to_be_bytes();
    match value {
        0 if len > ZERO_LEN_MAX => out.extend([0x40 | high, low]),
        0 => out.push(low),
        _ => out.push(0x80 | (value - 1) << 2 | low),
    }
}

pub(super) fn raise(
    bytes: &mut Vec<u8>,
    index: usize,
    value: u8,
    len_max: usize,
) -> Result<Raised, Error> {
    if value > VALUE_MAX {
        return Ok(Raised::NoRoom);
    }
    // The run of the register, the one before it, and the first register of it.
    let (mut at, mut before, mut first) = (HEADER_LEN, HEADER_LEN, 0);
    let run = loop {
        let run = run_at(bytes, at).ok_or(Error::CorruptHll)?;
        if index < first + run.len {
            break run;
        }
        before = at;
        at += run.size;
        first += run.len;
    };
    if run.value >= value {
        return Ok(Raised::No);
    }
    let mut split = SmallVec::new();
    push(&mut split, run.value, index - first);
    push(&mut split, value, 1);
    push(&mut split, run.value, first + run.len - index - 1);
    if split.len() > run.size && bytes.len() + split.len() - run.size > len_max {
        return Ok(Raised::NoRoom);
    }
    if at + run.size > bytes.len() {
        return Err(Error::CorruptHll);
    }
    bytes.splice(at..at + run.size, split);
    join(bytes, before);
    Ok(Raised::Yes)
}

/// Joins short runs of the same value, from the one at `at` on.
fn join(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..JOIN_SCAN {
        let Some(run) = run_at(bytes, at) else { return };
        let next = run_at(bytes, at + run.size);
        match next {
            Some(next)
                if run.value > 0
                    && next.value == run.value
                    && run.len + next.len <= VALUE_LEN_MAX =>
            {
                let mut joined = SmallVec::new();
                push(&mut joined, run.value, run.len + next.len);
                bytes.splice(at..at + 2, joined);
            }
            _ => at += run.size,
        }
    }
}
