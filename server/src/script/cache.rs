//! The scripts that EVAL and SCRIPT LOAD have made known, for all shards.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ringstone_script::{ScriptFlags, shebang};

use crate::map::Map;

/// A script's text.
pub struct Script {
    /// As it was sent.
    pub body: Vec<u8>,
    /// What its first line says.
    pub flags: ScriptFlags,
    /// Bytes of the first line, which is not compiled.
    skipped: usize,
}

impl Script {
    /// Reads the first line.
    pub fn new(body: &[u8]) -> Result<Script, String> {
        let (flags, code) = shebang::script(body)?;
        Ok(Script { body: body.to_vec(), flags, skipped: body.len() - code.len() })
    }

    /// What is compiled.
    pub fn code(&self) -> &[u8] {
        self.body.get(self.skipped..).unwrap_or_default()
    }
}

/// What a shard knows of a script or function that it has run.
pub struct Known {
    /// Its flags.
    pub flags: ScriptFlags,
    /// It touched keys that it had not named: next time it gets the whole keyspace at once.
    pub wants_whole: Cell<bool>,
    /// Without keys it touched none.
    pub touches_nothing: Cell<bool>,
}

impl Known {
    /// Nothing is known but the flags.
    pub fn new(flags: ScriptFlags) -> Known {
        Known { flags, wants_whole: Cell::new(false), touches_nothing: Cell::new(false) }
    }
}

/// All cached scripts by digest.
#[derive(Default)]
pub struct Cache {
    scripts: Mutex<Map<String, Arc<Script>>>,
    flushes: AtomicU64,
}

impl Cache {
    fn with<T>(&self, work: impl FnOnce(&mut Map<String, Arc<Script>>) -> T) -> T {
        work(&mut self.scripts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The script of this digest.
    pub fn find(&self, sha: &str) -> Option<Arc<Script>> {
        self.with(|scripts| scripts.get(sha).cloned())
    }

    /// Adds one.
    pub fn add(&self, sha: &str, script: Arc<Script>) {
        self.with(|scripts| scripts.insert(sha.to_owned(), script));
    }

    /// Forgets all.
    pub fn flush(&self) {
        self.with(|scripts| *scripts = Map::default());
        self.flushes.fetch_add(1, Ordering::AcqRel);
    }

    /// How often that was.
    pub fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Acquire)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.with(|scripts| scripts.len())
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that they take.
    pub fn memory_bytes(&self) -> usize {
        self.with(|scripts| {
            let each = |(sha, script): (&String, &Arc<Script>)| {
                sha.capacity() + script.body.capacity() + size_of::<Script>()
            };
            scripts.iter().map(each).sum::<usize>()
                + scripts.capacity() * size_of::<(String, Arc<Script>)>()
        })
    }
}
