//! The `struct` library: values to bytes and back, as a format says.

use mlua::{Lua, Table, Value};

use crate::value::{Arguments, Raise, define, number, position, raise, string, to_number};

/// The widest integer, in bytes.
const INTEGER_BYTES_MAX: usize = 32;
/// Results of one `unpack`.
const RESULTS_MAX: usize = 7900;

/// Makes its table.
pub(crate) fn open(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    define(lua, &table, "pack", pack)?;
    define(lua, &table, "unpack", unpack)?;
    define(lua, &table, "size", |_, args| size(&args))?;
    Ok(table)
}

/// A format being read.
struct Format<'a> {
    rest: &'a [u8],
    big: bool,
    align: usize,
}

impl<'a> Format<'a> {
    fn new(format: &'a [u8]) -> Format<'a> {
        let end = format.iter().position(|byte| *byte == 0).unwrap_or(format.len());
        Format { rest: format.get(..end).unwrap_or_default(), big: false, align: 1 }
    }

    /// The next option and its size.
    fn next(&mut self) -> Result<Option<(u8, usize)>, Raise> {
        let Some((option, rest)) = self.rest.split_first() else { return Ok(None) };
        self.rest = rest;
        let size = match option {
            b'B' | b'b' | b'x' => 1,
            b'H' | b'h' => 2,
            b'L' | b'l' | b'T' | b'd' => 8,
            b'f' => 4,
            b'c' => self.count(1)?,
            b'i' | b'I' => {
                let size = self.count(4)?;
                if size > INTEGER_BYTES_MAX {
                    return raise(format!(
                        "integral size {size} is larger than limit of {INTEGER_BYTES_MAX}"
                    ));
                }
                size
            }
            _ => 0,
        };
        Ok(Some((*option, size)))
    }

    fn count(&mut self, default: usize) -> Result<usize, Raise> {
        let mut value = None;
        while let Some((digit, rest)) = self.rest.split_first()
            && digit.is_ascii_digit()
        {
            let next = value.unwrap_or(0i32).checked_mul(10);
            let next = next.and_then(|value| value.checked_add(i32::from(digit - b'0')));
            let Some(next) = next else { return raise("integral size overflow") };
            value = Some(next);
            self.rest = rest;
        }
        Ok(value.map_or(default, |value| usize::try_from(value).unwrap_or(0)))
    }

    /// Bytes to skip before an option of this size.
    fn padding(&self, at: usize, option: u8, size: usize) -> usize {
        if size == 0 || option == b'c' {
            return 0;
        }
        let size = size.min(self.align);
        size.wrapping_sub(at & size.wrapping_sub(1)) & size.wrapping_sub(1)
    }

    fn control(&mut self, option: u8) -> Result<(), Raise> {
        match option {
            b' ' => {}
            b'>' => self.big = true,
            b'<' => self.big = false,
            b'!' => {
                let align = self.count(8)?;
                if !align.is_power_of_two() {
                    return raise(format!("alignment {align} is not a power of 2"));
                }
                self.align = align;
            }
            other => {
                let option = char::from(other);
                return Err(Raise::Argument(1, format!("invalid format option '{option}'")));
            }
        }
        Ok(())
    }
}

fn is_integer(option: u8) -> bool {
    b"bBhHlLTiI".contains(&option)
}

fn pack(lua: &Lua, mut args: Arguments) -> Result<Value, Raise> {
    let text = args.string(1)?;
    // As with Redis, the first argument that is missing counts as nil.
    args.push_nil();
    let mut format = Format::new(&text);
    let (mut out, mut arg) = (Vec::new(), 2);
    while let Some((option, size)) = format.next()? {
        out.resize(out.len() + format.padding(out.len(), option, size), 0);
        match option {
            _ if is_integer(option) => {
                put_integer(&mut out, args.number(arg)?, size, format.big);
                arg += 1;
            }
            b'x' => out.push(0),
            b'f' => {
                #[expect(clippy::cast_possible_truncation, reason = "a float is what is asked for")]
                let value = args.number(arg)? as f32;
                put(&mut out, value.to_le_bytes(), format.big);
                arg += 1;
            }
            b'd' => {
                put(&mut out, args.number(arg)?.to_le_bytes(), format.big);
                arg += 1;
            }
            b'c' | b's' => {
                let value = args.string(arg)?;
                arg += 1;
                let size = if size == 0 { value.len() } else { size };
                let Some(value) = value.get(..size) else {
                    return Err(Raise::Argument(position(arg), "string too short".to_owned()));
                };
                out.extend_from_slice(value);
                if option == b's' {
                    out.push(0);
                }
            }
            other => format.control(other)?,
        }
    }
    string(lua, out)
}

fn put<const N: usize>(out: &mut Vec<u8>, mut bytes: [u8; N], big: bool) {
    if big {
        bytes.reverse();
    }
    out.extend_from_slice(&bytes);
}

fn put_integer(out: &mut Vec<u8>, value: f64, size: usize, big: bool) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, which C leaves open"
    )]
    let value = if value < 0.0 { (value as i64).cast_unsigned() } else { value as u64 };
    let mut bytes = [0; INTEGER_BYTES_MAX];
    for (at, byte) in bytes.iter_mut().enumerate().take(8) {
        *byte = u8::try_from(value >> (8 * at) & 0xff).unwrap_or(0);
    }
    let Some(bytes) = bytes.get_mut(..size) else { return };
    if big {
        bytes.reverse();
    }
    out.extend_from_slice(bytes);
}

