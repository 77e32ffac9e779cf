//! Every example of every row runs and answers what it says.

use crate::harness::{Shard, rows, show};

#[test]
fn examples_answer_what_they_say() {
    let mut wrong = Vec::new();
    for row in rows() {
        let mut shard = Shard::new();
        for (line, expected) in row.spec.examples {
            let reply = show(&shard.run(line));
            if reply != *expected {
                wrong.push(format!(
                    "{}: {line}\n  says  {expected}\n  gives {reply}",
                    row.spec.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} examples are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_row_has_an_example_of_its_own() {
    for row in rows().filter(|row| !row.spec.name.ends_with("|help")) {
        let words = row.spec.name.split('|');
        let shown = row.spec.examples.iter().any(|(line, _)| {
            let mut given = line.split(' ');
            words.clone().all(|word| given.next().is_some_and(|w| w.eq_ignore_ascii_case(word)))
        });
        assert!(shown, "{} has no example", row.spec.name);
    }
}
