//! Unions, intersections and differences of sorted sets and sets, for the commands that reply with them or store them.
//!
//! Only one source is borrowed at a time: a union adds them up one after another, the others start from one source's
//! elements and drop what the next ones rule out.

use std::cmp::Ordering;

use hashbrown::HashMap;

use super::bounds::integer;
use super::{emit, zrange};
use crate::args::Args;
use crate::effect::Opcode;
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::num::parse_f64;
use crate::types::{Object, Set, ValueRef, ZSet};

/// Which elements the result has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Union,
    Inter,
    Diff,
}

/// How the scores of one member become one.
#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

/// What becomes of the result.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Reply,
    Store,
    Count,
}

/// A key with what its scores are multiplied by.
struct Source<'a> {
    key: &'a [u8],
    weight: f64,
    len: usize,
}

/// A command's arguments, read.
struct Plan<'a> {
    operation: Operation,
    sources: Vec<Source<'a>>,
    aggregate: Aggregate,
    with_scores: bool,
    limit: usize,
}

type Elements = Vec<(Vec<u8>, f64)>;
type Scores = HashMap<Vec<u8>, f64, foldhash::fast::RandomState>;

/// Replies with the result.
pub(super) fn reply(
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    name: &str,
    operation: Operation,
) -> CmdResult {
    let plan = Plan::read(ctx, args, 1, name, operation, Target::Reply)?;
    let mut elements = plan.run(ctx)?;
    elements.sort_unstable_by(|a, b| {
        a.1.partial_cmp(&b.1).unwrap_or(Ordering::Equal).then_with(|| a.0.cmp(&b.0))
    });
    emit::begin(ctx.reply, elements.len(), plan.with_scores);
    for (member, score) in &elements {
        emit::element(ctx.reply, member, plan.with_scores.then_some(*score));
    }
    Ok(())
}

/// Stores the result at argument 1 and replies with its length.
pub(super) fn store(
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    name: &'static str,
    opcode: Opcode,
    operation: Operation,
) -> CmdResult {
    let plan = Plan::read(ctx, args, 2, name, operation, Target::Store)?;
    let limits = ctx.db.limits();
    let mut result = ZSet::new();
    for (member, score) in plan.run(ctx)? {
        result.insert(&member, score, &limits);
    }
    let len = result.len();
    zrange::store(ctx, args, opcode, name, result);
    ctx.reply.len(len);
    Ok(())
}

/// Replies with the number of members that all sources have.
pub(super) fn count(ctx: &mut Ctx<'_>, args: Args<'_>, name: &str) -> CmdResult {
    let plan = Plan::read(ctx, args, 1, name, Operation::Inter, Target::Count)?;
    let count = plan.run(ctx)?.len();
    ctx.reply.len(if plan.limit == 0 { count } else { count.min(plan.limit) });
    Ok(())
}

