//! A block of entries: one listpack in Redis's layout, which stores field names once while they stay the same.
//!
//! ```text
//! master  live deleted field_count (field)* 0
//! entry   flags ms_offset seq_offset [ field_count (field value)* | (value)* ] element_count
//! ```
//!
//! Offsets are relative to the block's key, the id of its first entry. `element_count` counts the elements of the entry before
//! it. An entry with [`SAME_FIELDS`] has the master's fields and stores values only.
//!
//! Invariant: ids ascend; `live` and `deleted` count the entries; every element count is right. [`Block::from_listpack`] checks it.

use super::StreamId;
use crate::types::listpack::{Item, Iter, Listpack, Pos};

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

/// A block of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block(Listpack);

/// An entry, read.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// Its id.
    pub id: StreamId,
    deleted: bool,
    /// Where its flags lie.
    at: Pos,
    /// From the first field or value on.
    content: Iter<'a>,
    /// From the first field of the master on, where those are the entry's.
    shared: Option<Iter<'a>>,
    fields_len: usize,
}

impl<'a> Entry<'a> {
    /// Number of fields.
    pub fn len(&self) -> usize {
        self.fields_len
    }

    /// Never true: an entry has a field at least.
    pub fn is_empty(&self) -> bool {
        self.fields_len == 0
    }

    /// Fields with their values.
    pub fn fields(&self) -> impl Iterator<Item = (Item<'a>, Item<'a>)> + use<'a> {
        let (mut content, mut shared) = (self.content.clone(), self.shared.clone());
        (0..self.fields_len).map_while(move |_| {
            let field = match &mut shared {
                Some(master) => master.next()?,
                None => content.next()?,
            };
            Some((field, content.next()?))
        })
    }
}

fn int(item: Option<Item<'_>>) -> Option<i64> {
    match item? {
        Item::Int(n) => Some(n),
        Item::Str(_) => None,
    }
}

fn length(item: Option<Item<'_>>) -> Option<usize> {
    usize::try_from(int(item)?).ok()
}

impl Block {
    /// A block whose first entry, to be pushed next, has these fields.
    pub(super) fn new(fields: &[(&[u8], &[u8])]) -> Self {
        let mut list = Listpack::new();
        for number in [0, 0, as_int(fields.len())] {
            list.push_back_item(Item::Int(number));
        }
        fields.iter().for_each(|(field, _)| list.push_back(field));
        list.push_back_item(Item::Int(0));
        Block(list)
    }

    /// Takes the listpack of an RDB file, checking all of it.
    pub(super) fn from_listpack(list: Listpack, master: StreamId) -> Option<Self> {
        let block = Block(list);
        let (mut live, mut deleted, mut last) = (0, 0, None);
        let mut reader = block.reader(master)?;
        while !reader.is_at_end() {
            let entry = reader.read()?;
            if last.is_some_and(|last| last >= entry.id) || entry.id < master {
                return None;
            }
            last = Some(entry.id);
            if entry.deleted { deleted += 1 } else { live += 1 }
        }
        (block.live() == live && block.deleted() == deleted && live + deleted > 0).then_some(block)
    }

    pub(super) fn listpack(&self) -> &Listpack {
        &self.0
    }

    /// Entries that are not deleted.
    pub(super) fn live(&self) -> u64 {
        self.counter(0)
    }

    /// Entries that are deleted.
    pub(super) fn deleted(&self) -> u64 {
        self.counter(1)
    }

    fn counter(&self, at: i64) -> u64 {
        let item = self.0.seek(at).map(|pos| self.0.get(pos));
        int(item).and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
    }

    /// Adds `live` and `deleted` to the counters.
    fn count(&mut self, live: i64, deleted: i64) {
        for (at, by) in [(0, live), (1, deleted)] {
            if by != 0
                && let Some(pos) = self.0.seek(at)
            {
                let old = int(Some(self.0.get(pos))).unwrap_or(0);
                self.0.replace_item(pos, Item::Int(old + by));
            }
        }
    }

    /// Appends an entry whose id is the largest.
    pub(super) fn push(&mut self, master: StreamId, id: StreamId, fields: &[(&[u8], &[u8])]) {
        self.count(1, 0);
        let same = self.has_fields(fields);
        let list = &mut self.0;
        let offset = |a: u64, b: u64| Item::Int(a.wrapping_sub(b).cast_signed());
        list.push_back_item(Item::Int(if same { SAME_FIELDS } else { 0 }));
        list.push_back_item(offset(id.ms, master.ms));
        list.push_back_item(offset(id.seq, master.seq));
        if !same {
            list.push_back_item(Item::Int(as_int(fields.len())));
        }
        for (field, value) in fields {
            if !same {
                list.push_back(field);
            }
            list.push_back(value);
        }
        let elements = if same { 3 + fields.len() } else { 4 + 2 * fields.len() };
        list.push_back_item(Item::Int(as_int(elements)));
    }

