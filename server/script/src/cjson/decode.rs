//! JSON to values.

use mlua::{Lua, Value};

use super::Settings;
use crate::number::strtod;
use crate::value::{Raise, number, raise, string};

/// Values within values, whatever the settings allow: each costs references of the interpreter and a part of the C stack.
const DEPTH_MAX: i64 = 1900;

/// The value of a JSON text.
pub(super) fn decode(lua: &Lua, settings: &Settings, text: &[u8]) -> Result<Value, Raise> {
    if text.len() >= 2 && text.iter().take(2).any(|byte| *byte == 0) {
        return raise("JSON parser does not support UTF-16 or UTF-32");
    }
    let mut parser = Parser { lua, settings, text, at: 0, depth: 0 };
    let first = parser.next();
    let value = parser.value(first)?;
    match parser.next() {
        Token { kind: Kind::End, .. } => Ok(value),
        other => expected("the end", &other),
    }
}

enum Kind {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Text(Vec<u8>),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Wrong(&'static str),
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Kind::ObjectBegin => "T_OBJ_BEGIN",
            Kind::ObjectEnd => "T_OBJ_END",
            Kind::ArrayBegin => "T_ARR_BEGIN",
            Kind::ArrayEnd => "T_ARR_END",
            Kind::Text(_) => "T_STRING",
            Kind::Number(_) => "T_NUMBER",
            Kind::Boolean(_) => "T_BOOLEAN",
            Kind::Null => "T_NULL",
            Kind::Colon => "T_COLON",
            Kind::Comma => "T_COMMA",
            Kind::End => "T_END",
            Kind::Wrong(what) => what,
        }
    }
}

struct Token {
    kind: Kind,
    /// Where it begins; where the error is.
    at: usize,
}

fn expected<T>(what: &str, found: &Token) -> Result<T, Raise> {
    let (found, at) = (found.kind.name(), found.at + 1);
    raise(format!("Expected {what} but found {found} at character {at}"))
}

struct Parser<'a> {
    lua: &'a Lua,
    settings: &'a Settings,
    text: &'a [u8],
    at: usize,
    depth: i64,
}

