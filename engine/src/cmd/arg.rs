//! Arguments as `COMMAND DOCS` describes them.

/// Kind of an argument in `COMMAND DOCS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgKind {
    /// A key.
    Key,
    /// Any string.
    String,
    /// An integer.
    Integer,
    /// A double.
    Double,
    /// A glob pattern.
    Pattern,
    /// Seconds since 1970.
    UnixTime,
    /// A bare word (the token itself).
    PureToken,
    /// One of the sub-arguments.
    OneOf,
    /// All of the sub-arguments, in order.
    Block,
}

/// One argument in `COMMAND DOCS`.
#[derive(Clone, Copy, Debug)]
pub struct Arg {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: ArgKind,
    /// The word before it, if any.
    pub token: Option<&'static str>,
    /// May be left out.
    pub optional: bool,
    /// May be repeated.
    pub multiple: bool,
    /// When repeated, the word before it is repeated as well.
    pub multiple_token: bool,
    /// First version of Redis that had it, where that is not the command's first.
    pub since: Option<&'static str>,
    /// The version of Redis that advised against it.
    pub deprecated_since: Option<&'static str>,
    /// Sub-arguments of `OneOf` and `Block`.
    pub args: &'static [Arg],
}

impl Arg {
    /// A plain required argument.
    pub const fn new(name: &'static str, kind: ArgKind) -> Arg {
        Arg {
            name,
            kind,
            token: None,
            optional: false,
            multiple: false,
            multiple_token: false,
            since: None,
            deprecated_since: None,
            args: &[],
        }
    }
    /// The same, known since this version.
    pub const fn since(self, version: &'static str) -> Arg {
        Arg { since: Some(version), ..self }
    }
    /// The same, advised against since this version.
    pub const fn deprecated_since(self, version: &'static str) -> Arg {
        Arg { deprecated_since: Some(version), ..self }
    }
    /// The same, with a word before it.
    pub const fn token(self, token: &'static str) -> Arg {
        Arg { token: Some(token), ..self }
    }
    /// The same, optional.
    pub const fn optional(self) -> Arg {
        Arg { optional: true, ..self }
    }
    /// The same, repeatable.
    pub const fn multiple(self) -> Arg {
        Arg { multiple: true, ..self }
    }
    /// The same, repeatable together with the word before it.
    pub const fn multiple_token(self) -> Arg {
        Arg { multiple: true, multiple_token: true, ..self }
    }
    /// A word that stands for itself.
    pub const fn word(name: &'static str, token: &'static str) -> Arg {
        Arg::new(name, ArgKind::PureToken).token(token)
    }
    /// One of several.
    pub const fn one_of(name: &'static str, args: &'static [Arg]) -> Arg {
        Arg { args, ..Arg::new(name, ArgKind::OneOf) }
    }
    /// Several in order.
    pub const fn block(name: &'static str, args: &'static [Arg]) -> Arg {
        Arg { args, ..Arg::new(name, ArgKind::Block) }
    }
}

/// `[ASC | DESC]`
pub const ORDER: Arg =
    Arg::one_of("order", &[Arg::word("asc", "ASC"), Arg::word("desc", "DESC")]).optional();

/// `[NX | XX | GT | LT]`: which expiries may be replaced.
pub const CONDITION: Arg = Arg::one_of(
    "condition",
    &[Arg::word("nx", "NX"), Arg::word("xx", "XX"), Arg::word("gt", "GT"), Arg::word("lt", "LT")],
)
.optional();

/// `[KEEPREF | DELREF | ACKED]`: what becomes of the references of consumer groups to entries that go.
pub const REFERENCES: Arg = Arg::one_of(
    "condition",
    &[Arg::word("keepref", "KEEPREF"), Arg::word("delref", "DELREF"), Arg::word("acked", "ACKED")],
)
.optional();

/// `[EX s | PX ms | EXAT s | PXAT ms | PERSIST]`
pub const EXPIRY_OR_PERSIST: Arg =
    expiration(&[EX, PX, EXAT, PXAT, Arg::word("persist", "PERSIST")]);

/// `[EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]`
pub const EXPIRY_OR_KEEP: Arg = expiration(&[EX, PX, EXAT, PXAT, KEEPTTL]);

/// `EX s`
pub const EX: Arg = Arg::new("seconds", ArgKind::Integer).token("EX");
/// `PX ms`
pub const PX: Arg = Arg::new("milliseconds", ArgKind::Integer).token("PX");
/// `EXAT s`
pub const EXAT: Arg = Arg::new("unix-time-seconds", ArgKind::UnixTime).token("EXAT");
/// `PXAT ms`
pub const PXAT: Arg = Arg::new("unix-time-milliseconds", ArgKind::UnixTime).token("PXAT");
/// `KEEPTTL`
pub const KEEPTTL: Arg = Arg::word("keepttl", "KEEPTTL");

/// An expiry in one of these forms.
pub const fn expiration(forms: &'static [Arg]) -> Arg {
    Arg::one_of("expiration", forms).optional()
}