    fn has_fields(&self, fields: &[(&[u8], &[u8])]) -> bool {
        let mut items = self.0.iter_from(self.0.seek(2));
        let mut scratch = itoa::Buffer::new();
        length(items.next()) == Some(fields.len())
            && fields
                .iter()
                .all(|(field, _)| items.next().is_some_and(|i| i.bytes(&mut scratch) == *field))
    }

    /// All entries in order, deleted ones left out.
    pub(super) fn entries(&self, master: StreamId) -> impl Iterator<Item = Entry<'_>> {
        self.all_entries(master).filter(|entry| !entry.deleted)
    }

    fn all_entries(&self, master: StreamId) -> impl Iterator<Item = Entry<'_>> {
        let mut reader = self.reader(master);
        std::iter::from_fn(move || reader.as_mut()?.read())
    }

    /// The largest id, a deleted entry's too.
    pub(super) fn last_id(&self, master: StreamId) -> StreamId {
        // The last element says how far before it the last entry begins.
        let id = || {
            let back = int(self.0.iter().next_back())?;
            let mut items = self.0.iter_from(self.0.seek(-1 - back));
            items.next()?;
            Some(StreamId::offset(master, int(items.next())?, int(items.next())?))
        };
        id().unwrap_or(master)
    }

    /// Marks entries as deleted: the live ones with `doomed`, from the first on until `stop` holds. How many that were.
    pub(super) fn delete(
        &mut self,
        master: StreamId,
        mut doomed: impl FnMut(StreamId) -> bool,
        mut stop: impl FnMut(StreamId, u64) -> bool,
    ) -> u64 {
        let mut marks = Vec::new();
        for entry in self.all_entries(master) {
            if stop(entry.id, marks.len() as u64) {
                break;
            }
            if !entry.deleted && doomed(entry.id) {
                marks.push((entry.at, entry.shared.is_some()));
            }
        }
        for (at, same) in &marks {
            // Flags are integers of one byte before and after, so that nothing moves.
            let flags = DELETED | if *same { SAME_FIELDS } else { 0 };
            self.0.replace_item(*at, Item::Int(flags));
        }
        let count = i64::try_from(marks.len()).unwrap_or(i64::MAX);
        self.count(-count, count);
        marks.len() as u64
    }

    fn reader(&self, master: StreamId) -> Option<Reader<'_>> {
        let list = &self.0;
        int(list.iter().next()).filter(|live| *live >= 0)?;
        let fields_pos = list.seek(2)?;
        let fields_len = length(Some(list.get(fields_pos)))?;
        let mut pos = list.next(fields_pos);
        let shared = list.iter_from(pos);
        for _ in 0..fields_len {
            pos = list.next(pos?);
        }
        int(Some(list.get(pos?))).filter(|end| *end == 0)?;
        Some(Reader { list, master, shared, shared_len: fields_len, at: list.next(pos?) })
    }
}

fn as_int(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

/// Reads entries one after another.
struct Reader<'a> {
    list: &'a Listpack,
    master: StreamId,
    shared: Iter<'a>,
    shared_len: usize,
    at: Option<Pos>,
}

impl<'a> Reader<'a> {
    fn is_at_end(&self) -> bool {
        self.at.is_none()
    }

    /// The next entry; none at the end or where the layout is broken.
    fn read(&mut self) -> Option<Entry<'a>> {
        let (list, at) = (self.list, self.at?);
        let mut pos = Some(at);
        let mut take = || {
            let here = pos?;
            pos = list.next(here);
            int(Some(list.get(here)))
        };
        let flags = take().filter(|flags| (0..=DELETED | SAME_FIELDS).contains(flags))?;
        let id = StreamId::offset(self.master, take()?, take()?);
        let same = flags & SAME_FIELDS != 0;
        let fields_len = if same { self.shared_len } else { usize::try_from(take()?).ok()? };
        let content = list.iter_from(pos);
        let elements = if same { fields_len } else { fields_len.checked_mul(2)? };
        for _ in 0..elements {
            pos = list.next(pos?);
        }
        let end = pos?;
        let expected = elements.checked_add(if same { 3 } else { 4 })?;
        if length(Some(list.get(end))) != Some(expected) {
            return None;
        }
        self.at = list.next(end);
        let shared = same.then(|| self.shared.clone());
        Some(Entry { id, deleted: flags & DELETED != 0, at, content, shared, fields_len })
    }
}
