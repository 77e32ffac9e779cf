//! BY and GET patterns: a key's name with `*` for the element, or `key->field` for a hash's field.

use crate::keyspace::Db;
use crate::types::{Hash, Object, ValueRef};

/// A pattern, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// No `*`: names nothing.
    Nothing,
    /// What comes before and after the element in the key's name, and the field, if it is one of a hash.
    Key { before: &'a [u8], after: &'a [u8], field: Option<&'a [u8]> },
}

impl<'a> Pattern<'a> {
    pub(super) fn new(text: &'a [u8]) -> Pattern<'a> {
        if text == b"#" {
            return Pattern::Element;
        }
        let Some(star) = memchr::memchr(b'*', text) else { return Pattern::Nothing };
        let (before, rest) = text.split_at(star);
        let after = rest.get(1..).unwrap_or_default();
        match memchr::memmem::find(after, b"->") {
            Some(arrow) if arrow + 2 < after.len() => {
                let (name, field) = after.split_at(arrow);
                Pattern::Key { before, after: name, field: field.get(2..) }
            }
            _ => Pattern::Key { before, after, field: None },
        }
    }

    /// What the pattern names for an element.
    pub(super) fn look_up(self, db: &mut Db<'_>, element: &[u8]) -> Option<Vec<u8>> {
        let field = match self {
            Pattern::Element => return Some(element.to_vec()),
            Pattern::Nothing => return None,
            Pattern::Key { field, .. } => field,
        };
        let value: ValueRef<'_> = db.get(&self.key_name(element)?)?.value();
        let mut scratch = itoa::Buffer::new();
        match field {
            Some(field) => Some(Hash::from_ref(value)?.get(field)?.to_vec()),
            None => Some(value.str_bytes(&mut scratch).ok()?.to_vec()),
        }
    }

    /// The key that the pattern names for an element.
    pub(super) fn key_name(self, element: &[u8]) -> Option<Vec<u8>> {
        match self {
            Pattern::Element | Pattern::Nothing => None,
            Pattern::Key { before, after, .. } => Some([before, element, after].concat()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn patterns_are_taken_apart() {
        let key = |before, after, field| Pattern::Key { before, after, field };
        assert_eq!(Pattern::new(b"#"), Pattern::Element);
        assert_eq!(Pattern::new(b"plain"), Pattern::Nothing);
        assert_eq!(Pattern::new(b"w_*"), key(b"w_", b"", None));
        assert_eq!(Pattern::new(b"w_*_x->f"), key(b"w_", b"_x", Some(b"f")));
        assert_eq!(Pattern::new(b"w_*->"), key(b"w_", b"->", None));
        assert_eq!(Pattern::new(b"w->f*"), key(b"w->f", b"", None));
    }
}
