//! Effects: the deterministic changes that a command made, in the order made.
//!
//! An effect is a *canonical command*: one whose replay needs neither clock nor chance (`SPOP` leaves `SREM`, `EXPIRE`
//! leaves `PEXPIREAT`, `INCRBYFLOAT` leaves `SET`). It is stored with the command's pinned opcode; replay looks the
//! command up by that number and runs it with [`crate::keyspace::Mode::Replay`].
//!
//! ```text
//! record = len:varint  db:varint  opcode:varint  argc:varint  (arg_len:varint  arg:bytes)*      len counts what follows it
//! ```
//!
//! Where it can be said key by key (MSET, DEL of several keys), an effect names one key, so that replay on another
//! number of shards needs no barrier.

use crate::args::{ArgBuf, Args, Span};
use crate::notes::{Note, Notes, What};

/// Number of a logged command on disk; pinned in the command's row, append-only, 0 = never logged.
pub type Opcode = u16;

/// The records of an open batch.
#[derive(Debug, Default)]
pub struct Effects {
    buf: Vec<u8>,
    count: u64,
    /// Off when nobody stores records (no log, no replica): changes are then counted only, unless somebody observes.
    off: bool,
    /// Somebody on this shard wants to know what changed.
    observed: bool,
    /// Bytes that [`Effects::unseen`] has given.
    seen: usize,
    /// For replicas.
    notes: Notes,
}

/// Why a record could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("broken effect record at byte {at}")]
pub struct BadRecord {
    /// Offset in the buffer that was given.
    pub at: usize,
}

/// One record, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Database index.
    pub db: u32,
    /// The command.
    pub opcode: Opcode,
    /// Its arguments, *without* the command's name.
    pub args: ArgBuf,
}

/// One record where it lies, its arguments not yet taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRecord<'a> {
    /// Database index.
    pub db: u32,
    /// The command.
    pub opcode: Opcode,
    /// All bytes of the record.
    pub bytes: &'a [u8],
    argc: u64,
    /// Where the arguments begin in `bytes`.
    body_at: usize,
}

impl<'a> RawRecord<'a> {
    /// Calls `each` with the arguments, the command's name not among them; false when the bytes do not read as arguments.
    pub fn each_arg(&self, mut each: impl FnMut(&'a [u8])) -> bool {
        let mut reader = Records { buf: self.bytes, at: self.body_at };
        for _ in 0..self.argc {
            let Some(arg) = reader.arg(self.bytes.len()) else { return false };
            each(arg);
        }
        reader.at == self.bytes.len()
    }

    /// Number of arguments as the record says, the command's name not among them.
    pub fn argc(&self) -> usize {
        usize::try_from(self.argc).unwrap_or(usize::MAX)
    }

    /// The first argument, which is the key of most commands.
    pub fn first_arg(&self) -> Option<&'a [u8]> {
        if self.argc == 0 {
            return None;
        }
        Records { buf: self.bytes, at: self.body_at }.arg(self.bytes.len())
    }

    /// Puts `name` and the arguments into buffers that are used again and again; false as for [`RawRecord::each_arg`].
    pub fn read_into(&self, name: &[u8], buf: &mut Vec<u8>, spans: &mut Vec<Span>) -> bool {
        buf.clear();
        spans.clear();
        let mut push = |arg: &[u8]| {
            let start = u32::try_from(buf.len()).unwrap_or(u32::MAX);
            let len = u32::try_from(arg.len()).unwrap_or(u32::MAX);
            buf.extend_from_slice(arg);
            spans.push(Span { start, len });
        };
        push(name);
        self.each_arg(push)
    }
}

impl Effects {
    /// Whether records are kept, or changes only counted.
    pub fn set_enabled(&mut self, enabled: bool) {
        self.off = !enabled;
    }

    /// Whether records are kept for [`Effects::unseen`], stored or not.
    pub fn set_observed(&mut self, observed: bool) {
        self.observed = observed;
        self.seen = self.buf.len();
    }

    /// True when somebody wants to know what changed.
    #[inline]
    pub fn is_observed(&self) -> bool {
        self.observed
    }

    /// Whether records and notes about them are kept for replicas.
    pub fn set_fed(&mut self, fed: bool) {
        self.notes.set_wanted(fed);
    }

    /// True when replicas are told of what changes.
    #[inline]
    pub fn is_fed(&self) -> bool {
        self.notes.are_wanted()
    }

    /// The next record removes what has lapsed.
    pub fn note_lapse(&mut self) {
        self.notes.push(self.buf.len(), || What::Lapse);
    }

    /// Replicas are told of the records from byte `from` on in these words.
    pub fn note_words(&mut self, from: usize, db: u32, words: ArgBuf) {
        self.notes.push(self.buf.len(), || What::Words { from, db, words });
    }

    /// What was recorded so far is a unit apart from what comes.
    #[inline]
    pub fn end_unit(&mut self) {
        self.notes.end_unit(self.buf.len());
    }

    /// Notes about the records so far.
    pub fn notes(&self) -> &[Note] {
        self.notes.list()
    }

    /// The records since the last call.
    pub fn unseen(&mut self) -> &[u8] {
        let from = std::mem::replace(&mut self.seen, self.buf.len());
        self.buf.get(from..).unwrap_or_default()
    }

    /// Adds the records of `other`, which count as seen.
    pub fn append_seen(&mut self, other: &Effects) {
        self.notes.append(self.buf.len(), &other.notes);
        self.buf.extend_from_slice(&other.buf);
        self.count += other.count;
        self.seen = self.buf.len();
    }

    fn only_counts(&self) -> bool {
        self.off && !self.observed && !self.is_fed()
    }

