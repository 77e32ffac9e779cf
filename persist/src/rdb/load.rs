//! Loads an RDB file with several threads, whoever wrote it.
//!
//! ```text
//! with our index      spans = blocks ───────────────┐
//! any other file      one thread cuts spans of 1 MiB ┴─> N threads: sum, decode, route ──batches──> Sink
//! ```
//!
//! Invariant: `Ok` means that every byte was summed and the sum was the file's. Keys are handed on before that is known, so
//! whoever gets `Err` throws away what it has received.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use ringstone_engine::serial::{LoadFault, crc64};
use ringstone_engine::types::{EncodingLimits, Value};

use super::error::{RdbError, RdbFault};
use super::file::{END_LEN, RdbFile, Span};
use super::opcode::{AUX_INDEX, AUX_PAD, MAGIC_LEN};
use super::scan::{Item, RawEntry, ScanError, Scanner};
use super::write::DbSize;

/// Parts of a foreign file are about this long.
const SPAN_LEN: usize = 1 << 20;
/// A batch is handed on when it holds so many keys, or so many bytes of encoded values.
const BATCH_KEYS_MAX: usize = 512;
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Parts that wait for a thread.
const SPANS_QUEUED_MAX: usize = 64;

/// What to do with keys whose time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// They stay: the file is the base of a log, and only the log says when they went.
    Keep,
    /// They are left out and counted, as a Redis master does with a `dump.rdb`; the time is now, in ms since 1970.
    DropBefore(i64),
}

/// How to load.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// Encoding thresholds.
    pub limits: EncodingLimits,
    /// What to do with keys whose time is up.
    pub expired: Expired,
    /// Threads that decode.
    pub threads: usize,
    /// Shards that keys are routed to; `shard_of` returns less than this.
    pub shards: usize,
}

/// A key as loaded.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The database.
    pub db: u32,
    /// The key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Value,
    /// When it expires, in ms since 1970.
    pub expire_at_ms: Option<i64>,
    /// Seconds since it was used, if known.
    pub idle_s: Option<u64>,
    /// How often it is used, if known.
    pub freq: Option<u8>,
    /// Where its value begins in the file, for [`RdbFile::duplicate_key`].
    pub offset: u64,
}

/// Takes what is loaded. It is called from all threads at once: a channel to each shard's owner is the usual one, and
/// blocking in it is how memory stays bounded.
pub trait Sink: Sync {
    /// Keys of one shard, of one or several databases. `Err` stops the loading with that text.
    fn batch(&self, shard: usize, entries: Vec<Loaded>) -> Result<(), String>;
}

/// What a file held beside its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// AUX fields in the order of the file, our own left out.
    pub aux: Vec<(Vec<u8>, Vec<u8>)>,
    /// Function libraries: their code.
    pub functions: Vec<Vec<u8>>,
    /// Sizes of databases as the file announces them.
    pub db_sizes: Vec<DbSize>,
    /// Keys handed on.
    pub keys: u64,
    /// Keys left out because their time was up.
    pub expired: u64,
    /// Empty collections that were passed over, as Redis does.
    pub empty: u64,
    /// True when the blocks of our index were loaded in parallel.
    pub indexed: bool,
    /// Where the RDB data ends: behind EOF and CRC-64.
    pub end_offset: u64,
}

impl Summary {
    /// The value of an AUX field.
    pub fn aux(&self, name: &str) -> Option<&[u8]> {
        self.aux.iter().find(|(n, _)| n == name.as_bytes()).map(|(_, value)| &value[..])
    }

    fn note(&mut self, item: Item<'_>) {
        match item {
            Item::Aux(name, _) if &*name == AUX_PAD || &*name == AUX_INDEX => {}
            Item::Aux(name, value) => self.aux.push((name.into_owned(), value.into_owned())),
            Item::Function(code) => self.functions.push(code.into_owned()),
            Item::DbSize(db, keys, expires) => self.db_sizes.push(DbSize { db, keys, expires }),
            Item::Entry(_) | Item::Skipped | Item::End => {}
        }
    }
}

/// A summed part of the file.
struct Part {
    offset: u64,
    len: u64,
    crc64: u64,
}

