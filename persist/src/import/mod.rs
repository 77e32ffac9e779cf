//! Taking over what a Redis or Valkey has left: a multi-part AOF directory, a single AOF with or without RDB preamble, or
//! a `dump.rdb`.
//!
//! ```text
//! path ──Import::open──> manifest? ──> parts in order ──run──> Entry*  Function*  Command*  ──> sink
//! ```
//!
//! The sink puts entries into the keyspace and runs commands in replay mode, before any client is served.
//!
//! Invariant: files are only read. A transaction (MULTI ... EXEC) is handed on whole or not at all.
//! Invariant: only the last file may end within a command, and only when that is allowed; it is reported then.

mod aof;
mod error;
mod manifest;

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use ringstone_engine::ArgBuf;
use ringstone_engine::types::EncodingLimits;

use crate::disk::map::MappedFile;
use crate::rdb::{Expired, LoadOptions, Loaded, RdbFile, Sink, Summary};
use aof::{Commands, Next};
pub use error::{ImportError, ImportFault};
use manifest::Manifest;

/// Batches of loaded keys that wait for the sink.
const BATCHES_QUEUED_MAX: usize = 8;

/// One thing taken over.
#[derive(Debug)]
pub enum Imported {
    /// A key from RDB data.
    Entry(Loaded),
    /// A function library from RDB data: its code.
    Function(Vec<u8>),
    /// A command from an AOF, to be run in replay mode. SELECT, MULTI and EXEC are not handed on.
    Command {
        /// The database that it runs in.
        db: u32,
        /// The command with its name.
        args: ArgBuf,
        /// The file that it stands in, of [`Import::parts`].
        part: usize,
        /// Where it stands there.
        offset: u64,
    },
}

/// How to import.
#[derive(Clone, Copy, Debug)]
pub struct ImportOptions {
    /// Encoding thresholds.
    pub limits: EncodingLimits,
    /// Threads that decode RDB data.
    pub threads: usize,
    /// Now, in ms since 1970: keys of a `dump.rdb` that expired before are left out. (Those of an AOF stay: its
    /// commands say when they went.)
    pub now_ms: i64,
    /// Whether the last AOF may end within a command (`aof-load-truncated`).
    pub load_truncated: bool,
}

/// The end of an AOF that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub path: PathBuf,
    /// Where the last whole command, or transaction, ends.
    pub offset: u64,
    /// Bytes left out.
    pub len: u64,
}

/// What was taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// What the RDB data held beside its keys, if there was some.
    pub rdb: Option<Summary>,
    /// Commands handed on.
    pub commands: u64,
    /// What was left out; to be warned about.
    pub torn_tail: Option<TornTail>,
}

/// Something that can be imported.
#[derive(Debug)]
pub struct Import {
    parts: Vec<PathBuf>,
    has_manifest: bool,
}

impl Import {
    /// Looks at what stands at `path`: a directory with a manifest, a manifest, an AOF, or an RDB file.
    pub fn open(path: &Path) -> Result<Import, ImportError> {
        let io = |error: std::io::Error| ImportFault::from(error).at(path, 0);
        if std::fs::metadata(path).map_err(io)?.is_dir() {
            return Ok(Import { parts: Manifest::find(path)?.parts(), has_manifest: true });
        }
        if path.extension().is_some_and(|extension| extension == "manifest") {
            return Ok(Import { parts: Manifest::read(path)?.parts(), has_manifest: true });
        }
        let map = MappedFile::open(path).map_err(io)?;
        if !is_rdb(map.bytes()) && !matches!(map.bytes().first(), Some(b'*' | b'#')) {
            return Err(ImportFault::Unknown.at(path, 0));
        }
        Ok(Import { parts: vec![path.to_owned()], has_manifest: false })
    }

    /// The files, in the order in which they are read.
    pub fn parts(&self) -> &[PathBuf] {
        &self.parts
    }

    /// The RDB data that comes first, if there is some. Whoever owns several keyspaces loads it by itself, with
    /// [`RdbFile::load_prefix`] and [`Import::expired`], and goes on with [`Import::run_commands`].
    pub fn rdb(&self) -> Result<Option<RdbFile>, ImportError> {
        let Some(path) = self.parts.first() else { return Ok(None) };
        let map = MappedFile::open(path).map_err(|error| ImportFault::from(error).at(path, 0))?;
        Ok(if is_rdb(map.bytes()) { Some(RdbFile::from_map(path, map)?) } else { None })
    }

    /// What becomes of keys of the RDB data whose time is up.
    pub fn expired(&self, file: &RdbFile, now_ms: i64) -> Expired {
        if self.is_dump(file) { Expired::DropBefore(now_ms) } else { Expired::Keep }
    }

