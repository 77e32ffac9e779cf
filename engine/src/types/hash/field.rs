//! A field with its value in one allocation.
//!
//! ```text
//! field_len <= 254: field_len:u8  field  value        else: 255 field_len:u32le  field  value
//! ```

use crate::raw::{Thin, size_class};
use crate::types::dict::Element;

/// A field and its value.
#[derive(Debug, Clone)]
pub(super) struct Field(Thin);

impl Field {
    pub(super) fn new(field: &[u8], value: &[u8]) -> Field {
        // A command's argument is shorter than 4 GiB.
        let len = u32::try_from(field.len()).unwrap_or(u32::MAX);
        let long = len.to_le_bytes();
        match len {
            0..=254 => Field(Thin::concat(&[&long[..1], field, value])),
            _ => Field(Thin::concat(&[&[255], &long, field, value])),
        }
    }

    /// Field and value.
    pub(super) fn pair(&self) -> (&[u8], &[u8]) {
        let bytes = self.0.bytes();
        let (len, rest) = match bytes {
            [255, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
            [len, rest @ ..] => (usize::from(*len), rest),
            [] => (0, bytes),
        };
        rest.split_at_checked(len).unwrap_or_default()
    }

    pub(super) fn value(&self) -> &[u8] {
        self.pair().1
    }
}

impl Element for Field {
    fn key(&self) -> &[u8] {
        self.pair().0
    }
    fn heap_bytes(&self) -> usize {
        size_class(self.0.alloc_bytes())
    }
}
