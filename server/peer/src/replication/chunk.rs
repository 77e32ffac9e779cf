//! What one shard adds to the stream: commands as bytes, and where the database changes.

/// Appends a command as replicas are sent it.
pub fn write_command<'a>(out: &mut Vec<u8>, words: impl ExactSizeIterator<Item = &'a [u8]>) {
    write_head(out, b'*', words.len());
    for word in words {
        write_head(out, b'$', word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn write_head(out: &mut Vec<u8>, kind: u8, number: usize) {
    out.push(kind);
    out.extend_from_slice(number.to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// A piece of the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    bytes: Vec<u8>,
    /// From which byte on which database is meant.
    databases: Vec<(usize, u32)>,
}

impl Chunk {
    /// Adds commands that mean this database.
    pub fn push(&mut self, db: u32, command: &[u8]) {
        if self.databases.last().is_none_or(|(_, last)| *last != db) {
            self.databases.push((self.bytes.len(), db));
        }
        self.bytes.extend_from_slice(command);
    }

    /// Adds commands that mean no database.
    pub fn push_anywhere(&mut self, command: &[u8]) {
        self.bytes.extend_from_slice(command);
    }

    /// True when there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends it to a stream in which `selected` is the database so far, with a SELECT where that changes.
    pub fn write(&self, selected: &mut Option<u32>, out: &mut Vec<u8>) {
        let mut at = 0;
        for &(from, db) in &self.databases {
            out.extend_from_slice(self.bytes.get(at..from).unwrap_or_default());
            at = from;
            if *selected != Some(db) {
                *selected = Some(db);
                let words = [&b"SELECT"[..], &db.to_string().into_bytes()].map(<[u8]>::to_vec);
                write_command(out, words.iter().map(Vec::as_slice));
            }
        }
        out.extend_from_slice(self.bytes.get(at..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_database_only_where_it_changes() {
        let mut chunk = Chunk::default();
        chunk.push_anywhere(b"MULTI ");
        chunk.push(0, b"a ");
        chunk.push(0, b"b ");
        chunk.push(9, b"c ");
        chunk.push_anywhere(b"EXEC ");
        let (mut out, mut selected) = (Vec::new(), None);
        chunk.write(&mut selected, &mut out);
        let select = |db: u32| format!("*2\r\n$6\r\nSELECT\r\n$1\r\n{db}\r\n");
        assert_eq!(out, format!("MULTI {}a b {}c EXEC ", select(0), select(9)).into_bytes());
        assert_eq!(selected, Some(9));
        let mut chunk = Chunk::default();
        chunk.push(9, b"d");
        out.clear();
        chunk.write(&mut selected, &mut out);
        assert_eq!(out, b"d");
    }
}