/// What one span held.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    keys: u64,
    expired: u64,
    empty: u64,
}

impl RdbFile {
    /// Loads the whole file, which must end with its RDB data.
    pub fn load_parallel(
        &self,
        options: &LoadOptions,
        shard_of: &(dyn Fn(&[u8]) -> usize + Sync),
        sink: &dyn Sink,
    ) -> Result<Summary, RdbError> {
        let summary = self.load_prefix(options, shard_of, sink)?;
        let trailing = self.len().saturating_sub(summary.end_offset);
        if trailing > 0 {
            return Err(RdbFault::Trailing(trailing).at(self.path(), summary.end_offset));
        }
        Ok(summary)
    }

    /// The same, but something else may follow: the commands of an append-only file.
    pub fn load_prefix(
        &self,
        options: &LoadOptions,
        shard_of: &(dyn Fn(&[u8]) -> usize + Sync),
        sink: &dyn Sink,
    ) -> Result<Summary, RdbError> {
        let run = Run {
            file: self,
            options,
            shard_of,
            sink,
            stop: AtomicBool::new(false),
            done: Mutex::new(Done::default()),
        };
        let mut summary = Summary::default();
        let end = match self.index() {
            Some(_) => run.indexed(&mut summary),
            None => run.sequential(&mut summary),
        };
        let done = run.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        // A thread's error is more exact than the cutter's "stopped".
        let end = match done.error {
            Some(error) => return Err(error),
            None => end?,
        };
        summary.keys = done.counts.keys;
        summary.expired = done.counts.expired;
        summary.empty = done.counts.empty;
        summary.end_offset = self.verify(done.parts, end)?;
        Ok(summary)
    }

    /// Compares the sum of all parts with the file's own; `end` is where EOF has been read. Returns where the data ends.
    fn verify(&self, mut parts: Vec<Part>, end: u64) -> Result<u64, RdbError> {
        if !self.has_crc() {
            return Ok(end);
        }
        let stored = self.slice(end, size_of::<u64>() as u64)?;
        let Some(stored) = stored.first_chunk::<8>() else {
            return Err(RdbFault::Truncated.at(self.path(), end));
        };
        let expected = u64::from_le_bytes(*stored);
        parts.sort_unstable_by_key(|part| part.offset);
        let (mut offset, mut found) = (0, 0);
        for part in parts {
            debug_assert_eq!(part.offset, offset, "each byte is summed once");
            offset += part.len;
            found = crc64::combine(found, part.crc64, part.len);
        }
        // Redis writes 0 for "not summed" (rdbchecksum no).
        if expected != 0 && expected != found {
            return Err(RdbFault::Checksum { expected, found }.at(self.path(), end));
        }
        Ok(end + size_of::<u64>() as u64)
    }
}

#[derive(Default)]
struct Done {
    parts: Vec<Part>,
    counts: Counts,
    /// The first error in the file's order.
    error: Option<RdbError>,
}

struct Run<'a> {
    file: &'a RdbFile,
    options: &'a LoadOptions,
    shard_of: &'a (dyn Fn(&[u8]) -> usize + Sync),
    sink: &'a dyn Sink,
    stop: AtomicBool,
    done: Mutex<Done>,
}

