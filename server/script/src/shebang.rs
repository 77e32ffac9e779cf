//! The first line of a script or a library: `#!lua name=... flags=...`.

use std::borrow::Cow;

/// What a script or a function says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScriptFlags(u8);

impl ScriptFlags {
    /// It writes nothing.
    pub const NO_WRITES: ScriptFlags = ScriptFlags(1);
    /// It may run above `maxmemory`.
    pub const ALLOW_OOM: ScriptFlags = ScriptFlags(1 << 1);
    /// It may run on a replica that lost its master.
    pub const ALLOW_STALE: ScriptFlags = ScriptFlags(1 << 2);
    /// It does not run in a cluster.
    pub const NO_CLUSTER: ScriptFlags = ScriptFlags(1 << 3);
    /// Its keys may be in different slots.
    pub const ALLOW_CROSS_SLOT_KEYS: ScriptFlags = ScriptFlags(1 << 5);
    /// It says nothing about itself.
    pub const COMPATIBLE: ScriptFlags = ScriptFlags(1 << 4);

    const NAMES: [(ScriptFlags, &str); 5] = [
        (ScriptFlags::NO_WRITES, "no-writes"),
        (ScriptFlags::ALLOW_OOM, "allow-oom"),
        (ScriptFlags::ALLOW_STALE, "allow-stale"),
        (ScriptFlags::NO_CLUSTER, "no-cluster"),
        (ScriptFlags::ALLOW_CROSS_SLOT_KEYS, "allow-cross-slot-keys"),
    ];

    /// True when all of `other` are among these.
    pub fn contains(self, other: ScriptFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and `other`.
    #[must_use]
    pub fn with(self, other: ScriptFlags) -> ScriptFlags {
        ScriptFlags(self.0 | other.0)
    }

    /// The names of these.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| name)
    }

    /// The flag of this name; `any_case` as functions take it.
    pub fn named(name: &[u8], any_case: bool) -> Option<ScriptFlags> {
        let is = |known: &str| {
            if any_case {
                name.eq_ignore_ascii_case(known.as_bytes())
            } else {
                name == known.as_bytes()
            }
        };
        Self::NAMES.into_iter().find(|(_, known)| is(known)).map(|(flag, _)| flag)
    }
}

/// The flags of a script and what is to be compiled of it: its lines keep their numbers.
pub fn script(body: &[u8]) -> Result<(ScriptFlags, &[u8]), String> {
    if !body.starts_with(b"#!") {
        return Ok((ScriptFlags::COMPATIBLE, body));
    }
    let Some(end) = line_end(body) else { return Err("Invalid script shebang".to_owned()) };
    let (line, code) = body.split_at(end);
    let parts = split(line).filter(|parts| !parts.is_empty());
    let Some(parts) = parts else { return Err("Invalid engine in script shebang".to_owned()) };
    let mut parts = parts.into_iter();
    let engine = parts.next().unwrap_or_default();
    if engine != b"#!lua" {
        return Err(format!("Unexpected engine in script shebang: {}", text(&engine)));
    }
    let mut flags = ScriptFlags::default();
    for part in parts {
        let Some(list) = part.strip_prefix(b"flags=") else {
            return Err(format!("Unknown lua shebang option: {}", text(&part)));
        };
        if list.is_empty() {
            continue;
        }
        for name in list.split(|byte| *byte == b',') {
            match ScriptFlags::named(name, false) {
                Some(flag) => flags = flags.with(flag),
                None => return Err(format!("Unexpected flag in script shebang: {}", text(name))),
            }
        }
    }
    Ok((flags, code))
}

/// A library taken apart.
pub struct Library<'a> {
    /// Its name.
    pub name: String,
    /// Its engine, as it was written.
    pub engine: String,
    /// What is to be compiled.
    pub code: &'a [u8],
}

