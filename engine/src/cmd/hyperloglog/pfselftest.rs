//! PFSELFTEST: checks registers and estimates.

use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::hll::{self, DENSE_LEN, Encoding, REGISTERS, dense};
use crate::keyspace::Ctx;

const REGISTER_ROUNDS: usize = 20;
/// Estimates are checked at powers of ten up to this number of elements; more would stop the shard for long.
const ELEMENTS_MAX: u64 = 1_000_000;

/// PFSELFTEST: checks that registers hold what they are given, and that estimates are good.
pub static PFSELFTEST: Command = Command {
    spec: Spec {
        name: "pfselftest",
        arity: 1,
        flags: Flags::ADMIN,
        acl: Acl::HYPERLOGLOG,
        group: Group::HyperLogLog,
        since: "2.8.9",
        complexity: "N/A",
        summary: "Checks that registers hold what they are given, and that estimates are good.",
        is_internal: true,
        examples: &[("PFSELFTEST", "OK")],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, _: Args<'_>) -> CmdResult {
    check_registers(ctx)?;
    check_estimates(ctx)?;
    ctx.reply.ok();
    Ok(())
}

fn check_registers(ctx: &mut Ctx<'_>) -> CmdResult {
    let mut bytes = vec![0; DENSE_LEN];
    for _ in 0..REGISTER_ROUNDS {
        let seed = ctx.db.random();
        let value = |index: usize| {
            let mixed = seed.rotate_left(u32::try_from(index % 64).unwrap_or(0)) ^ index as u64;
            u8::try_from(mixed & u64::from(dense::VALUE_MAX)).unwrap_or(0)
        };
        (0..REGISTERS).for_each(|index| dense::set(&mut bytes, index, value(index)));
        for index in 0..REGISTERS {
            let (want, got) = (value(index), dense::get(&bytes, index));
            if want != got {
                return failed(format!("Register {index} should be {want} but is {got}"));
            }
        }
    }
    Ok(())
}

fn check_estimates(ctx: &mut Ctx<'_>) -> CmdResult {
    let (seed, sparse_len_max) = (ctx.db.random(), ctx.db.limits().hll_sparse_max_bytes);
    let (mut dense, mut sparse) = (hll::new(), hll::new());
    hll::make_dense(&mut dense)?;
    let mut checkpoint = 1;
    for element in 1..=ELEMENTS_MAX {
        let (index, value) = hll::place_of(&(element ^ seed).to_le_bytes());
        dense::raise(&mut dense, index, value);
        hll::raise(&mut sparse, index, value, sparse_len_max)?;
        if element != checkpoint {
            continue;
        }
        let small = usize::try_from(element).is_ok_and(|len| len < sparse_len_max / 2);
        if small && hll::encoding(&sparse) != Some(Encoding::Sparse) {
            return failed("sparse encoding not used".to_owned());
        }
        let estimate = hll::count(&dense)?;
        if estimate != hll::count(&sparse)? {
            return failed("dense/sparse disagree".to_owned());
        }
        // Six times the standard error, 1.04 / sqrt(registers); at 10 elements one collision is likely enough.
        let error_max = if element == 10 { 1 } else { (element * 6 * 104).div_ceil(100 * 128) };
        let error = estimate.abs_diff(element);
        if error > error_max {
            return failed(format!("Too big error. card:{element} abserr:{error}"));
        }
        checkpoint *= 10;
    }
    Ok(())
}

fn failed(what: String) -> CmdResult {
    Err(Error::owned(format!("ERR TESTFAILED {what}")))
}
