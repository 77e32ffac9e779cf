//! PFDEBUG: what tests want to know of a HyperLogLog's registers.

use std::fmt::Write;

use super::{read, store};
use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error, word};
use crate::hll::{self, Encoding, HEADER_LEN, dense, sparse};
use crate::keyspace::Ctx;

/// PFDEBUG: shows how a HyperLogLog is laid out, and changes it.
pub static PFDEBUG: Command = Command {
    spec: Spec {
        name: "pfdebug",
        arity: 3,
        flags: Flags::ADMIN.union(Flags::DENYOOM).union(Flags::WRITE),
        acl: Acl::HYPERLOGLOG,
        keys: &[KeySpec::range(KeyFlags::RW.union(KeyFlags::ACCESS), 2, 0, 1)],
        group: Group::HyperLogLog,
        since: "2.8.9",
        complexity: "N/A",
        summary: "Shows how a HyperLogLog is laid out, and changes it.",
        is_internal: true,
        args: &[Arg::new("subcommand", ArgKind::String), Arg::new("key", ArgKind::Key)],
        examples: &[
            ("PFADD h a b", "(integer) 1"),
            ("PFDEBUG ENCODING h", "sparse"),
            ("PFDEBUG DECODE h", "\"Z:12711 v:2,1 Z:3068 v:1,1 Z:603\""),
            ("PFDEBUG TODENSE h", "(integer) 1"),
            ("PFDEBUG TODENSE h", "(integer) 0"),
            ("PFDEBUG ENCODING h", "dense"),
            ("PFDEBUG DECODE h", "(error) ERR HLL encoding is not sparse"),
            ("PFDEBUG NOPE h", "(error) ERR Unknown PFDEBUG subcommand 'NOPE'"),
            ("PFDEBUG ENCODING none", "(error) ERR The specified key does not exist"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let key = args.at(2);
    let found = read(&mut ctx.db, key, false, |bytes, encoding| Ok((bytes.to_vec(), encoding)))?;
    let no_key = Error::text("ERR The specified key does not exist");
    let (mut bytes, encoding) = found.ok_or(no_key)?;
    let sparse = encoding == Encoding::Sparse;
    if args.is(1, "GETREG") || args.is(1, "TODENSE") {
        if sparse {
            hll::make_dense(&mut bytes)?;
            store(&mut ctx.db, key, bytes.clone());
        }
        if args.is(1, "TODENSE") {
            ctx.reply.int(i64::from(sparse));
        } else {
            ctx.reply.array(hll::REGISTERS);
            let body = bytes.get(HEADER_LEN..).unwrap_or_default();
            dense::iter(body).for_each(|value| ctx.reply.int(i64::from(value)));
        }
    } else if args.is(1, "DECODE") {
        if !sparse {
            return Err(Error::text("ERR HLL encoding is not sparse"));
        }
        let runs = decoded(bytes.get(HEADER_LEN..).unwrap_or_default());
        ctx.reply.bulk(runs.trim_end().as_bytes());
    } else if args.is(1, "ENCODING") {
        ctx.reply.simple(if sparse { "sparse" } else { "dense" });
    } else {
        let sub = word(args.at(1));
        return Err(Error::owned(format!("ERR Unknown PFDEBUG subcommand '{sub}'")));
    }
    Ok(())
}

/// Runs as `z:len`, `Z:len` (two bytes long) and `v:value,len`.
fn decoded(body: &[u8]) -> String {
    let mut out = String::new();
    for run in sparse::runs(body) {
        // Writing to a string does not fail.
        let _ = match (run.value, run.size) {
            (0, 1) => write!(out, "z:{} ", run.len),
            (0, _) => write!(out, "Z:{} ", run.len),
            (value, _) => write!(out, "v:{value},{} ", run.len),
        };
    }
    out
}