impl Parser<'_> {
    /// The byte `ahead` of here; 0 behind the end, as C's strings have it.
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn next(&mut self) -> Token {
        while matches!(self.peek(0), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        let at = self.at;
        let single = match self.peek(0) {
            b'{' => Kind::ObjectBegin,
            b'}' => Kind::ObjectEnd,
            b'[' => Kind::ArrayBegin,
            b']' => Kind::ArrayEnd,
            b',' => Kind::Comma,
            b':' => Kind::Colon,
            0 => return Token { kind: Kind::End, at },
            _ => return self.word(at),
        };
        self.at += 1;
        Token { kind: single, at }
    }

    fn word(&mut self, at: usize) -> Token {
        let wrong = |what| Token { kind: Kind::Wrong(what), at };
        let rest = self.text.get(self.at..).unwrap_or_default();
        match self.peek(0) {
            b'"' => return self.quoted(at),
            b'-' | b'0'..=b'9' => {
                if !self.settings.decode_invalid_numbers && is_invalid_number(rest) {
                    return wrong("invalid number");
                }
                return self.number(at);
            }
            b'f' | b'i' | b'I' | b'n' | b'N' | b't' | b'+' => {}
            _ => return wrong("invalid token"),
        }
        for (word, kind) in
            [("true", Kind::Boolean(true)), ("false", Kind::Boolean(false)), ("null", Kind::Null)]
        {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return Token { kind, at };
            }
        }
        if self.settings.decode_invalid_numbers && is_invalid_number(rest) {
            return self.number(at);
        }
        wrong("invalid token")
    }

    fn number(&mut self, at: usize) -> Token {
        match strtod(self.text.get(self.at..).unwrap_or_default()) {
            Some((value, len)) => {
                self.at += len;
                Token { kind: Kind::Number(value), at }
            }
            None => Token { kind: Kind::Wrong("invalid number"), at },
        }
    }

    fn quoted(&mut self, at: usize) -> Token {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match self.peek(0) {
                b'"' => break,
                0 => return self.wrong_here("unexpected end of string"),
                b'\\' => {
                    let plain = match self.peek(1) {
                        plain @ (b'"' | b'\\' | b'/') => plain,
                        b'b' => 0x08,
                        b't' => b'\t',
                        b'n' => b'\n',
                        b'f' => 0x0c,
                        b'r' => b'\r',
                        b'u' => {
                            if !self.unicode(&mut text) {
                                return self.wrong_here("invalid unicode escape code");
                            }
                            continue;
                        }
                        _ => return self.wrong_here("invalid escape code"),
                    };
                    text.push(plain);
                    self.at += 2;
                }
                byte => {
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        Token { kind: Kind::Text(text), at }
    }

    fn wrong_here(&self, what: &'static str) -> Token {
        Token { kind: Kind::Wrong(what), at: self.at }
    }

    fn hex4(&self, ahead: usize) -> Option<u32> {
        let digits = self.text.get(self.at + ahead..self.at + ahead + 4)?;
        digits
            .iter()
            .try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
    }

    /// A `\uXXXX` or a pair of them.
    fn unicode(&mut self, text: &mut Vec<u8>) -> bool {
        let Some(mut code) = self.hex4(2) else { return false };
        let mut len = 6;
        if code & 0xf800 == 0xd800 {
            if code & 0x400 != 0 || self.peek(6) != b'\\' || self.peek(7) != b'u' {
                return false;
            }
            let Some(low) = self.hex4(8).filter(|low| low & 0xfc00 == 0xdc00) else { return false };
            code = ((code & 0x3ff) << 10 | low & 0x3ff) + 0x10000;
            len = 12;
        }
        let Some(letter) = char::from_u32(code) else { return false };
        text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        self.at += len;
        true
    }

    fn descend(&mut self) -> Result<(), Raise> {
        self.depth += 1;
        if self.depth > self.settings.decode_depth_max.min(DEPTH_MAX) {
            let (depth, at) = (self.depth, self.at);
            return raise(format!(
                "Found too many nested data structures ({depth}) at character {at}"
            ));
        }
        Ok(())
    }

    fn value(&mut self, token: Token) -> Result<Value, Raise> {
        match token.kind {
            Kind::Text(text) => string(self.lua, text),
            Kind::Number(value) => Ok(number(value)),
            Kind::Boolean(value) => Ok(Value::Boolean(value)),
            Kind::Null => Ok(Value::NULL),
            Kind::ObjectBegin => self.object(),
            Kind::ArrayBegin => self.array(),
            _ => expected("value", &token),
        }
    }

    fn object(&mut self) -> Result<Value, Raise> {
        self.descend()?;
        let table = self.lua.create_table()?;
        let mut token = self.next();
        if !matches!(token.kind, Kind::ObjectEnd) {
            loop {
                let Kind::Text(key) = token.kind else {
                    return expected("object key string", &token);
                };
                let colon = self.next();
                if !matches!(colon.kind, Kind::Colon) {
                    return expected("colon", &colon);
                }
                let first = self.next();
                let value = self.value(first)?;
                table.raw_set(self.lua.create_string(key)?, value)?;
                token = self.next();
                match token.kind {
                    Kind::ObjectEnd => break,
                    Kind::Comma => token = self.next(),
                    _ => return expected("comma or object end", &token),
                }
            }
        }
        self.depth -= 1;
        Ok(Value::Table(table))
    }

    fn array(&mut self) -> Result<Value, Raise> {
        self.descend()?;
        let table = self.lua.create_table()?;
        let mut token = self.next();
        let mut index = 0i64;
        if !matches!(token.kind, Kind::ArrayEnd) {
            loop {
                index += 1;
                let value = self.value(token)?;
                table.raw_set(index, value)?;
                token = self.next();
                match token.kind {
                    Kind::ArrayEnd => break,
                    Kind::Comma => token = self.next(),
                    _ => return expected("comma or array end", &token),
                }
            }
        }
        self.depth -= 1;
        Ok(Value::Table(table))
    }
}

/// What `strtod` takes although JSON does not have it.
fn is_invalid_number(text: &[u8]) -> bool {
    let at = |index: usize| text.get(index).copied().unwrap_or(0);
    if at(0) == b'+' {
        return true;
    }
    let start = usize::from(at(0) == b'-');
    if at(start) == b'0' {
        return at(start + 1) | 0x20 == b'x' || at(start + 1).is_ascii_digit();
    }
    if at(start) <= b'9' {
        return false;
    }
    let word = text.get(start..start + 3).unwrap_or_default();
    word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan")
}
