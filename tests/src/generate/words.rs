//! Words that are good for an argument, by its name and kind.

use ringstone_engine::cmd::{Arg, ArgKind, Group};

use super::{Choices, Draft};

/// Keys of each group.
const KEYS: usize = 4;
/// Groups that have keys.
pub const GROUPS: [Group; 9] = [
    Group::String,
    Group::List,
    Group::Set,
    Group::SortedSet,
    Group::Hash,
    Group::Stream,
    Group::Bitmap,
    Group::HyperLogLog,
    Group::Geo,
];
/// Words that are wrong nearly everywhere. None asks for hundreds of megabytes.
const ODD: [&str; 24] = [
    "",
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "1.5",
    "1e3",
    " 1",
    "01",
    "+1",
    "inf",
    "-inf",
    "nan",
    "(1",
    "[a",
    "*",
    "$",
    ">",
    "NX",
    "LIMIT",
    "abc",
    "\u{ff}",
];

/// A word that is wrong nearly everywhere.
pub(super) fn odd(choices: &mut dyn Choices) -> Vec<u8> {
    pick(choices, &ODD).into()
}

fn pick<'a>(choices: &mut dyn Choices, of: &[&'a str]) -> &'a str {
    of[choices.below(of.len())]
}

impl Draft<'_> {
    /// A good word for an argument.
    pub(super) fn word(&mut self, arg: &Arg) -> Vec<u8> {
        match arg.kind {
            ArgKind::Key => self.key(),
            ArgKind::Pattern => self.pick(&["*", "*1", "m*", "[a-m]?*", "m[^1-3]", "none"]),
            ArgKind::UnixTime if arg.name.contains("milli") => {
                self.pick(&["4000000000000", "4000000000900", "4000000100000", "1"])
            }
            ArgKind::UnixTime => self.pick(&["4000000000", "4000000001", "4000000100", "1"]),
            ArgKind::Integer => self.integer(arg),
            ArgKind::Double => self.double(arg),
            _ => self.string(arg),
        }
    }

    fn pick(&mut self, of: &[&str]) -> Vec<u8> {
        pick(self.choices, of).into()
    }

    /// A key of the command's group, at times one of another group.
    fn key(&mut self) -> Vec<u8> {
        let own = GROUPS.contains(&self.group) && !self.choices.one_in(25);
        let group = if own { self.group } else { GROUPS[self.choices.below(GROUPS.len())] };
        let number = self.many.unwrap_or_else(|| self.choices.below(KEYS));
        format!("{}:{number}", group.name()).into()
    }

    fn integer(&mut self, arg: &Arg) -> Vec<u8> {
        match (arg.token, arg.name) {
            (Some("BLOCK"), _) => self.pick(&["1"]),
            (_, "numkeys" | "numfields") => {
                let times = 1 + self.choices.below(3);
                self.pending = Some(times);
                times.to_string().into()
            }
            (_, "seconds" | "milliseconds" | "ttl") => {
                self.pick(&["10000000", "20050000", "90000000", "0", "-1"])
            }
            (_, "cursor") => self.pick(&["0"]),
            (_, "bit") => self.pick(&["0", "1"]),
            (_, "value") if self.group == Group::Bitmap => self.pick(&["0", "1", "1", "-7", "300"]),
            (_, "db" | "destination-db" | "index1" | "index2") => self.pick(&["0", "1", "0", "2"]),
            (_, "offset") if self.group != Group::SortedSet => {
                self.pick(&["0", "1", "7", "8", "15", "#1", "31", "100", "1000", "4000"])
            }
            (_, "increment" | "decrement") => self.pick(&["1", "5", "-7", "9223372036854775807"]),
            _ => self.pick(&["0", "1", "-1", "2", "3", "-2", "5", "10", "-3", "100"]),
        }
    }

    fn double(&mut self, arg: &Arg) -> Vec<u8> {
        match arg.name {
            "timeout" => self.pick(&["0.01"]),
            "longitude" => self.pick(&["13.361389", "15.087269", "14.5", "13", "-179.9"]),
            "latitude" => self.pick(&["38.115556", "37.502669", "37.9", "39", "-84"]),
            "radius" | "width" | "height" => self.pick(&["10", "200", "1000", "40000"]),
            "min" | "max" => self.pick(&["-inf", "+inf", "1", "(2", "7", "(-3", "3.5"]),
            "increment" => self.pick(&["1", "1.5", "-2.25", "3e3", "0.1"]),
            _ => match self.many {
                Some(n) => (n % 7).to_string().into(),
                None => self.pick(&[
                    "1", "2", "3", "2", "-5", "1.5", "7", "inf", "-inf", "-0", "1e10", "0.1",
                ]),
            },
        }
    }

    fn string(&mut self, arg: &Arg) -> Vec<u8> {
        match arg.name {
            "id" | "last-id" | "threshold" | "max_deleted_entry_id" => self.id(),
            "start" | "end" | "stop" | "min" | "max" if self.group == Group::Stream => {
                if self.choices.one_in(2) { self.pick(&["-", "+"]) } else { self.id() }
            }
            "start" | "stop" => {
                self.pick(&["0", "-1", "1", "3", "-inf", "+inf", "(2", "-", "+", "[m1", "(m5"])
            }
            "min" | "max" => self.pick(&["-", "+", "[m1", "(m5", "[m3"]),
            "group" | "groupname" => self.pick(&["g1", "g1", "g2"]),
            "consumer" | "consumername" => self.pick(&["c1", "c2", "c3"]),
            "min-idle-time" => self.pick(&["0"]),
            "encoding" => self.pick(&["u8", "i8", "u4", "i16", "u32", "i64", "u63", "i5", "u1"]),
            "operation" => self.pick(&["AND", "OR", "XOR", "NOT"]),
            "subcommand" => self.pick(&["ENCODING", "DECODE", "TODENSE", "GETREG"]),
            "type" => self.pick(&["string", "list", "set", "zset", "hash", "stream"]),
            "serialized-value" => self.generator.payload.clone(),
            "member" | "element" | "field" | "member1" | "member2" | "pivot" => self.member(),
            _ => self.value(),
        }
    }

    /// An id of a stream's entry: one that is new, or any that may be there.
    fn id(&mut self) -> Vec<u8> {
        let entries = &mut self.generator.entries;
        if self.choices.one_in(2) {
            *entries += 1;
            return format!("{entries}-1").into();
        }
        let recent = entries.saturating_sub(self.choices.below(12) as u64);
        match self.choices.below(8) {
            0 => self.pick(&["0", "$", ">", "0-0", "5-*", "7"]),
            _ => format!("{recent}-1").into(),
        }
    }

    fn member(&mut self) -> Vec<u8> {
        match self.many {
            // Numbers only, or words: sets keep them differently.
            Some(n) if self.words.len().is_multiple_of(2) => n.to_string().into(),
            Some(n) => format!("m{n}").into(),
            None if self.choices.one_in(3) => self.choices.below(12).to_string().into(),
            None => format!("m{}", self.choices.below(12)).into(),
        }
    }

    fn value(&mut self) -> Vec<u8> {
        match self.choices.below(12) {
            0..5 => self.choices.below(1000).to_string().into(),
            5 => vec![b'x'; 70],
            6 => b"ab".repeat(300),
            7 => vec![0, 0xff, b'\r', b'\n'],
            8 => self.pick(&ODD),
            _ => self.pick(&["hello", "world", "Hello World", "ohmytext", "mynewtext"]),
        }
    }
}