    /// Hands everything to `sink`, in order; what the sink says stops the import.
    pub fn run(
        &self,
        options: &ImportOptions,
        sink: &mut dyn FnMut(Imported) -> Result<(), String>,
    ) -> Result<ImportSummary, ImportError> {
        let Some(file) = self.rdb()? else { return self.run_commands(0, options, sink) };
        let rdb = self.load(&file, options, sink)?;
        let summary = self.run_commands(rdb.end_offset, options, sink)?;
        Ok(ImportSummary { rdb: Some(rdb), ..summary })
    }

    /// Hands only the commands to `sink`, those of the first part from `start` on: where its RDB data ends.
    pub fn run_commands(
        &self,
        start: u64,
        options: &ImportOptions,
        sink: &mut dyn FnMut(Imported) -> Result<(), String>,
    ) -> Result<ImportSummary, ImportError> {
        let mut summary = ImportSummary::default();
        let last = self.parts.len().saturating_sub(1);
        for (at, path) in self.parts.iter().enumerate() {
            let map =
                MappedFile::open(path).map_err(|error| ImportFault::from(error).at(path, 0))?;
            if at > 0 && is_rdb(map.bytes()) {
                return Err(ImportFault::RdbInIncrement.at(path, 0));
            }
            let start = if at == 0 { start } else { 0 };
            let part = Part { path, at, is_last: at == last, start };
            commands(&part, map.bytes(), options, sink, &mut summary)?;
        }
        Ok(summary)
    }

    /// A dump by itself, and not the base of a manifest or what an AOF begins with.
    fn is_dump(&self, file: &RdbFile) -> bool {
        !self.has_manifest && !file.is_aof_base()
    }

    /// Threads decode, this one hands on: the sink need not be shared.
    fn load(
        &self,
        file: &RdbFile,
        options: &ImportOptions,
        sink: &mut dyn FnMut(Imported) -> Result<(), String>,
    ) -> Result<Summary, ImportError> {
        let is_dump = self.is_dump(file);
        let expired = self.expired(file, options.now_ms);
        let load =
            LoadOptions { limits: options.limits, expired, threads: options.threads, shards: 1 };
        let (sender, receiver) = mpsc::sync_channel(BATCHES_QUEUED_MAX);
        let summary = thread::scope(|scope| {
            let loader = scope.spawn(|| {
                let sink = Channel(sender);
                if is_dump {
                    file.load_parallel(&load, &|_| 0, &sink)
                } else {
                    file.load_prefix(&load, &|_| 0, &sink)
                }
            });
            let mut stopped = None;
            for entry in receiver.iter().flatten() {
                if let Err(why) = sink(Imported::Entry(entry)) {
                    stopped = Some(why);
                    break;
                }
            }
            drop(receiver);
            let result = loader.join();
            if let Some(why) = stopped {
                return Err(ImportFault::Stopped(why).at(file.path(), 0));
            }
            match result {
                Ok(result) => result.map_err(ImportError::from),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })?;
        for code in &summary.functions {
            sink(Imported::Function(code.clone()))
                .map_err(|why| ImportFault::Stopped(why).at(file.path(), 0))?;
        }
        Ok(summary)
    }
}

struct Channel(mpsc::SyncSender<Vec<Loaded>>);

impl Sink for Channel {
    fn batch(&self, _: usize, entries: Vec<Loaded>) -> Result<(), String> {
        self.0.send(entries).map_err(|_| "the receiver has gone".to_owned())
    }
}

fn is_rdb(bytes: &[u8]) -> bool {
    bytes.starts_with(b"REDIS") || bytes.starts_with(b"VALKEY")
}

/// One of the files.
struct Part<'a> {
    path: &'a Path,
    at: usize,
    is_last: bool,
    /// Where its commands begin.
    start: u64,
}

/// Hands on a file's commands.
fn commands(
    part: &Part<'_>,
    bytes: &[u8],
    options: &ImportOptions,
    sink: &mut dyn FnMut(Imported) -> Result<(), String>,
    summary: &mut ImportSummary,
) -> Result<(), ImportError> {
    let Part { path, at, is_last, start } = *part;
    let mut commands = Commands::new(bytes, start);
    loop {
        match commands.next().map_err(|(offset, fault)| fault.at(path, offset))? {
            Next::Command(command) => {
                let offset = command.offset;
                summary.commands += 1;
                let (db, args) = (command.db, command.args);
                sink(Imported::Command { db, args, part: at, offset })
                    .map_err(|why| ImportFault::Stopped(why).at(path, offset))?;
            }
            Next::End => return Ok(()),
            Next::Torn { offset } if is_last && options.load_truncated => {
                let len = (bytes.len() as u64).saturating_sub(offset);
                summary.torn_tail = Some(TornTail { path: path.to_owned(), offset, len });
                return Ok(());
            }
            Next::Torn { offset } => {
                return Err(ImportFault::Truncated { is_last }.at(path, offset));
            }
        }
    }
}
