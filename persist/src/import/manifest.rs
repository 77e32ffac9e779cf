//! Redis's AOF manifest: `file NAME seq N type b|i|h` a line; at most one base, increments in ascending order.

use std::path::{Path, PathBuf};

use super::error::{ImportError, ImportFault};

/// The files of a multi-part AOF.
#[derive(Debug)]
pub(super) struct Manifest {
    dir: PathBuf,
    base: Option<String>,
    increments: Vec<String>,
}

impl Manifest {
    /// The manifest of a directory.
    pub(super) fn find(dir: &Path) -> Result<Manifest, ImportError> {
        let io = |error: std::io::Error| ImportFault::from(error).at(dir, 0);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path.extension().is_some_and(|extension| extension == "manifest") {
                found.push(path);
            }
        }
        match &found[..] {
            [path] => Manifest::read(path),
            _ => Err(ImportFault::Manifests(found.len()).at(dir, 0)),
        }
    }

    /// Reads a manifest.
    pub(super) fn read(path: &Path) -> Result<Manifest, ImportError> {
        let text = std::fs::read(path).map_err(|error| ImportFault::from(error).at(path, 0))?;
        let dir = path.parent().unwrap_or(Path::new("")).to_owned();
        parse(&text, dir).map_err(|(line, what)| ImportFault::Manifest { line, what }.at(path, 0))
    }

    /// Base and increments as paths, in the order in which they are loaded.
    pub(super) fn parts(&self) -> Vec<PathBuf> {
        self.base.iter().chain(&self.increments).map(|name| self.dir.join(name)).collect()
    }
}

fn parse(text: &[u8], dir: PathBuf) -> Result<Manifest, (usize, &'static str)> {
    let mut manifest = Manifest { dir, base: None, increments: Vec::new() };
    let mut last_seq = 0;
    let body = text.strip_suffix(b"\n").ok_or((1, "no line, or a last one without end"))?;
    for (at, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if line.starts_with(b"#") {
            continue;
        }
        let File { name, seq, kind } = file(line).map_err(|what| (at + 1, what))?;
        match kind {
            b'b' if manifest.base.is_some() => return Err((at + 1, "a second base")),
            b'b' => manifest.base = Some(name),
            b'i' if seq <= last_seq => return Err((at + 1, "sequence numbers do not ascend")),
            b'i' => {
                last_seq = seq;
                manifest.increments.push(name);
            }
            b'h' => {}
            _ => return Err((at + 1, "unknown file type")),
        }
    }
    Ok(manifest)
}

struct File {
    name: String,
    seq: u64,
    kind: u8,
}

fn file(line: &[u8]) -> Result<File, &'static str> {
    let words = words(line).ok_or("unbalanced quotes")?;
    let (pairs, odd) = words.as_chunks::<2>();
    if !odd.is_empty() || pairs.len() < 3 {
        return Err("not pairs of names and values");
    }
    let find = |name: &str| {
        pairs.iter().find(|[key, _]| key.eq_ignore_ascii_case(name.as_bytes())).map(|[_, v]| v)
    };
    let name = find("file").ok_or("no file name")?;
    let name = String::from_utf8(name.clone()).map_err(|_| "a file name that is not UTF-8")?;
    if name.is_empty() || name.contains('/') || name == ".." || name == "." {
        return Err("a file name that is a path");
    }
    let seq = find("seq").and_then(|v| std::str::from_utf8(v).ok()?.parse().ok()).unwrap_or(0);
    let kind = find("type").and_then(|v| v.first().copied());
    match kind {
        Some(kind) if seq > 0 => Ok(File { name, seq, kind }),
        _ => Err("no sequence number or type"),
    }
}

/// Words as redis.conf has them: apart by spaces, in quotes where needed. `None` when a quote is not closed.
fn words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii();
    while let Some((&first, tail)) = rest.split_first() {
        let mut word = Vec::new();
        if first == b'"' || first == b'\'' {
            rest = quoted(tail, first, &mut word)?;
            if rest.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
                return None;
            }
        } else {
            let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
            let (plain, tail) = rest.split_at(end);
            word.extend_from_slice(plain);
            rest = tail;
        }
        words.push(word);
        rest = rest.trim_ascii_start();
    }
    Some(words)
}

/// Reads up to the closing quote; what follows it.
fn quoted<'a>(mut rest: &'a [u8], quote: u8, word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (&byte, tail) = rest.split_first()?;
        rest = tail;
        match byte {
            byte if byte == quote => return Some(rest),
            b'\\' if quote == b'"' => {
                let (&escape, tail) = rest.split_first()?;
                rest = tail;
                match escape {
                    b'x' => {
                        let (digits, tail) = rest.split_at_checked(2)?;
                        rest = tail;
                        let digits = std::str::from_utf8(digits).ok()?;
                        word.push(u8::from_str_radix(digits, 16).ok()?);
                    }
                    b'n' => word.push(b'\n'),
                    b'r' => word.push(b'\r'),
                    b't' => word.push(b'\t'),
                    b'b' => word.push(8),
                    b'a' => word.push(7),
                    other => word.push(other),
                }
            }
            b'\\' if rest.starts_with(b"'") => {
                word.push(b'\'');
                rest = rest.get(1..)?;
            }
            byte => word.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Result<Vec<String>, (usize, &'static str)> {
        let manifest = parse(text.as_bytes(), PathBuf::from("d"))?;
        Ok(manifest.parts().iter().map(|p| p.to_string_lossy().into_owned()).collect())
    }

    #[test]
    fn base_and_increments_are_listed_and_history_is_passed_over() {
        let text = "# comment\nfile a.1.base.rdb seq 1 type b\nfile a.0.incr.aof seq 9 type h\n\
                    file a.1.incr.aof seq 1 type i\nfile \"a b\\x41.incr.aof\" seq 2 type i\n";
        assert_eq!(parts(text).unwrap(), ["d/a.1.base.rdb", "d/a.1.incr.aof", "d/a bA.incr.aof"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_line() {
        for (text, line) in [
            ("", 1),
            ("file a seq 1 type b", 1),
            ("file a seq 1 type b\nfile b seq 2 type b\n", 2),
            ("file a seq 2 type i\nfile b seq 2 type i\n", 2),
            ("file ../a seq 1 type b\n", 1),
            ("file a seq 1 type x\n", 1),
            ("file a seq 1\n", 1),
            ("file a seq x type b\n", 1),
            ("\n", 1),
            ("file \"a seq 1 type b\n", 1),
        ] {
            assert_eq!(parts(text).unwrap_err().0, line, "{text:?}");
        }
    }
}
