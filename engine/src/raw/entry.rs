//! One key with its value and expiry.

use crate::types::{Value, ValueMut, ValueRef};

/// A key with its value and optional expiry.
#[derive(Debug, Clone)]
pub struct Entry {
    key: Vec<u8>,
    value: Value,
    expire_at_ms: Option<i64>,
}

impl Entry {
    /// An entry of any value.
    pub fn new(key: &[u8], value: Value, expire_at_ms: Option<i64>) -> Entry {
        Entry { key: key.to_vec(), value, expire_at_ms }
    }
    /// An entry of a string; an integer in canonical form is kept as one.
    pub fn new_str(key: &[u8], bytes: &[u8], expire_at_ms: Option<i64>) -> Entry {
        Entry::new(key, Value::from_str_bytes(bytes), expire_at_ms)
    }
    /// The key.
    pub fn key(&self) -> &[u8] {
        &self.key
    }
    /// When it expires, in ms since 1970.
    pub fn expire_at_ms(&self) -> Option<i64> {
        self.expire_at_ms
    }
    /// Sets or removes the expiry (only through the keyspace, which indexes expiries).
    pub(crate) fn set_expire_at_ms(&mut self, at: Option<i64>) {
        self.expire_at_ms = at;
    }
    /// The value.
    pub fn value(&self) -> ValueRef<'_> {
        self.value.as_ref()
    }
    /// The collection in it, to be changed.
    pub fn value_mut(&mut self) -> ValueMut<'_> {
        self.value.as_mut()
    }
    /// Replaces the value.
    pub fn set_value(&mut self, value: Value) {
        self.value = value;
    }
    /// Replaces the value by a string; an integer in canonical form is kept as one.
    pub fn set_str(&mut self, bytes: &[u8]) {
        self.value = Value::from_str_bytes(bytes);
    }
    /// Replaces the value by an integer.
    pub fn set_int(&mut self, value: i64) {
        self.value = Value::Int(value);
    }
    /// Appends to a string (an integer is written out first); the new length in bytes. 0 when it is no string.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let Some(buf) = self.str_buf() else { return 0 };
        buf.extend_from_slice(bytes);
        buf.len()
    }
    /// A string's bytes to be changed in place, grown with zeros to at least `len` bytes. Empty when it is no string.
    pub fn bytes_mut(&mut self, len: usize) -> &mut [u8] {
        let Some(buf) = self.str_buf() else { return &mut [] };
        if buf.len() < len {
            buf.resize(len, 0);
        }
        buf
    }
    /// Key, value and expiry, taken apart.
    pub fn into_parts(self) -> (Vec<u8>, Value, Option<i64>) {
        (self.key, self.value, self.expire_at_ms)
    }
    /// Bytes held, the entry itself included.
    pub fn memory_bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().memory_bytes() + 32
    }

    fn str_buf(&mut self) -> Option<&mut Vec<u8>> {
        if let Value::Int(n) = self.value {
            self.value = Value::Bytes(n.to_string().into_bytes());
        }
        if let Value::Bytes(buf) = &mut self.value { Some(buf) } else { None }
    }
}
