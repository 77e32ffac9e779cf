//! What a row says about a command. Field meanings follow Redis's `COMMAND INFO` and `COMMAND DOCS`.

use smallvec::SmallVec;

use super::arg::Arg;
use super::merge::Merge;
use crate::args::Args;
use crate::effect::Opcode;
use crate::error::Error;
use crate::keyspace::Db;

bitflags::bitflags! {
    /// Command flags, named as Redis names them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Flags: u32 {
        /// Changes data.
        const WRITE = 1;
        /// Reads data, changes none.
        const READONLY = 1 << 1;
        /// Refused above maxmemory.
        const DENYOOM = 1 << 2;
        /// Administration.
        const ADMIN = 1 << 3;
        /// Publish and subscribe.
        const PUBSUB = 1 << 4;
        /// Not from a script.
        const NOSCRIPT = 1 << 5;
        /// May block the client.
        const BLOCKING = 1 << 6;
        /// Allowed while loading.
        const LOADING = 1 << 7;
        /// Allowed on a replica that lost its master.
        const STALE = 1 << 8;
        /// Not shown in SLOWLOG.
        const SKIP_SLOWLOG = 1 << 9;
        /// Not shown to MONITOR.
        const SKIP_MONITOR = 1 << 10;
        /// Cluster: allowed while a slot moves.
        const ASKING = 1 << 11;
        /// O(1) or O(log n).
        const FAST = 1 << 12;
        /// Allowed before AUTH.
        const NO_AUTH = 1 << 13;
        /// May write, or tell others something, although it is no write command. COMMAND INFO keeps silent about it.
        const MAY_REPLICATE = 1 << 14;
        /// Not inside MULTI.
        const NO_MULTI = 1 << 15;
        /// Key positions need more than the key specs.
        const MOVABLEKEYS = 1 << 16;
        /// Allowed while a script is busy.
        const ALLOW_BUSY = 1 << 17;
        /// Reads and writes asynchronously with respect to databases (SWAPDB and kin are none of these).
        const NO_ASYNC_LOADING = 1 << 18;
        /// The command is of no use to a client; needs no keys although it has some.
        const NO_MANDATORY_KEYS = 1 << 19;
    }
}

impl Flags {
    /// Redis's names of the flags that `COMMAND INFO` shows.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        const NAMES: &[(Flags, &str)] = &[
            (Flags::WRITE, "write"),
            (Flags::READONLY, "readonly"),
            (Flags::DENYOOM, "denyoom"),
            (Flags::ADMIN, "admin"),
            (Flags::PUBSUB, "pubsub"),
            (Flags::NOSCRIPT, "noscript"),
            (Flags::BLOCKING, "blocking"),
            (Flags::LOADING, "loading"),
            (Flags::STALE, "stale"),
            (Flags::SKIP_SLOWLOG, "skip_slowlog"),
            (Flags::SKIP_MONITOR, "skip_monitor"),
            (Flags::ASKING, "asking"),
            (Flags::FAST, "fast"),
            (Flags::NO_AUTH, "no_auth"),
            (Flags::NO_MULTI, "no_multi"),
            (Flags::MOVABLEKEYS, "movablekeys"),
            (Flags::ALLOW_BUSY, "allow_busy"),
            (Flags::NO_ASYNC_LOADING, "no_async_loading"),
            (Flags::NO_MANDATORY_KEYS, "no_mandatory_keys"),
        ];
        NAMES.iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| *name)
    }
}

/// All ACL categories, in Redis's order, that of its bits.
pub const CATEGORIES: &[&str] = &[
    "@keyspace",
    "@read",
    "@write",
    "@set",
    "@sortedset",
    "@list",
    "@hash",
    "@string",
    "@bitmap",
    "@hyperloglog",
    "@geo",
    "@stream",
    "@pubsub",
    "@admin",
    "@fast",
    "@slow",
    "@blocking",
    "@dangerous",
    "@connection",
    "@transaction",
    "@scripting",
];

