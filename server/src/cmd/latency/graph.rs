//! LATENCY GRAPH: an event's samples as columns of characters, each with its age below.

use crate::measure::latency::Series;

/// The most columns.
const COLUMNS: usize = 80;
/// Rows of the drawing.
const ROWS: usize = 4;
/// What a cell holds: nothing is below the first.
const CELLS: [char; 3] = ['_', 'o', '#'];
/// A cell that the column goes through.
const FULL: char = '|';

/// Draws the samples as of `now_s`.
pub(super) fn draw(event: &str, series: &Series, now_s: i64) -> String {
    let samples = series.samples.get(series.samples.len().saturating_sub(COLUMNS)..);
    let samples = samples.unwrap_or_default();
    let values = || samples.iter().map(|(_, ms)| *ms);
    let (low, high) = (values().min().unwrap_or(0), values().max().unwrap_or(0));
    let all_time = series.max_ms;
    let mut out = format!("{event} - high {high} ms, low {low} ms (all time high {all_time} ms)\n");
    out.push_str(&"-".repeat(COLUMNS));
    out.push('\n');
    for row in 0..ROWS {
        out.extend(values().map(|ms| cell(row, level(ms, low, high))));
        out.push('\n');
    }
    out.push('\n');
    let ages: Vec<String> = samples.iter().map(|(at_s, _)| age((now_s - at_s).max(0))).collect();
    for line in 0..ages.iter().map(String::len).max().unwrap_or(0) {
        out.extend(ages.iter().map(|age| age.chars().nth(line).unwrap_or(' ')));
        out.push('\n');
    }
    out
}

/// How high a column is, in parts of cells.
fn level(ms: u64, low: u64, high: u64) -> usize {
    let steps = CELLS.len() * ROWS;
    let level = (ms - low) * steps as u64 / (high - low).max(1);
    usize::try_from(level).unwrap_or(steps).min(steps - 1)
}

fn cell(row: usize, level: usize) -> char {
    match level.checked_sub((ROWS - row - 1) * CELLS.len()) {
        None => ' ',
        Some(part) => CELLS.get(part).copied().unwrap_or(FULL),
    }
}

fn age(seconds: i64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_columns_with_their_ages() {
        let samples = vec![(0, 100), (50, 300), (4000, 200), (4100, 500)];
        let drawn = draw("command", &Series { samples, max_ms: 700 }, 4103);
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(lines[0], "command - high 500 ms, low 100 ms (all time high 700 ms)");
        assert_eq!(lines[2..6], ["   #", " _ |", " |_|", "_|||"].map(str::to_owned));
        assert_eq!(lines[6..], ["", "1113", "hhms"].map(str::to_owned));
    }
}