impl Run<'_> {
    /// Blocks of our index; returns where EOF ends.
    fn indexed(&self, summary: &mut Summary) -> Result<u64, RdbError> {
        let Some(index) = self.file.index() else { return Ok(0) };
        summary.indexed = true;
        let magic_len = MAGIC_LEN as u64;
        let header = Span {
            offset: magic_len,
            len: index.header_len - magic_len,
            db: 0,
            crc64: None,
            shard: None,
        };
        self.notes(&header, summary)?;
        let spans: Vec<Span> = index
            .blocks
            .iter()
            .map(|b| Span {
                offset: b.offset,
                len: b.len,
                db: 0,
                crc64: Some(b.crc64),
                shard: Some(b.shard),
            })
            .collect();
        let next = AtomicUsize::new(0);
        let work = || self.work(|| spans.get(next.fetch_add(1, Ordering::Relaxed)).copied());
        thread::scope(|scope| {
            // This thread is one of them.
            for _ in 1..self.options.threads.min(spans.len()) {
                scope.spawn(work);
            }
            work();
        });
        let eof_end = self.file.len() - (END_LEN as u64) + 1;
        let tail = spans.last().map_or(index.header_len, |span| span.offset + span.len);
        self.sum(0, index.header_len)?;
        self.sum(tail, eof_end - tail)?;
        Ok(eof_end)
    }

    /// What the header says.
    fn notes(&self, span: &Span, summary: &mut Summary) -> Result<(), RdbError> {
        let bytes = self.file.slice(span.offset, span.len)?;
        let mut scanner = self.file.scanner_of(&bytes, span.db);
        while !scanner.is_at_end() {
            match scanner.item().map_err(|error| self.error(span.offset, error))? {
                Item::Entry(_) | Item::End => {
                    let fault = RdbFault::Structure(LoadFault::Corrupt("header"));
                    return Err(fault.at(self.file.path(), span.offset + scanner.at() as u64));
                }
                item @ (Item::Aux(..) | Item::Function(_) | Item::DbSize(..) | Item::Skipped) => {
                    summary.note(item);
                }
            }
        }
        Ok(())
    }

    /// Any file: cuts it into spans while others load them; returns where EOF ends.
    fn sequential(&self, summary: &mut Summary) -> Result<u64, RdbError> {
        let (sender, receiver) = mpsc::sync_channel::<Span>(SPANS_QUEUED_MAX);
        let receiver = Mutex::new(receiver);
        let next = || receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok();
        self.sum(0, MAGIC_LEN as u64)?;
        thread::scope(|scope| {
            for _ in 0..self.options.threads.max(1) {
                scope.spawn(|| self.work(next));
            }
            self.cut(summary, sender)
        })
    }

    fn cut(&self, summary: &mut Summary, spans: mpsc::SyncSender<Span>) -> Result<u64, RdbError> {
        let base = MAGIC_LEN as u64;
        let bytes = self.file.slice(base, u64::MAX)?;
        let mut scanner = self.file.scanner_of(&bytes, 0);
        let (mut start, mut db) = (0, 0);
        loop {
            let item = match scanner.item() {
                Ok(item) => item,
                Err(error) => {
                    self.stop.store(true, Ordering::Relaxed);
                    return Err(self.error(base, error));
                }
            };
            let ends = matches!(item, Item::End);
            summary.note(item);
            if ends || scanner.at() - start >= SPAN_LEN {
                let (offset, len) = (base + start as u64, (scanner.at() - start) as u64);
                let span = Span { offset, len, db, crc64: None, shard: None };
                // Nobody left to take it: some thread has noted an error.
                if spans.send(span).is_err() || self.stop.load(Ordering::Relaxed) {
                    let fault = RdbFault::Stopped("a part before failed".to_owned());
                    return Err(fault.at(self.file.path(), offset));
                }
                (start, db) = (scanner.at(), scanner.db());
            }
            if ends {
                return Ok(base + scanner.at() as u64);
            }
        }
    }

    /// One thread: loads spans until there are no more, or somebody failed.
    fn work(&self, next: impl Fn() -> Option<Span>) {
        let mut router = Router::new(self);
        let mut parts = Vec::new();
        let mut failed = None;
        // Spans are still taken after a failure, so that whoever cuts them is not left waiting.
        while let Some(span) = next() {
            if failed.is_some() || self.stop.load(Ordering::Relaxed) {
                continue;
            }
            match self.load_span(&span, &mut router) {
                Ok(crc64) => parts.push(Part { offset: span.offset, len: span.len, crc64 }),
                Err(error) => {
                    self.stop.store(true, Ordering::Relaxed);
                    failed = Some(error);
                }
            }
        }
        if failed.is_none() && !self.stop.load(Ordering::Relaxed) {
            failed = router.flush().err();
        }
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.parts.append(&mut parts);
        done.counts.keys += router.counts.keys;
        done.counts.expired += router.counts.expired;
        done.counts.empty += router.counts.empty;
        if let Some(error) = failed
            && done.error.as_ref().is_none_or(|first| error.offset < first.offset)
        {
            done.error = Some(error);
        }
    }

    fn load_span(&self, span: &Span, router: &mut Router<'_, '_>) -> Result<u64, RdbError> {
        let bytes = self.file.slice(span.offset, span.len)?;
        let found = crc64::checksum(&bytes);
        if let Some(expected) = span.crc64
            && expected != found
        {
            return Err(RdbFault::Checksum { expected, found }.at(self.file.path(), span.offset));
        }
        let mut scanner: Scanner<'_> = self.file.scanner_of(&bytes, span.db);
        while !scanner.is_at_end() {
            let at = scanner.at();
            match scanner.item().map_err(|error| self.error(span.offset, error))? {
                Item::Entry(entry) => router.entry(span.offset, &entry)?,
                Item::Skipped => {}
                Item::Aux(name, _) if &*name == AUX_PAD => {}
                // Whoever cuts spans has seen these; of our own blocks nobody has.
                Item::Aux(..) | Item::Function(_) | Item::DbSize(..) | Item::End => {
                    if span.crc64.is_some() {
                        let fault = RdbFault::Structure(LoadFault::Corrupt("block"));
                        return Err(fault.at(self.file.path(), span.offset + at as u64));
                    }
                }
            }
        }
        Ok(found)
    }

    fn sum(&self, offset: u64, len: u64) -> Result<(), RdbError> {
        let crc64 = crc64::checksum(&self.file.slice(offset, len)?);
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.parts.push(Part { offset, len, crc64 });
        Ok(())
    }

    fn error(&self, base: u64, error: ScanError) -> RdbError {
        error.fault.at(self.file.path(), base + error.at as u64)
    }
}

