//! Function libraries: what is loaded, for all shards. Each shard loads into its own interpreter what it runs.
//!
//! Invariant: they are changed by whoever has the whole keyspace, and among what that transaction records, so that the order of
//! the log is the order of the changes, and a transaction's changes of data and of libraries are there together or not at all.

use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ringstone_engine::effect::{Opcode, RawRecord};
use ringstone_engine::serial::{RdbReader, RdbWriter, crc64};
use ringstone_engine::{Error, glob};
use ringstone_script::{Done, FunctionRow, Interpreter, Job, Kind, Step, shebang};

use super::cache::Known;
use super::turn::answer_loading;
use crate::ask::when_safe;
use crate::map::Map;
use crate::shard::{Shard, ShardRef};
use crate::tx::held::Held;

/// Effect: a library is there, in place of one of the same name.
pub(crate) const OPCODE_LOAD: Opcode = 448;
/// Effect: a library is gone.
pub(crate) const OPCODE_DELETE: Opcode = 449;
/// Effect: all are gone.
pub(crate) const OPCODE_FLUSH: Opcode = 450;

/// RDB's opcode before a library.
const RDB_FUNCTION: u8 = 245;
/// What release candidates of Redis 7.0 had in its place.
const RDB_FUNCTION_PRE_GA: u8 = 246;
/// The RDB version of our payloads.
const DUMP_VERSION: u16 = 10;
/// The newest that is read.
const DUMP_VERSION_MAX: u16 = 12;

/// A library.
pub struct Library {
    /// Its name.
    pub name: String,
    /// All of its text.
    pub code: Vec<u8>,
    /// Its functions.
    pub functions: Vec<FunctionRow>,
    /// Grows with each library that is loaded.
    version: u64,
}

/// A change that was not made yet.
pub enum LibraryChange {
    /// FUNCTION LOAD: the text, and whether it may replace.
    Load(Vec<u8>, bool),
    /// FUNCTION DELETE.
    Delete(Vec<u8>),
    /// FUNCTION FLUSH.
    Flush,
    /// FUNCTION RESTORE.
    Restore(Vec<u8>, Policy),
}

/// What RESTORE does with libraries that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// They must not collide.
    Append,
    /// Those of the same name are replaced.
    Replace,
    /// They go.
    Flush,
}

#[derive(Clone, Default)]
struct State {
    /// In the order of their names, as no order is promised.
    libraries: std::collections::BTreeMap<String, Arc<Library>>,
    functions: Map<String, Arc<Library>>,
    versions: u64,
}

/// All libraries.
#[derive(Default)]
pub struct Libraries {
    state: Mutex<State>,
    changes: AtomicU64,
}

fn error(text: impl Into<String>) -> Error {
    Error::owned(format!("ERR {}", text.into()))
}

impl State {
    fn unlink(&mut self, name: &str) -> Option<Arc<Library>> {
        let library = self.libraries.remove(name)?;
        for function in &library.functions {
            self.functions.remove(&function.name.to_ascii_lowercase());
        }
        Some(library)
    }

    fn link(&mut self, mut library: Library) -> Result<(), Error> {
        if let Some(taken) = library
            .functions
            .iter()
            .find(|f| self.functions.contains_key(&f.name.to_ascii_lowercase()))
        {
            return Err(error(format!("Function {} already exists", taken.name)));
        }
        self.versions += 1;
        library.version = self.versions;
        let library = Arc::new(library);
        for function in &library.functions {
            let name = function.name.to_ascii_lowercase();
            self.functions.insert(name, Arc::clone(&library));
        }
        self.libraries.insert(library.name.clone(), library);
        Ok(())
    }

    fn load(&mut self, code: &[u8], replace: bool) -> Result<String, Error> {
        let parts = shebang::library(code).map_err(error)?;
        if !parts.engine.eq_ignore_ascii_case("lua") {
            return Err(error(format!("Engine '{}' not found", parts.engine)));
        }
        if self.libraries.contains_key(&parts.name) && !replace {
            return Err(error(format!("Library '{}' already exists", parts.name)));
        }
        let functions = compile(&parts.name, parts.code)?;
        // On an error nothing of this is kept.
        self.unlink(&parts.name);
        let name = parts.name.clone();
        self.link(Library { name: parts.name, code: code.to_vec(), functions, version: 0 })?;
        Ok(name)
    }
}

/// Runs a library once, to learn its functions.
fn compile(name: &str, code: &[u8]) -> Result<Vec<FunctionRow>, Error> {
    let interpreter = Interpreter::new(Kind::Functions);
    let mut interpreter = interpreter.map_err(|e| error(format!("no interpreter: {e}")))?;
    let began = std::time::Instant::now();
    let mut step = interpreter.start(Job::Load { name: name.to_owned(), code: code.to_vec() });
    loop {
        match step {
            Step::Ask(ask) => step = interpreter.answer(answer_loading(ask, began)),
            Step::Done(Done::Loaded(functions), _) if functions.is_empty() => {
                return Err(error("No functions registered"));
            }
            Step::Done(Done::Loaded(functions), _) => return Ok(functions),
            Step::Done(Done::Broken(why), _) => return Err(error(why)),
            Step::Done(Done::Failed(error), _) => return Err(error),
            Step::Done(Done::Ready | Done::Reply(_), _) => return Ok(Vec::new()),
        }
    }
}