    /// Records one change; `args` are the arguments after the command's name.
    pub fn push(&mut self, db: u32, opcode: Opcode, args: &[&[u8]]) {
        self.count += 1;
        if self.only_counts() {
            return;
        }
        let body: usize = args.iter().map(|a| varint_len(a.len() as u64) + a.len()).sum();
        self.head(db, opcode, args.len(), body);
        args.iter().for_each(|arg| self.arg(arg));
    }

    /// Records `args` as the client sent it (name left out).
    pub fn push_verbatim(&mut self, db: u32, opcode: Opcode, args: Args<'_>) {
        self.count += 1;
        if self.only_counts() {
            return;
        }
        let body: usize = args.iter_from(1).map(|a| varint_len(a.len() as u64) + a.len()).sum();
        self.head(db, opcode, args.len().saturating_sub(1), body);
        args.iter_from(1).for_each(|arg| self.arg(arg));
    }

    /// Takes the records out; what is recorded from now on starts anew, kept or only counted as before.
    pub fn take(&mut self) -> Effects {
        let (off, observed, notes) = (self.off, self.observed, self.notes.fresh());
        std::mem::replace(self, Effects { off, observed, notes, ..Effects::default() })
    }

    /// Changes recorded since the last [`Effects::take`], kept or only counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// True when nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The records so far.
    pub fn bytes(&self) -> &[u8] {
        &self.buf
    }

    /// Forgets the records, keeping the buffer for the next batch.
    pub fn clear(&mut self) {
        self.buf.clear();
        self.count = 0;
        self.seen = 0;
        self.notes.clear();
    }

    fn head(&mut self, db: u32, opcode: Opcode, argc: usize, body: usize) {
        let numbers = [u64::from(db), u64::from(opcode), argc as u64];
        let len = body + numbers.iter().map(|number| varint_len(*number)).sum::<usize>();
        self.buf.reserve(len + 10);
        put_varint(&mut self.buf, len as u64);
        if numbers.iter().all(|number| *number < 0x80) {
            // Nearly always, one byte each.
            self.buf.extend(numbers.map(|number| (number & 0x7f) as u8));
        } else {
            numbers.iter().for_each(|number| put_varint(&mut self.buf, *number));
        }
    }

    fn arg(&mut self, arg: &[u8]) {
        put_varint(&mut self.buf, arg.len() as u64);
        self.buf.extend_from_slice(arg);
    }
}

/// Reads the records of a batch one by one.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    buf: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    /// Records as [`Effects::bytes`] gave them.
    pub fn new(buf: &'a [u8]) -> Self {
        Records { buf, at: 0 }
    }

    /// The next record without taking its arguments apart; see [`RawRecord::each_arg`] for what is checked then.
    pub fn next_raw(&mut self) -> Option<Result<RawRecord<'a>, BadRecord>> {
        if self.at >= self.buf.len() {
            return None;
        }
        let at = self.at;
        let record = self.read_raw();
        if record.is_none() {
            self.at = self.buf.len();
        }
        Some(record.ok_or(BadRecord { at }))
    }

    fn read_raw(&mut self) -> Option<RawRecord<'a>> {
        let start = self.at;
        let len = usize::try_from(self.varint()?).ok()?;
        let end = self.at.checked_add(len).filter(|end| *end <= self.buf.len())?;
        let db = u32::try_from(self.varint()?).ok()?;
        let opcode = Opcode::try_from(self.varint()?).ok()?;
        let argc = self.varint()?;
        let body_at = self.at.checked_sub(start)?;
        let bytes = self.buf.get(start..end)?;
        self.at = end;
        (body_at <= bytes.len()).then_some(RawRecord { db, opcode, bytes, argc, body_at })
    }

    fn read(raw: &RawRecord<'_>) -> Option<Record> {
        let mut args = ArgBuf::default();
        raw.each_arg(|arg| args.push(arg)).then_some(Record {
            db: raw.db,
            opcode: raw.opcode,
            args,
        })
    }

    fn arg(&mut self, end: usize) -> Option<&'a [u8]> {
        let len = usize::try_from(self.varint()?).ok()?;
        let arg_end = self.at.checked_add(len).filter(|e| *e <= end)?;
        let arg = self.buf.get(self.at..arg_end)?;
        self.at = arg_end;
        Some(arg)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.buf.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, BadRecord>;
    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let raw = match self.next_raw()? {
            Ok(raw) => raw,
            Err(bad) => return Some(Err(bad)),
        };
        let record = Records::read(&raw);
        if record.is_none() {
            self.at = self.buf.len();
        }
        Some(record.ok_or(BadRecord { at }))
    }
}

fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

fn put_varint(buf: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        buf.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    buf.push((value & 0x7f) as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_pushed() {
        let mut effects = Effects::default();
        effects.push(0, 1, &[b"key", b"value"]);
        effects.push(15, 300, &[&[7u8; 200], b""]);
        let got: Vec<_> = Records::new(effects.bytes()).map(|r| r.unwrap()).collect();
        assert_eq!(got.len(), 2);
        assert_eq!((got[1].db, got[1].opcode), (15, 300));
        assert_eq!(got[1].args.as_args().at(0), &[7u8; 200][..]);
    }

    #[test]
    fn a_cut_record_is_an_error_and_never_a_panic() {
        let mut effects = Effects::default();
        effects.push(3, 9, &[b"some key", b"some value"]);
        for cut in 1..effects.bytes().len() {
            let got: Vec<_> = Records::new(&effects.bytes()[..cut]).collect();
            assert_eq!(got, vec![Err(BadRecord { at: 0 })]);
        }
    }
}
