//! What must be true after every recovery.
//!
//! Invariant: the oracle learns only from what the shards executed and acknowledged, never from what recovery says of itself.

use std::collections::{HashMap, HashSet};

use ringstone_persist::log::{FrameKind, SegmentId};

use super::rng::mix;
use super::run::KEYS;

/// A rule that does not hold.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Violation(pub String);

/// One command's effect: what it read and wrote, and the result at execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// Unique.
    pub id: u64,
    /// Keys read and written.
    pub keys: Vec<u8>,
    /// The value written to all of them.
    pub value: u64,
    /// Number of frames it is spread over; 1 except under a mutation.
    pub parts: u8,
}

impl Op {
    /// The value that the keys get.
    pub fn result(id: u64, keys: &[u8], state: &[u64; KEYS]) -> u64 {
        keys.iter().fold(id, |v, key| mix(v.wrapping_mul(31) ^ state[usize::from(*key)]))
    }

    /// Appends the record, with filling that makes frames of many sizes.
    pub fn encode(&self, out: &mut Vec<u8>, filling: usize) {
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.value.to_le_bytes());
        out.extend_from_slice(&[self.parts, self.keys.len() as u8]);
        out.extend_from_slice(&self.keys);
        out.extend_from_slice(&(filling as u32).to_le_bytes());
        out.resize(out.len() + filling, self.id as u8);
    }

    fn decode_all(mut bytes: &[u8]) -> Option<Vec<Op>> {
        fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
            let (head, tail) = bytes.split_at_checked(len)?;
            *bytes = tail;
            Some(head)
        }
        let mut ops = Vec::new();
        while !bytes.is_empty() {
            let id = u64::from_le_bytes(take(&mut bytes, 8)?.try_into().ok()?);
            let value = u64::from_le_bytes(take(&mut bytes, 8)?.try_into().ok()?);
            let [parts, keys] = take(&mut bytes, 2)?.try_into().ok()?;
            let keys = take(&mut bytes, usize::from(keys))?.to_vec();
            let filling = u32::from_le_bytes(take(&mut bytes, 4)?.try_into().ok()?);
            take(&mut bytes, filling as usize)?;
            ops.push(Op { id, keys, value, parts });
        }
        Some(ops)
    }
}

/// A frame as it was pushed.
struct Pushed {
    kind: FrameKind,
    crc: u32,
    len: usize,
}

/// Where a frame was written.
pub struct Written {
    /// Offset of its header.
    pub offset: u64,
    /// Where it ends.
    pub end: u64,
    /// Its GSN.
    pub gsn: u64,
}

/// The memory of everything.
#[derive(Default)]
pub struct Oracle {
    /// By GSN, from 1 on.
    pushed: Vec<Option<Pushed>>,
    /// Acknowledged as durable: survives power loss.
    acknowledged_durable: u64,
    /// Acknowledged: survives `kill -9`.
    acknowledged: u64,
    /// Everything up to here was seen durable.
    pub synced: u64,
    /// Frames by the segment that they were handed to the kernel for.
    pub written: HashMap<SegmentId, Vec<Written>>,
    members: HashMap<SegmentId, HashSet<(u32, u64)>>,
}

impl Oracle {
    /// A frame is pushed.
    pub fn push(&mut self, gsn: u64, kind: FrameKind, records: &[u8]) {
        let at = gsn as usize - 1;
        if self.pushed.len() <= at {
            self.pushed.resize_with(at + 1, || None);
        }
        self.pushed[at] = Some(Pushed { kind, crc: crc32fast::hash(records), len: records.len() });
    }

    /// A frame is handed to the kernel.
    pub fn write(&mut self, segment: SegmentId, epoch: u32, written: Written) {
        self.members.entry(segment).or_default().insert((epoch, written.gsn));
        self.written.entry(segment).or_default().push(written);
    }

    /// A segment's file begins anew.
    pub fn prepare(&mut self, segment: SegmentId) {
        self.members.remove(&segment);
        self.written.remove(&segment);
    }

    /// A reply leaves.
    pub fn acknowledge(&mut self, gsn: u64, durable: bool) {
        self.acknowledged = self.acknowledged.max(gsn);
        if durable {
            self.acknowledged_durable = self.acknowledged_durable.max(gsn);
        }
    }

    /// Checks that a frame which recovery found valid was written there.
    pub fn check_frame(&self, segment: SegmentId, epoch: u32, gsn: u64) -> Result<(), Violation> {
        if self.members.get(&segment).is_some_and(|m| m.contains(&(epoch, gsn))) {
            return Ok(());
        }
        Err(Violation(format!(
            "{segment} shows a frame of epoch {epoch}, GSN {gsn} never written to it"
        )))
    }

    /// Checks that what must be there is there: recovery ended at `gsn`.
    pub fn check_end(&self, gsn: u64, power: bool) -> Result<(), Violation> {
        let kept = if power { 0 } else { self.acknowledged };
        let needed = kept.max(self.acknowledged_durable).max(self.synced);
        if gsn < needed {
            let what = if power { "power loss" } else { "kill" };
            return Err(Violation(format!(
                "after {what} the prefix ends at {gsn}, below {needed}"
            )));
        }
        if gsn as usize > self.pushed.len() {
            return Err(Violation(format!("the prefix ends at {gsn}, which was never pushed")));
        }
        Ok(())
    }

    /// Checks a replayed frame, and applies it.
    pub fn replay(
        &self,
        gsn: u64,
        kind: FrameKind,
        records: &[u8],
        state: &mut [u64; KEYS],
        parts: &mut HashMap<u64, (u8, u8)>,
    ) -> Result<(), Violation> {
        let known = (gsn as usize).checked_sub(1).and_then(|at| self.pushed.get(at)?.as_ref());
        let same = known.is_some_and(|p| {
            p.kind == kind && p.len == records.len() && p.crc == crc32fast::hash(records)
        });
        if !same {
            return Err(Violation(format!(
                "the frame of GSN {gsn} is not the one that was pushed"
            )));
        }
        let ops = Op::decode_all(records)
            .ok_or_else(|| Violation(format!("the records of GSN {gsn} cannot be read")))?;
        for op in ops {
            let all_read = op.parts == 1;
            if !all_read {
                parts.entry(op.id).or_insert((op.parts, 0)).1 += 1;
            } else if Op::result(op.id, &op.keys, state) != op.value {
                let text = format!("GSN {gsn}: replay of op {} gives another result", op.id);
                return Err(Violation(text));
            }
            op.keys.iter().for_each(|key| state[usize::from(*key)] = op.value);
        }
        Ok(())
    }

    /// Checks that no transaction is there in part.
    pub fn check_parts(&self, parts: &HashMap<u64, (u8, u8)>) -> Result<(), Violation> {
        match parts.iter().find(|(_, (all, found))| all != found) {
            Some((op, (all, found))) => {
                Err(Violation(format!("transaction {op}: {found} of {all} parts recovered")))
            }
            None => Ok(()),
        }
    }

    /// The recovered prefix is the past from now on.
    pub fn settle(&mut self, gsn: u64) {
        self.pushed.truncate(gsn as usize);
        self.acknowledged = self.acknowledged.min(gsn);
        self.acknowledged_durable = self.acknowledged_durable.min(gsn);
        // Recovery made everything that it found durable.
        self.synced = gsn;
    }
}