fn get_integer(bytes: &[u8], big: bool, signed: bool) -> f64 {
    let mut value = 0u64;
    let mut take = |byte: &u8| value = value << 8 | u64::from(*byte);
    if big {
        bytes.iter().for_each(&mut take)
    } else {
        bytes.iter().rev().for_each(&mut take)
    }
    #[expect(clippy::cast_precision_loss, reason = "numbers of Lua are doubles")]
    if !signed {
        return value as f64;
    }
    let bits = bytes.len() * 8;
    // The sign's bit is moved to the top and back, which extends it.
    let unused = if bits == 0 { 0 } else { 64usize.saturating_sub(bits) };
    #[expect(clippy::cast_precision_loss, reason = "as above")]
    let value = ((value << unused).cast_signed() >> unused) as f64;
    value
}

fn unpack(lua: &Lua, args: Arguments) -> Result<mlua::Variadic<Value>, Raise> {
    let (text, data) = (args.string(1)?, args.string(2)?);
    let at = args.integer_or(3, 1)?;
    // A negative offset is a huge one in C, and no data is there.
    let mut at = match usize::try_from(at) {
        Ok(0) => return Err(Raise::Argument(3, "offset must be 1 or greater".to_owned())),
        Ok(at) => at - 1,
        Err(_) => usize::MAX,
    };
    let mut format = Format::new(&text);
    let mut results: Vec<Value> = Vec::new();
    let short = || Raise::Argument(2, "data string too short".to_owned());
    while let Some((option, size)) = format.next()? {
        at = at.saturating_add(format.padding(at, option, size));
        let end = at.checked_add(size).ok_or_else(short)?;
        let item = data.get(at..end).ok_or_else(short)?;
        if results.len() > RESULTS_MAX {
            return raise("stack overflow (too many results)");
        }
        at = end;
        match option {
            _ if is_integer(option) => {
                let signed = option.is_ascii_lowercase();
                results.push(number(get_integer(item, format.big, signed)));
            }
            b'x' => {}
            b'f' => results.push(number(f64::from(f32::from_le_bytes(get(item, format.big))))),
            b'd' => results.push(number(f64::from_le_bytes(get(item, format.big)))),
            b'c' if size == 0 => {
                let Some(size) = results.pop().as_ref().and_then(to_number) else {
                    return raise("format 'c0' needs a previous size");
                };
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "saturates, and is checked"
                )]
                let end = at.checked_add(size as usize).ok_or_else(short)?;
                results.push(string(lua, data.get(at..end).ok_or_else(short)?)?);
                at = end;
            }
            b'c' => results.push(string(lua, item)?),
            b's' => {
                let rest = data.get(at..).unwrap_or_default();
                let Some(len) = rest.iter().position(|byte| *byte == 0) else {
                    return raise("unfinished string in data");
                };
                results.push(string(lua, rest.get(..len).unwrap_or_default())?);
                at += len + 1;
            }
            other => format.control(other)?,
        }
    }
    results.push(number(at as f64 + 1.0));
    Ok(results.into_iter().collect())
}

fn get<const N: usize>(item: &[u8], big: bool) -> [u8; N] {
    let mut bytes: [u8; N] = item.try_into().unwrap_or([0; N]);
    if big {
        bytes.reverse();
    }
    bytes
}

fn size(args: &Arguments) -> Result<Value, Raise> {
    let text = args.string(1)?;
    let mut format = Format::new(&text);
    let mut total = 0usize;
    while let Some((option, size)) = format.next()? {
        total = total.saturating_add(format.padding(total, option, size));
        if option == b's' {
            return Err(Raise::Argument(1, "option 's' has no fixed size".to_owned()));
        }
        if option == b'c' && size == 0 {
            return Err(Raise::Argument(1, "option 'c0' has no fixed size".to_owned()));
        }
        if !option.is_ascii_alphanumeric() {
            format.control(option)?;
        }
        total = total.saturating_add(size);
    }
    Ok(number(total as f64))
}