bitflags::bitflags! {
    /// ACL categories that a row names itself; `@read @write @admin @dangerous @fast @slow @pubsub @blocking` follow from flags
    /// as in Redis (see [`Spec::acl_categories`]).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Acl: u32 {
        /// `@keyspace`
        const KEYSPACE = 1;
        /// `@set`
        const SET = 1 << 1;
        /// `@sortedset`
        const SORTEDSET = 1 << 2;
        /// `@list`
        const LIST = 1 << 3;
        /// `@hash`
        const HASH = 1 << 4;
        /// `@string`
        const STRING = 1 << 5;
        /// `@bitmap`
        const BITMAP = 1 << 6;
        /// `@hyperloglog`
        const HYPERLOGLOG = 1 << 7;
        /// `@geo`
        const GEO = 1 << 8;
        /// `@stream`
        const STREAM = 1 << 9;
        /// `@connection`
        const CONNECTION = 1 << 10;
        /// `@transaction`
        const TRANSACTION = 1 << 11;
        /// `@scripting`
        const SCRIPTING = 1 << 12;
        /// `@dangerous`
        const DANGEROUS = 1 << 13;
        /// `@read`, where the flags do not say it
        const READ = 1 << 14;
        /// `@write`, where the flags do not say it
        const WRITE = 1 << 15;
        /// `@admin`, where the flags do not say it
        const ADMIN = 1 << 16;
    }
}

bitflags::bitflags! {
    /// Flags of a key specification, named as Redis names them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct KeyFlags: u32 {
        /// Read and write.
        const RW = 1;
        /// Read only.
        const RO = 1 << 1;
        /// Overwrite.
        const OW = 1 << 2;
        /// Remove.
        const RM = 1 << 3;
        /// The value is returned or copied.
        const ACCESS = 1 << 4;
        /// The value is changed, depending on itself.
        const UPDATE = 1 << 5;
        /// Something is added.
        const INSERT = 1 << 6;
        /// Something is removed.
        const DELETE = 1 << 7;
        /// Not really a key.
        const NOT_KEY = 1 << 8;
        /// Keys beyond these may be used.
        const INCOMPLETE = 1 << 9;
        /// The flags depend on arguments.
        const VARIABLE_FLAGS = 1 << 10;
    }
}

/// Where the search for keys begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At this argument.
    Index(i16),
    /// After this word, searched from argument `from` (negative: backwards from the end).
    Keyword(&'static str, i16),
    /// Not known.
    Unknown,
}

/// How the keys follow from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// From the beginning to `last` (relative; negative: from the end), every `step`; `limit` as in Redis.
    Range(i16, i16, i16),
    /// A count at offset `.0`, the first key at offset `.1`, every `.2`.
    KeyNum(i16, i16, i16),
    /// Not known.
    Unknown,
}

/// One group of keys among the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// What happens to them.
    pub flags: KeyFlags,
    /// Where they begin.
    pub begin: Begin,
    /// How to find them.
    pub find: Find,
    /// Redis's note, where it has one.
    pub notes: Option<&'static str>,
}

impl KeySpec {
    /// One key at argument 1, the commonest case.
    pub const fn one(flags: KeyFlags) -> KeySpec {
        KeySpec::range(flags, 1, 0, 1)
    }
    /// Keys from argument `first` to `last` (relative to the first; negative: from the end), every `step`.
    pub const fn range(flags: KeyFlags, first: i16, last: i16, step: i16) -> KeySpec {
        KeySpec { flags, begin: Begin::Index(first), find: Find::Range(last, step, 0), notes: None }
    }
}

/// Which part of the keyspace a command needs.
#[derive(Clone, Copy)]
pub enum Scope {
    /// The keys it names; none: any shard does.
    Keys,
    /// Every shard, at one instant; the replies of all are merged into one.
    All(Merge),
    /// One shard after another, as the cursor (argument `.0`) says; the reply is `[cursor, items]`.
    Cursor(usize),
}

/// Group in `COMMAND DOCS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// `generic`
    Generic,
    /// `string`
    String,
    /// `list`
    List,
    /// `set`
    Set,
    /// `sorted-set`
    SortedSet,
    /// `hash`
    Hash,
    /// `stream`
    Stream,
    /// `bitmap`
    Bitmap,
    /// `hyperloglog`
    HyperLogLog,
    /// `geo`
    Geo,
    /// `connection`
    Connection,
    /// `server`
    Server,
    /// `transactions`
    Transactions,
    /// `pubsub`
    Pubsub,
    /// `scripting`
    Scripting,
    /// `cluster`
    Cluster,
}

impl Group {
    /// The name in `COMMAND DOCS`.
    pub const fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Hash => "hash",
            Group::Stream => "stream",
            Group::Bitmap => "bitmap",
            Group::HyperLogLog => "hyperloglog",
            Group::Geo => "geo",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Transactions => "transactions",
            Group::Pubsub => "pubsub",
            Group::Scripting => "scripting",
            Group::Cluster => "cluster",
        }
    }
}

/// A command line and the reply it gives on a fresh shard, run one after another by a test over the whole table.
/// The reply is written as `redis-cli --no-raw` would: `OK`, `(integer) 1`, `"text"`, `(nil)`, `(error) ...`, `1) "a" 2) "b"`.
pub type Example = (&'static str, &'static str);

