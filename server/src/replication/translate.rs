//! A batch's records as commands that a replica runs.
//!
//! | what was done | what is sent |
//! |---|---|
//! | one command in a unit | the command |
//! | several in a unit | MULTI, the commands, EXEC |
//! | only removals of what has lapsed | each by itself |

use ringstone_engine::Effects;
use ringstone_engine::effect::{RawRecord, Records};
use ringstone_engine::notes::What;
use ringstone_peer::replication::{Chunk, write_command};

use crate::script::library;
use crate::table::Table;

const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

/// The commands of a batch; all of them one unit if `as_one`, else as its notes say.
pub(super) fn chunk(table: &Table, effects: &Effects, as_one: bool) -> Chunk {
    let mut out = Translation {
        table,
        records: Placed { records: Records::new(effects.bytes()), at: 0, next: None },
        lapses: Vec::new(),
        unit: Unit::default(),
        chunk: Chunk::default(),
    };
    for note in effects.notes() {
        match &note.what {
            What::Lapse => out.lapses.push(note.at),
            What::Words { from, db, words } => {
                out.tell_records(*from, false);
                let has_records = out.tell_records(note.at, true);
                if has_records || *from == note.at {
                    out.unit.begin(*db, false);
                    write_command(&mut out.unit.bytes, words.as_args().iter_from(0));
                }
            }
            What::End if as_one => {}
            What::End => {
                out.tell_records(note.at, false);
                out.end_unit();
            }
        }
    }
    out.tell_records(usize::MAX, false);
    out.end_unit();
    out.chunk
}

struct Translation<'a> {
    table: &'a Table,
    records: Placed<'a>,
    /// Places of records that remove what has lapsed.
    lapses: Vec<usize>,
    unit: Unit,
    chunk: Chunk,
}

impl Translation<'_> {
    /// Tells of the records up to byte `to`, or only of the lapses among them; true when there was one that is none.
    fn tell_records(&mut self, to: usize, only_lapses: bool) -> bool {
        let mut others = false;
        while let Some((at, record)) = self.records.next_before(to) {
            let is_lapse = self.lapses.binary_search(&at).is_ok();
            others |= !is_lapse;
            if is_lapse || !only_lapses {
                self.unit.begin(record.db, is_lapse);
                write_record(self.table, &record, &mut self.unit.bytes);
            }
        }
        others
    }

    fn end_unit(&mut self) {
        self.lapses.clear();
        let unit = std::mem::take(&mut self.unit);
        let as_one = unit.commands.len() > 1 && unit.commands.iter().any(|(_, _, lapse)| !lapse);
        if let Some((_, db, _)) = unit.commands.first().filter(|_| as_one) {
            // Redis names the first command's database before MULTI, not within.
            self.chunk.push(*db, MULTI);
        }
        for (index, (from, db, _)) in unit.commands.iter().enumerate() {
            let to = unit.commands.get(index + 1).map_or(unit.bytes.len(), |(next, ..)| *next);
            self.chunk.push(*db, unit.bytes.get(*from..to).unwrap_or_default());
        }
        if as_one {
            self.chunk.push_anywhere(EXEC);
        }
    }
}

/// The commands of a unit.
#[derive(Default)]
struct Unit {
    bytes: Vec<u8>,
    /// Where each begins, its database, and whether it only removes what has lapsed.
    commands: Vec<(usize, u32, bool)>,
}

impl Unit {
    fn begin(&mut self, db: u32, is_lapse: bool) {
        self.commands.push((self.bytes.len(), db, is_lapse));
    }
}

/// Records with their places.
struct Placed<'a> {
    records: Records<'a>,
    /// Where the record behind `next` begins.
    at: usize,
    next: Option<(usize, RawRecord<'a>)>,
}

impl<'a> Placed<'a> {
    fn next_before(&mut self, to: usize) -> Option<(usize, RawRecord<'a>)> {
        if self.next.is_none() {
            let record = self.records.next_raw()?.ok()?;
            self.next = Some((self.at, record));
            self.at += record.bytes.len();
        }
        self.next.take_if(|(at, _)| *at < to)
    }
}

fn write_record(table: &Table, record: &RawRecord<'_>, out: &mut Vec<u8>) {
    let mut args = Vec::with_capacity(record.argc().min(1 << 10));
    record.each_arg(|arg| args.push(arg));
    let name: Vec<&[u8]> = match (table.by_opcode(record.opcode), record.opcode) {
        (Some(command), _) => {
            // The subcommand is among the arguments.
            vec![command.spec.name.split('|').next().unwrap_or_default().as_bytes()]
        }
        (None, library::OPCODE_LOAD) => vec![b"FUNCTION", b"LOAD", b"REPLACE"],
        (None, library::OPCODE_DELETE) => vec![b"FUNCTION", b"DELETE"],
        (None, library::OPCODE_FLUSH) => {
            args.clear();
            vec![b"FUNCTION", b"FLUSH"]
        }
        (None, _) => return,
    };
    let upper: Vec<Vec<u8>> = name.iter().map(|word| word.to_ascii_uppercase()).collect();
    let words: Vec<&[u8]> = upper.iter().map(Vec::as_slice).chain(args).collect();
    write_command(out, words.into_iter());
}

#[cfg(test)]
mod tests;
