//! Random commands of the engine's table, most of them valid: the words follow from what a row says of its arguments.
//!
//! ```text
//!   row.args ──> walk of the tree ──> words::word(name, kind) ──> now and then a word too many, too few, or wrong
//! ```
//!
//! Invariant: no command is known by name here. What a good word is follows from the argument's name and kind; how many
//! follow a count (`numkeys`, `numfields`), and how many ids the streams before them, from the order of the arguments.

pub mod pair;
mod words;

use ringstone_engine::cmd::{self, Arg, ArgKind, Command, Flags, Group, Scope, Spec};

use crate::sim::Rng;
pub use words::GROUPS;

/// Where choices come from: a seed, or a fuzzer's bytes.
pub trait Choices {
    /// A number below `bound`; 0 for a bound of 0.
    fn below(&mut self, bound: usize) -> usize;
    /// True once in `times`.
    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) + 1 == times
    }
}

impl Choices for Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.index(bound)
    }
}

/// Choices that a fuzzer made, a byte or two each; zeros when there are none left.
#[derive(Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl Choices for Bytes<'_> {
    fn below(&mut self, bound: usize) -> usize {
        let mut number = 0;
        for _ in 0..if bound > 256 { 2 } else { 1 } {
            let Some((first, rest)) = self.0.split_first() else { break };
            (number, self.0) = (number << 8 | usize::from(*first), rest);
        }
        number % bound.max(1)
    }
}

/// A command and its words.
pub type Line = (&'static Command, Vec<Vec<u8>>);

/// Makes commands.
pub struct Generator {
    table: Vec<&'static Command>,
    /// Entries of streams so far, for ids that grow.
    entries: u64,
    /// What RESTORE is given: something that DUMP gave, best.
    pub payload: Vec<u8>,
}

impl Generator {
    /// Of those commands and subcommands that are wanted.
    pub fn new(wanted: impl Fn(&Spec) -> bool) -> Generator {
        let of = |command: &'static Command| match command.subs {
            [] => vec![command],
            subs => subs.to_vec(),
        };
        let table = cmd::all().flat_map(of).filter(|command| wanted(&command.spec)).collect();
        Generator { table, entries: 0, payload: b"no payload".to_vec() }
    }

    /// The next command.
    pub fn command(&mut self, choices: &mut dyn Choices) -> Line {
        let mut command = self.table[choices.below(self.table.len())];
        // FLUSHALL and its like leave nothing to work with.
        if is_sweeping(&command.spec) && !choices.one_in(10) {
            command = self.table[choices.below(self.table.len())];
        }
        let words = command.spec.name.split('|').map(|word| word.as_bytes().to_vec());
        let words: Vec<_> = words.collect();
        let named = words.len();
        let group = command.spec.group;
        let mut line = Draft { generator: self, choices, group, words, pending: None, many: None };
        line.args(command.spec.args);
        line.damage(named);
        let mut words = line.words;
        tame(&command.spec, &mut words);
        (command, words)
    }
}

fn is_sweeping(spec: &Spec) -> bool {
    spec.flags.contains(Flags::WRITE) && matches!(spec.scope, Scope::All(_))
}

/// Asked for billions of random elements with repetition, Redis, too, answers for hours.
fn tame(spec: &Spec, words: &mut [Vec<u8>]) {
    let endless = |word: &&mut Vec<u8>| word.len() > 5 && word.starts_with(b"-");
    if spec.name.contains("rand") {
        words.iter_mut().skip(2).filter(endless).for_each(|word| *word = b"-5".to_vec());
    }
}

/// A command in the making.
struct Draft<'a> {
    generator: &'a mut Generator,
    choices: &'a mut dyn Choices,
    group: Group,
    words: Vec<Vec<u8>>,
    /// How often the next argument that may be repeated is.
    pending: Option<usize>,
    /// Which of a great many repetitions this is.
    many: Option<usize>,
}

impl Draft<'_> {
    fn args(&mut self, args: &[Arg]) {
        args.iter().for_each(|arg| self.arg(arg));
    }

    fn arg(&mut self, arg: &Arg) {
        if arg.optional && self.choices.below(3) > 0 {
            return;
        }
        let times = if arg.multiple { self.times() } else { 1 };
        for n in 0..times {
            if n == 0 || arg.multiple_token {
                self.words.extend(arg.token.map(|token| token.as_bytes().to_vec()));
            }
            self.many = (times > 8).then_some(n);
            self.one(arg);
        }
        self.many = None;
        // As many ids as streams, as many weights as keys.
        if arg.multiple && arg.kind == ArgKind::Key {
            self.pending = Some(times);
        }
    }

    fn times(&mut self) -> usize {
        match self.pending.take() {
            Some(times) => times,
            // Enough to change the encoding of a collection.
            None if self.choices.one_in(40) => 140,
            None => 1 + self.choices.below(3),
        }
    }

    fn one(&mut self, arg: &Arg) {
        match arg.kind {
            ArgKind::PureToken => {}
            ArgKind::OneOf => {
                let chosen = self.choices.below(arg.args.len());
                arg.args.get(chosen).into_iter().for_each(|arg| self.arg(arg));
            }
            ArgKind::Block => self.args(arg.args),
            _ => {
                let word = self.word(arg);
                self.words.push(word);
            }
        }
    }

    /// Now and then, something is wrong with a command behind its name.
    fn damage(&mut self, named: usize) {
        if !self.choices.one_in(30) || self.words.len() == named {
            return;
        }
        let at = named + self.choices.below(self.words.len() - named);
        match self.choices.below(4) {
            0 => drop(self.words.remove(at)),
            1 => self.words.insert(at, self.words[at].clone()),
            _ => self.words[at] = words::odd(self.choices),
        }
    }
}

#[cfg(test)]
mod tests;
