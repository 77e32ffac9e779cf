//! When fields of a hash expire. Only a hash with such fields has one of these.
//!
//! Invariant: `of` and `order` say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// About what a field takes in the two trees beside its own bytes.
const FIELD_BYTES: usize = 96;

/// Fields with the time, in ms since 1970, at which each is gone.
#[derive(Debug, Clone, Default)]
pub(super) struct Times {
    of: BTreeMap<Arc<[u8]>, i64>,
    order: BTreeSet<(i64, Arc<[u8]>)>,
    fields_bytes: usize,
}

impl Times {
    pub(super) fn get(&self, field: &[u8]) -> Option<i64> {
        self.of.get(field).copied()
    }

    pub(super) fn set(&mut self, field: &[u8], at_ms: i64) {
        let field: Arc<[u8]> = match self.of.get_key_value(field) {
            Some((known, before)) => {
                let known = Arc::clone(known);
                self.order.remove(&(*before, Arc::clone(&known)));
                known
            }
            None => {
                self.fields_bytes += field.len();
                field.into()
            }
        };
        self.of.insert(Arc::clone(&field), at_ms);
        self.order.insert((at_ms, field));
    }

    pub(super) fn remove(&mut self, field: &[u8]) {
        if let Some((field, at_ms)) = self.of.remove_entry(field) {
            self.fields_bytes = self.fields_bytes.saturating_sub(field.len());
            self.order.remove(&(at_ms, field));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    pub(super) fn earliest(&self) -> Option<i64> {
        self.order.first().map(|(at_ms, _)| *at_ms)
    }

    pub(super) fn latest(&self) -> Option<i64> {
        self.order.last().map(|(at_ms, _)| *at_ms)
    }

    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    /// Those that are due by `now_ms`, the earliest first.
    pub(super) fn due(&self, now_ms: i64) -> impl Iterator<Item = (&[u8], i64)> {
        self.iter().take_while(move |(_, at_ms)| *at_ms <= now_ms)
    }

    /// Fields and times, the earliest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], i64)> {
        self.order.iter().map(|(at_ms, field)| (field.as_ref(), *at_ms))
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.of.len() * FIELD_BYTES + self.fields_bytes
    }
}
