//! Effects as commands that can be read, and typed again.

use ringstone_engine::effect::{RawRecord, Records};

use crate::script::replayed_name;
use crate::table::Table;

/// One effect.
pub(crate) struct Effect {
    /// Its database.
    pub(crate) db: u32,
    /// The command's words; of one that this release does not know the name is `opcode-<number>`.
    pub(crate) words: Vec<Vec<u8>>,
}

/// The effects of a frame; an error names the byte that is no record.
pub(crate) fn effects(records: &[u8]) -> Result<Vec<Effect>, String> {
    let mut reader = Records::new(records);
    let mut out = Vec::new();
    while let Some(record) = reader.next_raw() {
        let record = record.map_err(|error| error.to_string())?;
        out.push(effect(&record)?);
    }
    Ok(out)
}

fn effect(record: &RawRecord<'_>) -> Result<Effect, String> {
    let mut words = vec![name(record).into_bytes()];
    if record.each_arg(|arg| words.push(arg.to_vec())) {
        Ok(Effect { db: record.db, words })
    } else {
        Err("a record's arguments do not fit its length".to_owned())
    }
}

fn name(record: &RawRecord<'_>) -> String {
    let known = Table::get().by_opcode(record.opcode).map(|command| command.spec.name);
    match known.or_else(|| replayed_name(record.opcode)) {
        Some(name) => name.replace('|', " ").to_uppercase(),
        None => format!("opcode-{}", record.opcode),
    }
}

impl Effect {
    /// The command in one line, its arguments quoted as redis-cli does.
    pub(crate) fn line(&self) -> String {
        let mut out = String::new();
        for (at, word) in self.words.iter().enumerate() {
            if at == 0 {
                out.push_str(&String::from_utf8_lossy(word));
            } else {
                out.push(' ');
                crate::monitor::quote(word, &mut out);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringstone_engine::effect::Effects;

    #[test]
    fn an_effect_reads_as_the_command_that_it_is() {
        let set = Table::get().find(b"set").unwrap().spec.opcode;
        let mut records = Effects::default();
        records.push(3, set, &[b"k 1", b"\x00\"v"]);
        records.push(0, 60_000, &[b"x"]);
        let found = effects(records.bytes()).unwrap();
        assert_eq!((found[0].db, found[0].line().as_str()), (3, "SET \"k 1\" \"\\x00\\\"v\""));
        assert_eq!(found[1].line(), "opcode-60000 \"x\"");
        assert!(effects(&records.bytes()[..5]).is_err());
    }
}
