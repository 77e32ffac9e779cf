//! What the kernel knows of a process: CPU time and memory.

use std::fs;

/// Kernel ticks a second; fixed by the kernel's interface to user space.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds that a process has used, in user and kernel mode.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold spaces; fields are counted after it.
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}

/// Resident bytes.
pub(crate) fn rss_bytes(pid: u32) -> f64 {
    kb_of(&format!("/proc/{pid}/status"), "VmRSS:") * 1024.0
}

/// Proportional resident bytes of a process and its children: pages that they share count once.
pub(crate) fn pss_bytes(pid: u32) -> f64 {
    let children =
        fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let own = kb_of(&format!("/proc/{pid}/smaps_rollup"), "Pss:") * 1024.0;
    let of_children = children.split_whitespace().filter_map(|c| c.parse().ok()).map(pss_bytes);
    own + of_children.sum::<f64>()
}

fn kb_of(path: &str, field: &str) -> f64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix(field)).unwrap_or_default();
    line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_process() {
        let pid = std::process::id();
        let until = cpu_seconds(pid) + 0.02;
        let mut turns = 0_u64;
        while cpu_seconds(pid) < until {
            turns += 1;
            assert!(turns < 10_000_000, "CPU time does not grow");
        }
        assert!(rss_bytes(pid) > 100_000.0);
        assert!(pss_bytes(pid) > 100_000.0);
    }
}