impl Libraries {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes so far.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The library that has this function, and its row.
    pub fn find_function(&self, name: &str) -> Option<(Arc<Library>, FunctionRow)> {
        let name = name.to_ascii_lowercase();
        let library = self.with(|state| state.functions.get(&name).cloned())?;
        let row = library.functions.iter().find(|row| row.name.eq_ignore_ascii_case(&name))?;
        let row = row.clone();
        Some((library, row))
    }

    /// Libraries whose name fits a pattern.
    pub fn matching(&self, pattern: Option<&[u8]>) -> Vec<Arc<Library>> {
        let fits =
            |name: &str| pattern.is_none_or(|p| glob::matches_ignoring_case(p, name.as_bytes()));
        self.with(|state| state.libraries.values().filter(|l| fits(&l.name)).cloned().collect())
    }

    /// How many libraries and functions there are.
    pub fn counts(&self) -> (usize, usize) {
        self.with(|state| (state.libraries.len(), state.functions.len()))
    }

    /// The texts of all, for a snapshot.
    pub fn codes(&self) -> Vec<Vec<u8>> {
        self.matching(None).iter().map(|library| library.code.clone()).collect()
    }

    /// Bytes that they take.
    pub fn memory_bytes(&self) -> usize {
        let each = |library: &Arc<Library>| {
            library.code.capacity()
                + library.functions.len() * size_of::<FunctionRow>()
                + size_of::<Library>()
        };
        self.matching(None).iter().map(each).sum()
    }

    /// Loads what a file held, at start.
    pub fn load_all(&self, codes: &[Vec<u8>]) -> Result<(), String> {
        self.with(|state| {
            codes.iter().try_for_each(|code| {
                let named = |e: Error| format!("a function library cannot be loaded: {e}");
                state.load(code, true).map(drop).map_err(named)
            })
        })?;
        self.changes.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// The payload of FUNCTION DUMP.
    pub fn dump(&self) -> Vec<u8> {
        Libraries::payload(&self.codes())
    }

    /// The same of these texts.
    pub fn payload(codes: &[Vec<u8>]) -> Vec<u8> {
        let mut out = RdbWriter::default();
        for code in codes {
            out.byte(RDB_FUNCTION);
            out.string(code);
        }
        out.raw(&DUMP_VERSION.to_le_bytes());
        let sum = crc64::checksum(&out.buf);
        out.raw(&sum.to_le_bytes());
        out.buf
    }

    /// Makes a change; its records, and the name of a library that was loaded.
    fn change(&self, change: LibraryChange) -> Result<(Vec<Record>, Option<String>), Error> {
        let changed = self.with(|state| {
            let mut next = state.clone();
            let changed = apply(&mut next, change)?;
            *state = next;
            Ok(changed)
        });
        if changed.is_ok() {
            self.changes.fetch_add(1, Ordering::AcqRel);
        }
        changed
    }
}

type Record = (Opcode, Vec<u8>);

fn apply(state: &mut State, change: LibraryChange) -> Result<(Vec<Record>, Option<String>), Error> {
    match change {
        LibraryChange::Load(code, replace) => {
            let name = state.load(&code, replace)?;
            Ok((vec![(OPCODE_LOAD, code)], Some(name)))
        }
        LibraryChange::Delete(name) => {
            let found = std::str::from_utf8(&name).ok().and_then(|name| state.unlink(name));
            found.ok_or_else(|| error("Library not found"))?;
            Ok((vec![(OPCODE_DELETE, name)], None))
        }
        LibraryChange::Flush => {
            *state = State { versions: state.versions, ..State::default() };
            Ok((vec![(OPCODE_FLUSH, Vec::new())], None))
        }
        LibraryChange::Restore(payload, policy) => {
            let codes = read_payload(&payload)?;
            let mut records: Vec<Record> = Vec::new();
            if policy == Policy::Flush {
                *state = State { versions: state.versions, ..State::default() };
                records.push((OPCODE_FLUSH, Vec::new()));
            }
            let mut fresh = State::default();
            for code in &codes {
                fresh.load(code, false)?;
            }
            for name in fresh.libraries.keys() {
                if state.libraries.contains_key(name) && policy == Policy::Append {
                    return Err(error(format!("Library {name} already exists")));
                }
                state.unlink(name);
            }
            for library in fresh.libraries.values() {
                let (name, code) = (library.name.clone(), library.code.clone());
                let functions = library.functions.clone();
                records.push((OPCODE_LOAD, code.clone()));
                state.link(Library { name, code, functions, version: 0 })?;
            }
            Ok((records, None))
        }
    }
}

fn read_payload(payload: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let wrong = || error("DUMP payload version or checksum are wrong");
    let (summed, sum) = payload.split_last_chunk::<8>().ok_or_else(wrong)?;
    let (body, version) = summed.split_last_chunk::<2>().ok_or_else(wrong)?;
    if u16::from_le_bytes(*version) > DUMP_VERSION_MAX
        || u64::from_le_bytes(*sum) != crc64::checksum(summed)
    {
        return Err(wrong());
    }
    let mut reader = RdbReader::new(body);
    let mut codes = Vec::new();
    while !reader.is_at_end() {
        let failed = || error("failed loading the given functions payload");
        match reader.byte().map_err(|_| error("can not read data type"))? {
            RDB_FUNCTION => {}
            RDB_FUNCTION_PRE_GA => return Err(failed()),
            _ => return Err(error("given type is not a function")),
        }
        codes.push(reader.string().map_err(|_| failed())?.into_owned());
    }
    Ok(codes)
}

/// The command that a record about libraries stands for.
pub(crate) fn replayed_name(opcode: Opcode) -> Option<&'static str> {
    match opcode {
        OPCODE_LOAD => Some("function|load"),
        OPCODE_DELETE => Some("function|delete"),
        OPCODE_FLUSH => Some("function|flush"),
        _ => None,
    }
}

