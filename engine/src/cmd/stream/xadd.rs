//! XADD

use super::common::{reply_id, strict_id};
use super::trim::TrimOptions;
use crate::args::Args;
use crate::cmd::{
    Acl, Arg, ArgKind, Begin, Command, Find, Flags, Group as CommandGroup, KeyFlags, KeySpec,
    REFERENCES, Spec,
};
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};
use crate::types::stream::{PushError, StreamId, number};
use crate::types::{EncodingLimits, Object, Stream};

/// `XADD`
pub static XADD: Command = Command {
    spec: Spec {
        name: "xadd",
        arity: -5,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::STREAM,
        keys: &[KeySpec {
            flags: KeyFlags::RW.union(KeyFlags::UPDATE),
            begin: Begin::Index(1),
            find: Find::Range(0, 1, 0),
            notes: Some("UPDATE instead of INSERT because of the optional trimming feature"),
        }],
        opcode: 384,
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.",
        summary: "Appends an entry.",
        history: &[
            (
                "6.2.0",
                "Added the `NOMKSTREAM` option, `MINID` trimming strategy and the `LIMIT` option.",
            ),
            ("7.0.0", "Added support for the `<ms>-*` explicit ID form."),
        ],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::word("nomkstream", "NOMKSTREAM").optional().since("6.2.0"),
            REFERENCES.since("8.2.0"),
            Arg::block(
                "trim",
                &[
                    Arg::one_of(
                        "strategy",
                        &[
                            Arg::word("maxlen", "MAXLEN"),
                            Arg::word("minid", "MINID").since("6.2.0"),
                        ],
                    ),
                    Arg::one_of(
                        "operator",
                        &[Arg::word("equal", "="), Arg::word("approximately", "~")],
                    )
                    .optional(),
                    Arg::new("threshold", ArgKind::String),
                    Arg::new("count", ArgKind::Integer).token("LIMIT").optional().since("6.2.0"),
                ],
            )
            .optional(),
            Arg::one_of(
                "id_or_auto",
                &[Arg::word("auto_id", "*"), Arg::new("id", ArgKind::String)],
            ),
            Arg::block(
                "field_value",
                &[Arg::new("field", ArgKind::String), Arg::new("value", ArgKind::String)],
            )
            .multiple(),
        ],
        tips: &["nondeterministic_output"],
        examples: &[
            ("XADD log 1-1 temp 20", "\"1-1\""),
            ("XADD log MAXLEN 1 1-* temp 21", "\"1-2\""),
            ("XLEN log", "(integer) 1"),
            ("XADD none NOMKSTREAM * a b", "(nil)"),
        ],
        ..Spec::DEFAULT
    },
    run: xadd,
    subs: &[],
};

/// Which id the entry gets.
#[derive(Clone, Copy)]
enum Id {
    /// From the clock.
    Auto,
    /// This time, the next sequence.
    AutoSequence(u64),
    /// This one.
    Given(StreamId),
}

impl Id {
    fn parse(text: &[u8]) -> Result<Id, Error> {
        match text.strip_suffix(b"-*") {
            Some(ms) => Ok(Id::AutoSequence(
                number(ms).map_or_else(|| strict_id(text).map(|id| id.ms), Ok)?,
            )),
            None => strict_id(text).map(Id::Given),
        }
    }

    /// The id after `last`; none when there is none.
    fn resolve(self, last: StreamId, now_ms: u64) -> Option<StreamId> {
        match self {
            Id::Given(id) => Some(id),
            Id::AutoSequence(ms) if ms == last.ms => {
                Some(StreamId::new(ms, last.seq.checked_add(1)?))
            }
            Id::AutoSequence(ms) => Some(StreamId::new(ms, 0)),
            Id::Auto if now_ms > last.ms => Some(StreamId::new(now_ms, 0)),
            Id::Auto => last.next(),
        }
    }
}

const TOO_SMALL: Error =
    Error::text("ERR The ID specified in XADD is equal or smaller than the target stream top item");

fn xadd(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (mut trim, mut make, mut at) = (TrimOptions::default(), true, 2);
    let mut id = None;
    while at < args.len() {
        if args.at(at) == b"*" {
            id = Some(Id::Auto);
            break;
        }
        match trim.read(args, at)? {
            0 if args.is(at, "nomkstream") => {
                make = false;
                at += 1;
            }
            0 => {
                id = Some(Id::parse(args.at(at))?);
                break;
            }
            taken => at += taken,
        }
    }
    trim.check(false, ctx.db.mode())?;
    let words = args.len().saturating_sub(at + 1);
    let Some(id) = id.filter(|_| words >= 2 && words.is_multiple_of(2)) else {
        return Err(Error::Arity("xadd".into()));
    };
    if matches!(id, Id::Given(StreamId::MIN)) {
        return Err(Error::text("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let key = args.at(1);
    let now_ms = u64::try_from(ctx.db.now_ms()).unwrap_or(0);
    let limits = ctx.db.limits();
    let words: Vec<_> = args.iter_from(at + 1).collect();
    let fields: Vec<_> =
        words.chunks_exact(2).filter_map(|pair| Some((*pair.first()?, *pair.get(1)?))).collect();
    let append = |stream: &mut Stream| {
        let id = push(stream, id, &fields, now_ms, &limits)?;
        let trimmed = trim.apply(stream, &limits);
        Ok((id, trimmed, stream.len().to_string()))
    };
    let (id, trimmed, len) = match ctx.db.get_mut_as::<Stream>(key)? {
        Some(stream) => append(stream)?,
        None if !make => {
            ctx.reply.null();
            return Ok(());
        }
        None => {
            let mut stream = Stream::new();
            let appended = append(&mut stream)?;
            ctx.db.set(key, stream.into_value(), None);
            appended
        }
    };
    reply_id(ctx.reply, id);
    let id = id.to_string();
    let mut effect = vec![key];
    if trimmed.count > 0 && trimmed.is_head {
        // However it was asked for: the oldest went, this many are left.
        effect.extend([&b"MAXLEN"[..], len.as_bytes()]);
    }
    effect.push(id.as_bytes());
    effect.extend(words);
    ctx.db.effect(XADD.spec.opcode, &effect);
    ctx.db.notify(Classes::STREAM, "xadd", key);
    trimmed.removal.record(&mut ctx.db, key, "xtrim");
    if trimmed.count > 0 && trimmed.is_head {
        ctx.db.notify(Classes::STREAM, "xtrim", key);
    }
    Ok(())
}

fn push(
    stream: &mut Stream,
    id: Id,
    fields: &[(&[u8], &[u8])],
    now_ms: u64,
    limits: &EncodingLimits,
) -> Result<StreamId, Error> {
    if stream.last_id() == StreamId::MAX {
        return Err(Error::text(
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let id = id.resolve(stream.last_id(), now_ms).ok_or(TOO_SMALL)?;
    stream.push(id, fields, limits).map_err(|error| match error {
        PushError::IdTooSmall => TOO_SMALL,
        PushError::TooLarge => Error::text("ERR Elements are too large to be stored"),
    })?;
    Ok(id)
}
