//! BITFIELD and BITFIELD_RO: integers of any width at any bit.

use super::{bit_at, grow, parse_offset, read, set_bit};
use crate::args::Args;
use crate::cmd::*;
use crate::effect::Opcode;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};
use crate::num::parse_i64;
use crate::reply::Reply;

const OPCODE: Opcode = 513;

/// BITFIELD: reads and changes integers of any width within the string under a key.
pub static BITFIELD: Command = Command {
    spec: Spec {
        name: "bitfield",
        arity: -2,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::BITMAP,
        keys: &[KeySpec {
            notes: Some("This command allows both access and modification of the key"),
            ..KeySpec::one(
                KeyFlags::RW
                    .union(KeyFlags::ACCESS)
                    .union(KeyFlags::UPDATE)
                    .union(KeyFlags::VARIABLE_FLAGS),
            )
        }],
        opcode: OPCODE,
        group: Group::Bitmap,
        since: "3.2.0",
        complexity: "O(1) for each subcommand specified",
        summary: "Reads and changes integers of any width within the string under a key.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::one_of(
                "operation",
                &[
                    Arg::block(
                        "encoding_offset",
                        &[
                            Arg::new("encoding", ArgKind::String),
                            Arg::new("offset", ArgKind::Integer),
                        ],
                    )
                    .token("GET"),
                    Arg::block(
                        "write",
                        &[
                            Arg::one_of(
                                "wrap_sat_fail",
                                &[
                                    Arg::word("wrap", "WRAP"),
                                    Arg::word("sat", "SAT"),
                                    Arg::word("fail", "FAIL"),
                                ],
                            )
                            .token("OVERFLOW")
                            .optional(),
                            Arg::one_of(
                                "write_operation",
                                &[
                                    Arg::block(
                                        "encoding_offset_value",
                                        &[
                                            Arg::new("encoding", ArgKind::String),
                                            Arg::new("offset", ArgKind::Integer),
                                            Arg::new("value", ArgKind::Integer),
                                        ],
                                    )
                                    .token("SET"),
                                    Arg::block(
                                        "encoding_offset_increment",
                                        &[
                                            Arg::new("encoding", ArgKind::String),
                                            Arg::new("offset", ArgKind::Integer),
                                            Arg::new("increment", ArgKind::Integer),
                                        ],
                                    )
                                    .token("INCRBY"),
                                ],
                            ),
                        ],
                    ),
                ],
            )
            .optional()
            .multiple(),
        ],
        examples: &[
            ("BITFIELD k INCRBY i5 100 1 GET u4 0", "1) (integer) 1 2) (integer) 0"),
            ("BITFIELD k SET u8 #1 255 GET u8 #1", "1) (integer) 0 2) (integer) 255"),
            ("BITFIELD k OVERFLOW SAT INCRBY u8 #1 10", "1) (integer) 255"),
            ("BITFIELD k OVERFLOW FAIL INCRBY u8 #1 10", "1) (nil)"),
            ("BITFIELD k OVERFLOW WRAP INCRBY u8 #1 10", "1) (integer) 9"),
            (
                "BITFIELD k GET u64 0",
                "(error) ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
            ),
        ],
        ..Spec::DEFAULT
    },
    run: bitfield,
    subs: &[],
};

/// BITFIELD_RO: reads integers of any width within the string under a key.
pub static BITFIELD_RO: Command = Command {
    spec: Spec {
        name: "bitfield_ro",
        arity: -2,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::BITMAP,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Bitmap,
        since: "6.0.0",
        complexity: "O(1) for each subcommand specified",
        summary: "Reads integers of any width within the string under a key.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::block(
                "encoding_offset",
                &[Arg::new("encoding", ArgKind::String), Arg::new("offset", ArgKind::Integer)],
            )
            .token("GET")
            .optional()
            .multiple_token(),
        ],
        examples: &[
            ("SET k A", "OK"),
            ("BITFIELD_RO k GET u8 0 GET i3 0", "1) (integer) 65 2) (integer) 2"),
            (
                "BITFIELD_RO k SET u8 0 1",
                "(error) ERR BITFIELD_RO only supports the GET subcommand",
            ),
        ],
        ..Spec::DEFAULT
    },
    run: bitfield_ro,
    subs: &[],
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Get,
    Set(i64),
    IncrBy(i64),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Overflow {
    #[default]
    Wrap,
    Saturate,
    Fail,
}