/// Takes the first line of a library apart.
pub fn library(body: &[u8]) -> Result<Library<'_>, String> {
    if !body.starts_with(b"#!") {
        return Err("Missing library metadata".to_owned());
    }
    let invalid = || "Invalid library metadata".to_owned();
    let end = line_end(body).ok_or_else(invalid)?;
    let (line, code) = body.split_at(end);
    let mut parts = split(line).filter(|parts| !parts.is_empty()).ok_or_else(invalid)?.into_iter();
    let engine = parts.next().unwrap_or_default();
    let engine = text(engine.get(2..).unwrap_or_default()).into_owned();
    let mut name = None;
    for part in parts {
        match part.split_at_checked(5) {
            Some((head, rest)) if head.eq_ignore_ascii_case(b"name=") => {
                if name.is_some() {
                    return Err(
                        "Invalid metadata value, name argument was given multiple times".to_owned()
                    );
                }
                name = Some(text(rest).into_owned());
            }
            _ => return Err(format!("Invalid metadata value given: {}", text(&part))),
        }
    }
    let name = name.ok_or_else(|| "Library name was not given".to_owned())?;
    if !is_name(name.as_bytes()) {
        return Err(BAD_NAME.to_owned());
    }
    Ok(Library { name, engine, code })
}

/// Said of a name that is none.
pub const BAD_NAME: &str = "Library names can only contain letters, numbers, or underscores(_) and must be at least one character \
                            long";

/// Letters, digits and underscores, at least one.
pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

fn line_end(body: &[u8]) -> Option<usize> {
    body.iter().position(|byte| *byte == b'\n')
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Splits at blanks, quotes taken into account as in the configuration file; none where a quote does not end.
fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut parts = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let (part, behind) = word(rest)?;
        parts.push(part);
        rest = behind.trim_ascii_start();
    }
    Some(parts)
}

fn word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut part = Vec::new();
    let mut quote = None;
    while let Some((byte, behind)) = rest.split_first() {
        match (quote, byte) {
            (None, byte) if byte.is_ascii_whitespace() => return Some((part, rest)),
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), byte) if open == *byte => {
                let ends = behind.first().is_none_or(u8::is_ascii_whitespace);
                return ends.then_some((part, behind));
            }
            (Some(_), b'\\') if !behind.is_empty() => {
                let (escaped, after) = behind.split_first()?;
                part.push(match (quote, escaped) {
                    (Some(b'"'), b'n') => b'\n',
                    (Some(b'"'), b'r') => b'\r',
                    (Some(b'"'), b't') => b'\t',
                    (_, other) => *other,
                });
                rest = after;
                continue;
            }
            (_, byte) => part.push(*byte),
        }
        rest = behind;
    }
    quote.is_none().then_some((part, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_a_script_are_read_and_its_lines_keep_their_numbers() {
        let (flags, code) = script(b"#!lua flags=no-writes,allow-stale\nreturn 1").unwrap();
        assert!(flags.contains(ScriptFlags::NO_WRITES.with(ScriptFlags::ALLOW_STALE)));
        assert_eq!(code, b"\nreturn 1");
        assert_eq!(script(b"return 1").unwrap().0, ScriptFlags::COMPATIBLE);
        assert_eq!(script(b"#!lua").unwrap_err(), "Invalid script shebang");
        assert_eq!(
            script(b"#!not-lua\n").unwrap_err(),
            "Unexpected engine in script shebang: #!not-lua"
        );
        assert_eq!(
            script(b"#!lua flags=bad\n").unwrap_err(),
            "Unexpected flag in script shebang: bad"
        );
        assert_eq!(
            script(b"#!lua badger=data\n").unwrap_err(),
            "Unknown lua shebang option: badger=data"
        );
    }

    #[test]
    fn a_library_needs_a_name() {
        let library_ = library(b"#!LUA name=mylib\ncode").unwrap();
        assert_eq!((library_.name.as_str(), library_.engine.as_str()), ("mylib", "LUA"));
        assert_eq!(library_.code, b"\ncode");
        assert_eq!(library(b"code").err().unwrap(), "Missing library metadata");
        assert_eq!(library(b"#!lua\n").err().unwrap(), "Library name was not given");
        assert_eq!(library(b"#!lua name=a-b\n").err().unwrap(), BAD_NAME);
    }
}