/// Decodes entries and gathers them by shard.
struct Router<'a, 'r> {
    run: &'r Run<'a>,
    batches: Vec<Batch>,
    counts: Counts,
}

#[derive(Default)]
struct Batch {
    entries: Vec<Loaded>,
    bytes: usize,
}

impl<'a, 'r> Router<'a, 'r> {
    fn new(run: &'r Run<'a>) -> Self {
        let batches = (0..run.options.shards.max(1)).map(|_| Batch::default()).collect();
        Router { run, batches, counts: Counts::default() }
    }

    fn entry(&mut self, base: u64, entry: &RawEntry<'_>) -> Result<(), RdbError> {
        let path: &Path = self.run.file.path();
        let is_expired = match self.run.options.expired {
            Expired::Keep => false,
            Expired::DropBefore(now_ms) => entry.expire_at_ms.is_some_and(|at| at < now_ms),
        };
        if is_expired {
            self.counts.expired += 1;
            return Ok(());
        }
        let value = match entry.decode(&self.run.options.limits) {
            Ok(value) => value,
            Err(error) if error.fault == LoadFault::EmptyCollection => {
                self.counts.empty += 1;
                return Ok(());
            }
            Err(error) => {
                let fault = RdbFault::Value { key: entry.key.to_vec(), fault: error.fault };
                return Err(fault.at(path, base + error.at as u64));
            }
        };
        let shard = (self.run.shard_of)(&entry.key);
        let Some(batch) = self.batches.get_mut(shard) else {
            let fault = RdbFault::Stopped(format!("there is no shard {shard}"));
            return Err(fault.at(path, base + entry.at as u64));
        };
        self.counts.keys += 1;
        batch.bytes += entry.encoded_len();
        batch.entries.push(Loaded {
            db: entry.db,
            key: entry.key.to_vec(),
            value,
            expire_at_ms: entry.expire_at_ms,
            idle_s: entry.idle_s,
            freq: entry.freq,
            offset: base + entry.at as u64,
        });
        if batch.entries.len() >= BATCH_KEYS_MAX || batch.bytes >= BATCH_BYTES_MAX {
            self.send(shard)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), RdbError> {
        (0..self.batches.len()).try_for_each(|shard| self.send(shard))
    }

    fn send(&mut self, shard: usize) -> Result<(), RdbError> {
        let Some(batch) = self.batches.get_mut(shard).map(std::mem::take) else { return Ok(()) };
        let Some(first) = batch.entries.first() else { return Ok(()) };
        let offset = first.offset;
        self.run
            .sink
            .batch(shard, batch.entries)
            .map_err(|why| RdbFault::Stopped(why).at(self.run.file.path(), offset))
    }
}
