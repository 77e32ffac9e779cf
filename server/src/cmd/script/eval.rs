//! EVAL, EVALSHA, FCALL and their twins that only read.

use ringstone_engine::cmd::{
    Acl, Arg, ArgKind, Begin, Find, Flags, Group, KeyFlags, KeySpec, Spec,
};

use super::call::call;
use crate::cmd::HostCommand;

const FLAGS: Flags = Flags::NOSCRIPT
    .union(Flags::STALE)
    .union(Flags::SKIP_MONITOR)
    .union(Flags::NO_MANDATORY_KEYS)
    .union(Flags::MOVABLEKEYS);

const fn keys(flags: KeyFlags, notes: Option<&'static str>) -> KeySpec {
    KeySpec { flags, begin: Begin::Index(2), find: Find::KeyNum(0, 1, 1), notes }
}

const WRITES: KeyFlags = KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE);
const READS: KeyFlags = KeyFlags::RO.union(KeyFlags::ACCESS);
const NOTE_WRITES: Option<&str> =
    Some("We cannot tell how the keys will be used so we assume the worst, RW and UPDATE");
const NOTE_READS: Option<&str> =
    Some("We cannot tell how the keys will be used so we assume the worst, RO and ACCESS");

const NUMKEYS: Arg = Arg::new("numkeys", ArgKind::Integer);
const KEY: Arg = Arg::new("key", ArgKind::Key).optional().multiple();
const ARG: Arg = Arg::new("arg", ArgKind::String).optional().multiple();
const SCRIPT: &[Arg] = &[Arg::new("script", ArgKind::String), NUMKEYS, KEY, ARG];
const SHA1: &[Arg] = &[Arg::new("sha1", ArgKind::String), NUMKEYS, KEY, ARG];
const FUNCTION: &[Arg] = &[Arg::new("function", ArgKind::String), NUMKEYS, KEY, ARG];

const ROW: Spec = Spec {
    arity: -3,
    flags: FLAGS.union(Flags::MAY_REPLICATE),
    acl: Acl::SCRIPTING,
    group: Group::Scripting,
    since: "7.0.0",
    complexity: "Depends on the script that is executed.",
    ..Spec::DEFAULT
};
const ROW_RO: Spec = Spec { flags: FLAGS.union(Flags::READONLY), ..ROW };

pub(super) static EVAL: HostCommand = HostCommand {
    spec: Spec {
        name: "eval",
        keys: &[keys(WRITES, NOTE_WRITES)],
        since: "2.6.0",
        summary: "Runs a script.",
        args: SCRIPT,
        ..ROW
    },
    run: call,
    subs: &[],
};

pub(super) static EVAL_RO: HostCommand = HostCommand {
    spec: Spec {
        name: "eval_ro",
        keys: &[keys(READS, NOTE_READS)],
        summary: "Runs a script that only reads.",
        args: SCRIPT,
        ..ROW_RO
    },
    run: call,
    subs: &[],
};

pub(super) static EVALSHA: HostCommand = HostCommand {
    spec: Spec {
        name: "evalsha",
        keys: &[keys(WRITES, None)],
        since: "2.6.0",
        summary: "Runs a cached script, named by its digest.",
        args: SHA1,
        ..ROW
    },
    run: call,
    subs: &[],
};

pub(super) static EVALSHA_RO: HostCommand = HostCommand {
    spec: Spec {
        name: "evalsha_ro",
        keys: &[keys(READS, None)],
        summary: "Runs a cached script that only reads, named by its digest.",
        args: SHA1,
        ..ROW_RO
    },
    run: call,
    subs: &[],
};

const FUNCTION_COMPLEXITY: &str = "Depends on the function that is executed.";

pub(super) static FCALL: HostCommand = HostCommand {
    spec: Spec {
        name: "fcall",
        keys: &[keys(WRITES, NOTE_WRITES)],
        complexity: FUNCTION_COMPLEXITY,
        summary: "Runs a function.",
        args: FUNCTION,
        ..ROW
    },
    run: call,
    subs: &[],
};

pub(super) static FCALL_RO: HostCommand = HostCommand {
    spec: Spec {
        name: "fcall_ro",
        keys: &[keys(READS, NOTE_READS)],
        complexity: FUNCTION_COMPLEXITY,
        summary: "Runs a function that only reads.",
        args: FUNCTION,
        ..ROW_RO
    },
    run: call,
    subs: &[],
};