/// Repeats a change that a log says, on the texts of libraries; false when the record is of something else.
pub fn replay(codes: &mut Vec<Vec<u8>>, record: &RawRecord<'_>) -> bool {
    let argument = record.first_arg().unwrap_or_default();
    let name_of = |code: &[u8]| shebang::library(code).ok().map(|library| library.name);
    match record.opcode {
        OPCODE_LOAD => {
            let name = name_of(argument);
            codes.retain(|code| name_of(code) != name);
            codes.push(argument.to_vec());
        }
        OPCODE_DELETE => {
            codes.retain(|code| name_of(code).is_none_or(|name| name.as_bytes() != argument));
        }
        OPCODE_FLUSH => codes.clear(),
        _ => return false,
    }
    true
}

/// Makes a change in what a transaction holds, which is the whole keyspace; the name of a library that was loaded.
pub(crate) fn change_in(held: &mut Held, change: LibraryChange) -> Result<Option<String>, Error> {
    let shared = Arc::clone(&held.shard().borrow().shared);
    let (records, name) = shared.libraries.change(change)?;
    for (opcode, argument) in records {
        held.data().effects.push(0, opcode, &[&argument]);
    }
    Ok(name)
}

/// Makes a change as a transaction of its own, and waits until it is safe.
pub(crate) async fn change_alone(
    shard: &ShardRef,
    change: LibraryChange,
) -> Result<Option<String>, Error> {
    let mut held = Held::whole(shard).await?;
    let changed = change_in(&mut held, change);
    let batch = held.end();
    if changed.is_ok() {
        when_safe(shard, batch).await;
    }
    changed
}

impl Shard {
    /// A function: its library, its name as that has it, and what is known of it here.
    pub(crate) fn find_function(&mut self, name: &str) -> Option<(String, String, Rc<Known>)> {
        let (library, row) = self.shared.libraries.find_function(name)?;
        let changes = self.shared.libraries.changes();
        if self.scripts.known_changes != changes {
            self.scripts.known_changes = changes;
            self.scripts.known_functions.clear();
        }
        let known = self.scripts.known_functions.entry(row.name.clone());
        let known = known.or_insert_with(|| Rc::new(Known::new(row.flags)));
        Some((library.name.clone(), row.name, Rc::clone(known)))
    }

    /// Brings the interpreter to the libraries as they are.
    pub(super) fn load_libraries(&mut self, interpreter: &mut Interpreter) -> Result<(), Error> {
        let changes = self.shared.libraries.changes();
        if self.scripts.library_changes == changes {
            return Ok(());
        }
        let wanted = self.shared.libraries.matching(None);
        let names: Vec<String> = self.scripts.loaded.keys().cloned().collect();
        for name in names {
            if !wanted.iter().any(|library| library.name == name) {
                self.run_job(Kind::Functions, interpreter, Job::Forget(name.clone()));
                self.scripts.loaded.remove(&name);
            }
        }
        for library in wanted {
            if self.scripts.loaded.get(&library.name) == Some(&library.version) {
                continue;
            }
            let code = shebang::library(&library.code).map_err(error)?.code.to_vec();
            let job = Job::Load { name: library.name.clone(), code };
            if let Done::Broken(why) = self.run_job(Kind::Functions, interpreter, job) {
                return Err(error(why));
            }
            self.scripts.loaded.insert(library.name.clone(), library.version);
        }
        self.scripts.library_changes = changes;
        Ok(())
    }
}