/// Adds positions of keys among the arguments, or puts right what the key specifications told.
pub type MoreKeys = fn(args: Args<'_>, positions: &mut SmallVec<[usize; 4]>);

/// Keys that a command reads although its arguments do not name them: they follow from the data at those that are named.
#[derive(Clone, Copy)]
pub struct DerivedKeys {
    /// True when it reads such keys with these arguments.
    pub wanted: fn(args: Args<'_>) -> bool,
    /// Which they are, when the keys that are named are at hand; leaves no trace of an access.
    pub find: fn(db: &mut Db<'_>, args: Args<'_>) -> Vec<Vec<u8>>,
}

/// A command's row. `..Spec::DEFAULT` fills what is not said.
#[derive(Clone, Copy)]
pub struct Spec {
    /// Lower-case name; a subcommand is `container|sub`.
    pub name: &'static str,
    /// Number of arguments with the name; negative: at least.
    pub arity: i16,
    /// Flags.
    pub flags: Flags,
    /// Categories beyond those that flags imply.
    pub acl: Acl,
    /// Where the keys are.
    pub keys: &'static [KeySpec],
    /// Positions of keys that no key specification can tell (SORT's STORE).
    pub more_keys: Option<MoreKeys>,
    /// Keys that it reads although the arguments do not name them (SORT's patterns).
    pub derived_keys: Option<DerivedKeys>,
    /// What part of the keyspace it needs.
    pub scope: Scope,
    /// Pinned number of the logged command, 0 when it is never logged.
    /// string 1-63, generic 64-127, list 128-191, set 192-255, hash 256-319, zset 320-383, stream 384-447, server 448-511.
    pub opcode: Opcode,
    /// Group.
    pub group: Group,
    /// First version of Redis that had it.
    pub since: &'static str,
    /// Time complexity.
    pub complexity: &'static str,
    /// One line.
    pub summary: &'static str,
    /// What changed in which version.
    pub history: &'static [(&'static str, &'static str)],
    /// The version that advised against it, and what to use instead.
    pub deprecated: Option<(&'static str, &'static str)>,
    /// Not meant for clients (`syscmd`).
    pub is_internal: bool,
    /// Arguments.
    pub args: &'static [Arg],
    /// Tips of `COMMAND INFO`.
    pub tips: &'static [&'static str],
    /// Examples, executed by a test.
    pub examples: &'static [Example],
}

impl Spec {
    /// A row with nothing said.
    pub const DEFAULT: Spec = Spec {
        name: "",
        arity: 0,
        flags: Flags::empty(),
        acl: Acl::empty(),
        keys: &[],
        more_keys: None,
        derived_keys: None,
        scope: Scope::Keys,
        opcode: 0,
        group: Group::Generic,
        since: "1.0.0",
        complexity: "O(1)",
        summary: "",
        history: &[],
        deprecated: None,
        is_internal: false,
        args: &[],
        tips: &[],
        examples: &[],
    };

    /// True when an argument names another database (COPY's DB), so that its keys may be touched in any.
    pub fn names_database(&self) -> bool {
        self.args.iter().any(|arg| arg.token == Some("DB") || arg.name == "db")
    }

    /// True when `argc` (name included) fits the arity.
    pub fn arity_fits(&self, argc: usize) -> bool {
        let argc = i64::try_from(argc).unwrap_or(i64::MAX);
        let arity = i64::from(self.arity);
        if arity < 0 { argc >= -arity } else { argc == arity }
    }

    /// First key, last key and step of Redis's oldest form of key positions.
    pub fn legacy_keys(&self) -> (i64, i64, i64) {
        let mut all: Option<(i64, i64, i64)> = None;
        for spec in self.keys {
            let (Begin::Index(first), Find::Range(last, step, 0)) = (spec.begin, spec.find) else {
                continue;
            };
            let (first, step) = (i64::from(first), i64::from(step));
            let last = if last < 0 { i64::from(last) } else { first + i64::from(last) };
            all = match all {
                None => Some((first, last, step)),
                // Adjacent single keys merge, as Redis merges them.
                Some((f, l, s)) if l >= 0 && first == l + 1 && s == 1 && step == 1 => {
                    Some((f, last, 1))
                }
                Some(kept) => Some(kept),
            };
        }
        all.unwrap_or((0, 0, 0))
    }

    /// Positions of the keys among `args`. An error where a count of keys does not fit the arguments.
    pub fn key_positions(&self, args: Args<'_>) -> Result<SmallVec<[usize; 4]>, Error> {
        self.positions(args, |_| true)
    }

    /// Positions of the keys that the command may change; errors as for [`Spec::key_positions`].
    pub fn written_positions(&self, args: Args<'_>) -> Result<SmallVec<[usize; 4]>, Error> {
        self.positions(args, |flags| !flags.intersects(KeyFlags::RO | KeyFlags::NOT_KEY))
    }

    fn positions(
        &self,
        args: Args<'_>,
        wanted: impl Fn(KeyFlags) -> bool,
    ) -> Result<SmallVec<[usize; 4]>, Error> {
        let mut out = SmallVec::new();
        let argc = i64::try_from(args.len()).unwrap_or(i64::MAX);
        for spec in self.keys.iter().filter(|spec| wanted(spec.flags)) {
            let Some(begin) = begin_at(spec.begin, args) else { continue };
            let (first, last, step) = match spec.find {
                Find::Range(last, step, limit) => {
                    let last = match (last, limit) {
                        (l, _) if l >= 0 => begin + i64::from(l),
                        (l, limit) if limit > 1 => {
                            begin + (argc - begin) / i64::from(limit) + i64::from(l)
                        }
                        (l, _) => argc + i64::from(l),
                    };
                    (begin, last, i64::from(step))
                }
                Find::KeyNum(at, first, step) => {
                    let count =
                        usize::try_from(begin + i64::from(at)).ok().and_then(|i| args.get(i));
                    let count = count.and_then(crate::num::parse_i64).unwrap_or(-1);
                    let first = begin + i64::from(first);
                    let room = (argc - first).max(0) / i64::from(step.max(1));
                    if count < 0 || count > room {
                        return Err(Error::text(
                            "ERR Invalid number of arguments specified for command",
                        ));
                    }
                    (first, first + (count - 1) * i64::from(step), i64::from(step))
                }
                Find::Unknown => continue,
            };
            let mut at = first;
            while at <= last && at < argc && step > 0 {
                out.extend(usize::try_from(at).ok());
                at += step;
            }
        }
        if let Some(more_keys) = self.more_keys {
            more_keys(args, &mut out);
        }
        Ok(out)
    }

    /// All ACL categories as Redis reports them, sorted, with the leading `@`.
    pub fn acl_categories(&self) -> Vec<&'static str> {
        const NAMED: &[(Acl, &str)] = &[
            (Acl::KEYSPACE, "@keyspace"),
            (Acl::SET, "@set"),
            (Acl::SORTEDSET, "@sortedset"),
            (Acl::LIST, "@list"),
            (Acl::HASH, "@hash"),
            (Acl::STRING, "@string"),
            (Acl::BITMAP, "@bitmap"),
            (Acl::HYPERLOGLOG, "@hyperloglog"),
            (Acl::GEO, "@geo"),
            (Acl::STREAM, "@stream"),
            (Acl::CONNECTION, "@connection"),
            (Acl::TRANSACTION, "@transaction"),
            (Acl::SCRIPTING, "@scripting"),
            (Acl::DANGEROUS, "@dangerous"),
            (Acl::READ, "@read"),
            (Acl::WRITE, "@write"),
            (Acl::ADMIN, "@admin"),
        ];
        let mut out: Vec<_> =
            NAMED.iter().filter(|(c, _)| self.acl.contains(*c)).map(|(_, n)| *n).collect();
        let implied = [
            (self.flags.contains(Flags::WRITE), "@write"),
            (self.flags.contains(Flags::READONLY) && !self.acl.contains(Acl::SCRIPTING), "@read"),
            (self.flags.contains(Flags::ADMIN), "@admin"),
            (self.flags.contains(Flags::ADMIN), "@dangerous"),
            (self.flags.contains(Flags::PUBSUB), "@pubsub"),
            (self.flags.contains(Flags::BLOCKING), "@blocking"),
            (self.flags.contains(Flags::FAST), "@fast"),
            (!self.flags.contains(Flags::FAST), "@slow"),
        ];
        out.extend(implied.iter().filter(|(yes, _)| *yes).map(|(_, n)| *n));
        out.sort_unstable_by_key(|name| CATEGORIES.iter().position(|known| known == name));
        out.dedup();
        out
    }
}

fn begin_at(begin: Begin, args: Args<'_>) -> Option<i64> {
    match begin {
        Begin::Index(at) => (usize::try_from(at).ok()? < args.len()).then_some(i64::from(at)),
        Begin::Keyword(word, from) => {
            let found = if from >= 0 {
                (usize::try_from(from).ok()?..args.len()).find(|i| args.is(*i, word))
            } else {
                let last = args.len().checked_sub(usize::from(from.unsigned_abs()))?;
                (1..=last).rev().find(|i| args.is(*i, word))
            };
            i64::try_from(found? + 1).ok()
        }
        Begin::Unknown => None,
    }
}
