//! Which entries consumer groups still need, and trimming that minds it.

use super::{Stream, StreamId, Trim};

impl Stream {
    /// True when a group has still to read the entry or to acknowledge it.
    pub fn is_needed(&self, id: StreamId) -> bool {
        self.groups.values().any(|group| id > group.last_id || group.pending().contains_key(&id))
    }

    /// Ids of the entries that [`Stream::trim`] would remove, were those that `may_go` spares not there to be removed.
    pub fn trimmable(
        &self,
        what: Trim,
        whole_blocks: bool,
        limit: u64,
        may_go: impl Fn(StreamId) -> bool,
    ) -> Vec<StreamId> {
        let (mut ids, mut left) = (Vec::new(), self.len);
        for (master, block) in &self.blocks {
            if matches!(what, Trim::MaxLen(max) if left <= max) {
                break;
            }
            let live = block.live();
            if limit > 0 && ids.len() as u64 + live > limit {
                break;
            }
            let whole = match what {
                Trim::MaxLen(max) => left - live >= max,
                Trim::MinId(min) => block.last_id(*master) < min,
            };
            if whole_blocks && !whole {
                break;
            }
            for entry in block.entries(*master) {
                let is_enough = match what {
                    Trim::MaxLen(max) => left <= max,
                    Trim::MinId(min) => entry.id >= min,
                };
                if is_enough {
                    return ids;
                }
                if may_go(entry.id) {
                    ids.push(entry.id);
                    left -= 1;
                }
            }
        }
        ids
    }
}
