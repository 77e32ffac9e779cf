//! What was denied lately: ACL LOG. Events that are alike within a minute are one entry with a count.

use std::collections::VecDeque;

/// Entries looked at for one that is alike.
const COMPARED_MAX: usize = 10;
/// Time between events that still are one entry.
const ALIKE_WITHIN_MS: u64 = 60_000;

/// Where it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// A command by itself.
    TopLevel,
    /// A command of a transaction, when it was queued or run.
    Multi,
    /// A command of a script.
    Lua,
}

impl Context {
    /// Its name in ACL LOG.
    pub fn name(self) -> &'static str {
        match self {
            Context::TopLevel => "toplevel",
            Context::Multi => "multi",
            Context::Lua => "lua",
        }
    }
}

/// Something that was denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// `command`, `key`, `channel` or `auth`.
    pub reason: &'static str,
    /// Where.
    pub context: Context,
    /// The command, key or channel.
    pub object: Vec<u8>,
    /// Who tried.
    pub username: Vec<u8>,
}

/// An entry: a happening and those like it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its number, from 0 on.
    pub id: u64,
    /// What happened.
    pub what: Happening,
    /// How often.
    pub count: u64,
    /// The last client that it happened to, as CLIENT LIST shows it.
    pub client_info: String,
    /// When it happened first, in ms since 1970.
    pub created_ms: i64,
    /// When it happened last, in ms since 1970.
    pub updated_ms: i64,
}

/// The log, the latest entry first.
#[derive(Debug, Default)]
pub struct AclLog {
    entries: VecDeque<LogEntry>,
    next_id: u64,
}

impl AclLog {
    /// Notes an event and keeps at most `len_max` entries.
    pub fn add(&mut self, what: Happening, client_info: String, now_ms: i64, len_max: usize) {
        let alike = |entry: &LogEntry| {
            entry.what == what && entry.updated_ms.abs_diff(now_ms) <= ALIKE_WITHIN_MS
        };
        let known = self.entries.iter().take(COMPARED_MAX).position(alike);
        if let Some(mut entry) = known.and_then(|at| self.entries.remove(at)) {
            entry.count += 1;
            entry.client_info = client_info;
            entry.updated_ms = now_ms;
            self.entries.push_front(entry);
            return;
        }
        let id = self.next_id;
        self.next_id += 1;
        let (created_ms, updated_ms) = (now_ms, now_ms);
        self.entries.push_front(LogEntry {
            id,
            what,
            count: 1,
            client_info,
            created_ms,
            updated_ms,
        });
        self.entries.truncate(len_max);
    }

    /// The latest `count` entries.
    pub fn latest(&self, count: usize) -> Vec<LogEntry> {
        self.entries.iter().take(count).cloned().collect()
    }

    /// Forgets all.
    pub fn reset(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(object: &str) -> Happening {
        Happening {
            reason: "key",
            context: Context::TopLevel,
            object: object.into(),
            username: b"ann".to_vec(),
        }
    }

    #[test]
    fn alike_events_are_one_entry_for_a_minute() {
        let mut log = AclLog::default();
        for (object, now_ms) in [("a", 0), ("b", 10), ("a", 60_000), ("b", 60_011)] {
            log.add(denied(object), format!("at {now_ms}"), now_ms, 128);
        }
        let entries = log.latest(9);
        let told: Vec<_> =
            entries.iter().map(|e| (e.id, &*e.what.object, e.count, &*e.client_info)).collect();
        let expected: [(u64, &[u8], u64, &str); 3] =
            [(2, b"b", 1, "at 60011"), (0, b"a", 2, "at 60000"), (1, b"b", 1, "at 10")];
        assert_eq!(told, expected);
        assert_eq!(log.latest(1).len(), 1);
        let mut multi = denied("a");
        multi.context = Context::Multi;
        log.add(multi, String::new(), 60_020, 2);
        assert_eq!(log.latest(9).len(), 2, "no longer than asked for");
        log.reset();
        assert!(log.latest(9).is_empty());
    }
}