impl<'a> Plan<'a> {
    /// Reads the number of keys at argument `at`, the keys and the options. Types are checked before options.
    fn read(
        ctx: &mut Ctx<'_>,
        args: Args<'a>,
        at: usize,
        name: &str,
        operation: Operation,
        target: Target,
    ) -> Result<Plan<'a>, Error> {
        let count = integer(args.at(at))?;
        if count < 1 {
            return Err(Error::owned(format!(
                "ERR at least 1 input key is needed for '{name}' command"
            )));
        }
        let first = at + 1;
        let count = usize::try_from(count)
            .ok()
            .filter(|count| *count <= args.len().saturating_sub(first))
            .ok_or(Error::Syntax)?;
        let mut sources = Vec::with_capacity(count);
        for key in args.iter_from(first).take(count) {
            let len = match ctx.db.get(key) {
                Some(entry) => Elementwise::of(entry.value())?.len(),
                None => 0,
            };
            sources.push(Source { key, weight: 1.0, len });
        }
        let mut plan =
            Plan { operation, sources, aggregate: Aggregate::Sum, with_scores: false, limit: 0 };
        plan.read_options(args, first + count, target)?;
        if operation != Operation::Diff {
            // Smallest first: less work, and the order in which Redis adds up.
            plan.sources.sort_by_key(|source| source.len);
        }
        Ok(plan)
    }

    fn read_options(&mut self, args: Args<'_>, mut at: usize, target: Target) -> CmdResult {
        let weighted = self.operation != Operation::Diff && target != Target::Count;
        while at < args.len() {
            let behind = args.len() - at - 1;
            if weighted && behind >= self.sources.len() && args.is(at, "weights") {
                for source in &mut self.sources {
                    at += 1;
                    source.weight = parse_f64(args.at(at))
                        .ok_or(Error::text("ERR weight value is not a float"))?;
                }
            } else if weighted && behind >= 1 && args.is(at, "aggregate") {
                at += 1;
                self.aggregate = match () {
                    () if args.is(at, "sum") => Aggregate::Sum,
                    () if args.is(at, "min") => Aggregate::Min,
                    () if args.is(at, "max") => Aggregate::Max,
                    () => return Err(Error::Syntax),
                };
            } else if target == Target::Reply && args.is(at, "withscores") {
                self.with_scores = true;
            } else if target == Target::Count && behind >= 1 && args.is(at, "limit") {
                at += 1;
                self.limit = integer(args.at(at))
                    .ok()
                    .and_then(|limit| usize::try_from(limit).ok())
                    .ok_or(Error::text("ERR LIMIT can't be negative"))?;
            } else {
                return Err(Error::Syntax);
            }
            at += 1;
        }
        Ok(())
    }

    fn run(&self, ctx: &mut Ctx<'_>) -> Result<Elements, Error> {
        match self.operation {
            Operation::Union => self.union(ctx),
            Operation::Inter => self.narrow(ctx, true),
            Operation::Diff => self.narrow(ctx, false),
        }
    }

    fn union(&self, ctx: &mut Ctx<'_>) -> Result<Elements, Error> {
        let mut scores = Scores::default();
        for source in &self.sources {
            let Some(entry) = ctx.db.peek(source.key) else { continue };
            Elementwise::of(entry.value())?.for_each(&mut |member, score| {
                let score = weighted(source.weight, score);
                match scores.get_mut(member) {
                    Some(sum) => *sum = self.aggregate.join(*sum, score),
                    None => {
                        scores.insert(member.to_vec(), score);
                    }
                }
            });
        }
        Ok(scores.into_iter().collect())
    }

    /// The first source's elements that all others have (`keep`), or that none has.
    fn narrow(&self, ctx: &mut Ctx<'_>, keep: bool) -> Result<Elements, Error> {
        let Some((first, others)) = self.sources.split_first() else { return Ok(Vec::new()) };
        let mut elements = Vec::new();
        if let Some(entry) = ctx.db.peek(first.key) {
            Elementwise::of(entry.value())?.for_each(&mut |member, score| {
                elements.push((member.to_vec(), weighted(first.weight, score)));
            });
        }
        for source in others {
            if elements.is_empty() {
                break;
            }
            match ctx.db.peek(source.key) {
                None if keep => elements.clear(),
                None => {}
                Some(entry) => {
                    let other = Elementwise::of(entry.value())?;
                    elements.retain_mut(|(member, score)| match other.score(member) {
                        Some(found) if keep => {
                            *score = self.aggregate.join(*score, source.weight * found);
                            true
                        }
                        Some(_) => false,
                        None => !keep,
                    });
                }
            }
        }
        Ok(elements)
    }
}

impl Aggregate {
    fn join(self, a: f64, b: f64) -> f64 {
        match self {
            // Infinities of both signs add up to nothing.
            Aggregate::Sum => Some(a + b).filter(|sum| !sum.is_nan()).unwrap_or(0.0),
            Aggregate::Min => {
                if b < a {
                    b
                } else {
                    a
                }
            }
            Aggregate::Max => {
                if b > a {
                    b
                } else {
                    a
                }
            }
        }
    }
}

fn weighted(weight: f64, score: f64) -> f64 {
    Some(weight * score).filter(|product| !product.is_nan()).unwrap_or(0.0)
}

/// A sorted set, or a set whose members all have the score 1.
enum Elementwise<'a> {
    Sorted(&'a ZSet),
    Plain(&'a Set),
}

impl<'a> Elementwise<'a> {
    fn of(value: ValueRef<'a>) -> Result<Self, Error> {
        let sorted = ZSet::from_ref(value).map(Elementwise::Sorted);
        sorted.or_else(|| Set::from_ref(value).map(Elementwise::Plain)).ok_or(Error::WrongType)
    }

    fn len(&self) -> usize {
        match self {
            Elementwise::Sorted(set) => set.len(),
            Elementwise::Plain(set) => set.len(),
        }
    }

    fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Elementwise::Sorted(set) => set.score(member),
            Elementwise::Plain(set) => set.contains(member).then_some(1.0),
        }
    }

    fn for_each(&self, each: &mut dyn FnMut(&[u8], f64)) {
        let mut scratch = itoa::Buffer::new();
        match self {
            Elementwise::Sorted(set) => {
                set.iter().for_each(|(member, score)| each(member.bytes(&mut scratch), score));
            }
            Elementwise::Plain(set) => {
                set.iter().for_each(|member| each(member.bytes(&mut scratch), 1.0));
            }
        }
    }
}