/// One operation on a field.
#[derive(Clone, Copy, Debug)]
struct Operation {
    action: Action,
    overflow: Overflow,
    signed: bool,
    /// Width, 1 to 64.
    bits: usize,
    /// First bit.
    at: usize,
}

fn bitfield(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let key = args.at(1);
    let operations = parse(ctx, args)?;
    let Some(len) = written_len(&operations) else {
        return only_read(ctx, key, &operations);
    };
    let grown = grow(&mut ctx.db, key, len)?;
    let Some(entry) = ctx.db.get_mut(key) else { return Err(Error::NoSuchKey) };
    let bytes = entry.bytes_mut(0);
    let (mut changed, mut announced) = (grown, false);
    ctx.reply.array(operations.len());
    for operation in &operations {
        if let Some(other) = operation.run(bytes, ctx.reply) {
            changed |= other;
            announced |= changed;
        }
    }
    if changed {
        ctx.db.effect_verbatim(OPCODE, args);
    }
    if announced {
        ctx.db.notify(Classes::STRING, "setbit", key);
    }
    Ok(())
}

fn bitfield_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let operations = parse(ctx, args)?;
    if written_len(&operations).is_some() {
        return Err(Error::text("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    only_read(ctx, args.at(1), &operations)
}

fn only_read(ctx: &mut Ctx<'_>, key: &[u8], operations: &[Operation]) -> CmdResult {
    let fields = |bytes: &[u8]| operations.iter().map(|o| o.value(o.raw(bytes))).collect();
    let values: Vec<i64> = match read(&mut ctx.db, key, fields)? {
        Some(values) => values,
        None => vec![0; operations.len()],
    };
    ctx.reply.array(values.len());
    values.iter().for_each(|value| ctx.reply.int(*value));
    Ok(())
}

/// Bytes that the string must have for all writes; nothing when all operations read.
fn written_len(operations: &[Operation]) -> Option<usize> {
    let writes = operations.iter().filter(|operation| operation.action != Action::Get);
    writes.map(|operation| (operation.at + operation.bits - 1) / 8 + 1).max()
}

fn parse(ctx: &Ctx<'_>, args: Args<'_>) -> Result<Vec<Operation>, Error> {
    let (mut operations, mut overflow) = (Vec::new(), Overflow::default());
    let mut at = 2;
    while at < args.len() {
        let left = args.len() - at - 1;
        if args.is(at, "OVERFLOW") && left >= 1 {
            overflow = parse_overflow(args, at + 1)?;
            at += 2;
            continue;
        }
        let get = args.is(at, "GET") && left >= 2;
        let set = args.is(at, "SET") && left >= 3;
        let incrby = args.is(at, "INCRBY") && left >= 3;
        if !(get || set || incrby) {
            return Err(Error::Syntax);
        }
        let (signed, bits) = parse_type(args.at(at + 1))?;
        let offset = parse_offset(&ctx.db, args.at(at + 2), Some(bits))?;
        let action = if get {
            Action::Get
        } else {
            let number = parse_i64(args.at(at + 3)).ok_or(Error::NotInteger)?;
            if set { Action::Set(number) } else { Action::IncrBy(number) }
        };
        operations.push(Operation { action, overflow, signed, bits, at: offset });
        at += if get { 3 } else { 4 };
    }
    Ok(operations)
}

fn parse_overflow(args: Args<'_>, at: usize) -> Result<Overflow, Error> {
    if args.is(at, "WRAP") {
        Ok(Overflow::Wrap)
    } else if args.is(at, "SAT") {
        Ok(Overflow::Saturate)
    } else if args.is(at, "FAIL") {
        Ok(Overflow::Fail)
    } else {
        Err(Error::text("ERR Invalid OVERFLOW type specified"))
    }
}

/// `i1` to `i64`, `u1` to `u63`.
fn parse_type(text: &[u8]) -> Result<(bool, usize), Error> {
    let invalid = Error::text(
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but \
         i64 is.",
    );
    let (signed, digits) = match text {
        [b'i', digits @ ..] => (true, digits),
        [b'u', digits @ ..] => (false, digits),
        _ => return Err(invalid),
    };
    let bits = parse_i64(digits).and_then(|bits| usize::try_from(bits).ok());
    match bits {
        Some(bits) if bits >= 1 && bits <= 63 + usize::from(signed) => Ok((signed, bits)),
        _ => Err(invalid),
    }
}

impl Operation {
    /// Does it and answers; whether bits are others now, if it wrote at all.
    fn run(&self, bytes: &mut [u8], reply: &mut dyn Reply) -> Option<bool> {
        let old = self.raw(bytes);
        let wanted = match self.action {
            Action::Get => {
                reply.int(self.value(old));
                return None;
            }
            Action::Set(value) if self.signed => i128::from(value),
            // A negative number is a huge unsigned one here.
            Action::Set(value) => i128::from(value.cast_unsigned()),
            Action::IncrBy(amount) => i128::from(self.value(old)) + i128::from(amount),
        };
        let Some(new) = self.fit(wanted) else {
            reply.null();
            return None;
        };
        reply.int(if matches!(self.action, Action::Set(_)) {
            self.value(old)
        } else {
            self.value(new)
        });
        self.write(bytes, new);
        Some(old != new)
    }

    /// The bits of a number that may be too large; nothing when it is and must not be.
    fn fit(&self, number: i128) -> Option<u64> {
        let span = 1i128 << (self.bits - usize::from(self.signed));
        let (min, max) = if self.signed { (-span, span - 1) } else { (0, span - 1) };
        let number = match self.overflow {
            // Redis reckons how far a number to SET is from the largest in 64 bits, and takes one that is farther for a larger one.
            Overflow::Saturate
                if self.signed
                    && self.bits < 64
                    && matches!(self.action, Action::Set(_))
                    && max - number > i128::from(i64::MAX) =>
            {
                max
            }
            Overflow::Saturate => number.clamp(min, max),
            Overflow::Fail if number < min || number > max => return None,
            Overflow::Fail | Overflow::Wrap => number,
        };
        let low = number & ((1i128 << self.bits) - 1);
        u64::try_from(low).ok()
    }

    /// The field's bits as they are; bits beyond the string are 0.
    fn raw(&self, bytes: &[u8]) -> u64 {
        (self.at..self.at + self.bits)
            .fold(0, |value, at| value << 1 | u64::from(bit_at(bytes, at)))
    }

    fn write(&self, bytes: &mut [u8], raw: u64) {
        for (place, at) in (self.at..self.at + self.bits).rev().enumerate() {
            set_bit(bytes, at, raw >> place & 1 == 1);
        }
    }

    /// The number that the field's bits stand for.
    fn value(&self, raw: u64) -> i64 {
        let unused = 64 - self.bits;
        let value = raw.cast_signed();
        if self.signed { value << unused >> unused } else { value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(signed: bool, bits: usize, overflow: Overflow) -> Operation {
        Operation { action: Action::Get, overflow, signed, bits, at: 3 }
    }

    #[test]
    fn numbers_beyond_the_width_wrap_saturate_or_fail() {
        let fit = |signed, bits, overflow, number| {
            let operation = operation(signed, bits, overflow);
            operation.fit(number).map(|raw| operation.value(raw))
        };
        assert_eq!(fit(false, 8, Overflow::Wrap, 256), Some(0));
        assert_eq!(fit(false, 8, Overflow::Wrap, -1), Some(255));
        assert_eq!(fit(false, 8, Overflow::Saturate, -1), Some(0));
        assert_eq!(fit(true, 8, Overflow::Wrap, 128), Some(-128));
        assert_eq!(fit(true, 8, Overflow::Saturate, -1000), Some(-128));
        assert_eq!(fit(true, 8, Overflow::Fail, 128), None);
        assert_eq!(fit(true, 64, Overflow::Wrap, 1 << 63), Some(i64::MIN));
        assert_eq!(fit(true, 64, Overflow::Saturate, 1 << 63), Some(i64::MAX));
        assert_eq!(fit(false, 63, Overflow::Saturate, 1 << 80), Some(i64::MAX));
        assert_eq!(fit(true, 1, Overflow::Wrap, 1), Some(-1));
    }

    #[test]
    fn fields_are_read_as_written_at_any_bit() {
        for bits in 1..=64 {
            let operation = operation(true, bits, Overflow::Wrap);
            let mut bytes = [0xa5u8; 12];
            let raw = 0x9e37_79b9_7f4a_7c15 >> (64 - bits);
            operation.write(&mut bytes, raw);
            assert_eq!(operation.raw(&bytes), raw, "{bits} bits");
            assert_eq!(bytes[0] & 0xe0, 0xa0, "the bits before stay");
        }
    }
}
