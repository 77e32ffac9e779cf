use ringstone_engine::ArgBuf;
use ringstone_engine::keyspace::OPCODE_DEL;

use super::*;

/// The record of PEXPIREAT.
const PEXPIREAT: u16 = 65;

fn fed() -> Effects {
    let mut effects = Effects::default();
    effects.set_fed(true);
    effects
}

fn lines(effects: &Effects, as_one: bool) -> Vec<String> {
    let mut out = Vec::new();
    chunk(Table::get(), effects, as_one).write(&mut None, &mut out);
    let text = String::from_utf8(out).unwrap();
    let mut lines: Vec<String> = Vec::new();
    for word in text.split("\r\n").filter(|word| !word.is_empty() && !word.starts_with('$')) {
        match (word.strip_prefix('*'), lines.last_mut()) {
            (Some(_), _) => lines.push(String::new()),
            (None, Some(line)) if line.is_empty() => line.push_str(word),
            (None, Some(line)) => *line += &format!(" {word}"),
            (None, None) => {}
        }
    }
    lines
}

#[test]
fn several_commands_of_a_unit_are_one_transaction_and_one_is_none() {
    let mut effects = fed();
    effects.push(0, OPCODE_DEL, &[b"a"]);
    effects.end_unit();
    effects.push(0, OPCODE_DEL, &[b"b"]);
    effects.push(1, PEXPIREAT, &[b"c", b"5"]);
    effects.end_unit();
    let all = ["SELECT 0", "DEL a", "MULTI", "DEL b", "SELECT 1", "PEXPIREAT c 5", "EXEC"];
    assert_eq!(lines(&effects, false), all);
    let all = ["SELECT 0", "MULTI", "DEL a", "DEL b", "SELECT 1", "PEXPIREAT c 5", "EXEC"];
    assert_eq!(lines(&effects, true), all);
}

#[test]
fn words_take_the_place_of_records_but_not_of_lapses() {
    let mut effects = fed();
    effects.note_lapse();
    effects.push(0, OPCODE_DEL, &[b"old"]);
    effects.push(0, OPCODE_DEL, &[b"a"]);
    effects.push(0, OPCODE_DEL, &[b"b"]);
    effects.note_words(0, 0, ArgBuf::from_parts(["del", "a", "b", "old"]));
    effects.end_unit();
    let from = effects.bytes().len();
    effects.note_lapse();
    effects.push(0, OPCODE_DEL, &[b"only"]);
    effects.note_words(from, 0, ArgBuf::from_parts(["del", "only"]));
    effects.end_unit();
    effects.note_words(effects.bytes().len(), 0, ArgBuf::from_parts(["PUBLISH", "c", "m"]));
    let all = ["SELECT 0", "MULTI", "DEL old", "del a b old", "EXEC", "DEL only", "PUBLISH c m"];
    assert_eq!(lines(&effects, false), all);
}

#[test]
fn what_has_lapsed_goes_one_by_one() {
    let mut effects = fed();
    for key in [b"a", b"b"] {
        effects.note_lapse();
        effects.push(0, OPCODE_DEL, &[key]);
    }
    effects.end_unit();
    assert_eq!(lines(&effects, false), ["SELECT 0", "DEL a", "DEL b"]);
}

#[test]
fn notes_go_with_the_records_they_are_about() {
    let mut batch = fed();
    batch.push(0, OPCODE_DEL, &[b"first"]);
    batch.end_unit();
    let mut script = batch.take();
    std::mem::swap(&mut batch, &mut script);
    script.push(0, OPCODE_DEL, &[b"a"]);
    script.note_words(0, 0, ArgBuf::from_parts(["del", "a"]));
    script.note_lapse();
    script.push(0, OPCODE_DEL, &[b"b"]);
    batch.append_seen(&script);
    batch.end_unit();
    let all = ["SELECT 0", "DEL first", "MULTI", "del a", "DEL b", "EXEC"];
    assert_eq!(lines(&batch, false), all);
}
