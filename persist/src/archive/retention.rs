//! What of an archive may go.
//!
//! Invariant: a base goes only when a later one is there; frames go only with all bases that need them. So whatever instants
//! are left begin with a base and have no gap that was not there before.

use super::catalog::History;
use super::error::ArchiveError;
use super::names::ObjectName;
use super::store::Store;

/// How much is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Every instant since so many milliseconds ago; none: by bytes only.
    pub window_ms: Option<u64>,
    /// Above so many bytes the oldest go, whatever the window; none: however many there are.
    pub bytes_max: Option<u64>,
}

impl Retention {
    /// What is not needed any more, bases first.
    pub(super) fn removable(&self, history: &History, now_ms: u64) -> Vec<ObjectName> {
        let bases = history.valid_bases();
        let Some(newest) = bases.last().map(|base| base.cut_gsn) else { return Vec::new() };
        // The newest base that is old enough serves all that is younger.
        let edge_ms = self.window_ms.map(|window| now_ms.saturating_sub(window));
        let old = |edge: u64| bases.iter().rev().find(|base| base.time_ms <= edge);
        let mut keep_gsn = edge_ms.and_then(old).map_or(0, |base| base.cut_gsn);
        if let Some(bytes_max) = self.bytes_max {
            let from = keep_gsn;
            let mut cuts = bases.iter().map(|base| base.cut_gsn).filter(|cut| *cut > from);
            while history.bytes() - bytes_below(history, keep_gsn) > bytes_max {
                let Some(next) = cuts.next() else { break };
                keep_gsn = next;
            }
        }
        let keep_gsn = keep_gsn.min(newest);
        let mut out = Vec::new();
        let gone = history.bases.iter().filter(|(base, _)| base.cut_gsn < keep_gsn);
        out.extend(gone.map(|(base, _)| ObjectName::Base(*base)));
        let gone = history.frames.iter().filter(|(frames, _)| frames.last_gsn <= keep_gsn);
        out.extend(gone.map(|(frames, _)| ObjectName::Frames(*frames)));
        // Epochs say where earlier ones end, and are needed as long as anything of earlier ones is there.
        let frames = history.frames.iter().filter(|(frames, _)| frames.last_gsn > keep_gsn);
        let kept = history.bases.iter().filter(|(base, _)| base.cut_gsn >= keep_gsn);
        let kept = frames.map(|(f, _)| f.epoch).chain(kept.map(|(base, _)| base.epoch));
        let oldest = kept.min().unwrap_or(0);
        let gone = history.epochs.range(..oldest).map(|(_, epoch)| ObjectName::Epoch(*epoch));
        out.extend(gone);
        out
    }
}

/// Bytes that go when a base with this cut is the first that stays.
fn bytes_below(history: &History, gsn: u64) -> u64 {
    let bases = history.bases.iter().filter(|(base, _)| base.cut_gsn < gsn).map(|(_, bytes)| bytes);
    let frames = history.frames.iter().filter(|(f, _)| f.last_gsn <= gsn).map(|(_, bytes)| bytes);
    bases.chain(frames).sum()
}

/// Removes what is not needed any more; what was removed.
pub fn prune(
    store: &dyn Store,
    history: &History,
    retention: Retention,
    now_ms: u64,
) -> Result<Vec<ObjectName>, ArchiveError> {
    let removable = retention.removable(history, now_ms);
    for object in &removable {
        let name = object.to_text(&history.log);
        let removed = store.remove(&name);
        removed.map_err(|error| ArchiveError::io(format!("remove {name}"), error))?;
    }
    Ok(removable)
}
