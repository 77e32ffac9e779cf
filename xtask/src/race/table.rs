//! Figures of both servers: samples a row and figure, medians, ratios.

use serde_json::{Value, json};

/// One figure of one row.
struct Line {
    row: String,
    figure: &'static str,
    /// Samples of either server.
    samples: [Vec<f64>; 2],
}

/// All figures.
#[derive(Default)]
pub(crate) struct Table {
    lines: Vec<Line>,
    failures: Vec<String>,
}

impl Table {
    /// Adds one measurement of server `racer` (0: redis, 1: ringstone).
    pub(crate) fn add(&mut self, row: &str, figure: &'static str, racer: usize, value: f64) {
        let at = self.lines.iter().position(|l| l.row == row && l.figure == figure);
        let at = at.unwrap_or_else(|| {
            self.lines.push(Line {
                row: row.to_owned(),
                figure,
                samples: [Vec::new(), Vec::new()],
            });
            self.lines.len() - 1
        });
        if let Some(samples) = self.lines.get_mut(at).and_then(|l| l.samples.get_mut(racer)) {
            samples.push(value);
        }
    }

    /// Notes that a server could not do a row.
    pub(crate) fn fail(&mut self, row: &str, racer: &str, why: &str) {
        let text = format!("{row}: {racer}: {}", why.lines().next().unwrap_or_default());
        println!("  {text}");
        self.failures.push(text);
    }

    /// True when nothing was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The table for people.
    pub(crate) fn markdown(&self) -> String {
        let mut out =
            "| row | figure | redis | ringstone | ratio |\n|---|---|---:|---:|---:|\n".to_owned();
        for line in &self.lines {
            let [theirs, ours] = line.medians();
            let ratio = match (theirs, ours) {
                (Some(a), Some(b)) if a != 0.0 => format!("{:.2}", b / a),
                _ => String::new(),
            };
            let cells = [theirs, ours].map(|m| m.map_or("-".to_owned(), plain));
            out.push_str(&format!(
                "| {} | {} | {} | {} | {ratio} |\n",
                line.row, line.figure, cells[0], cells[1]
            ));
        }
        for failure in &self.failures {
            out.push_str(&format!("\nnot measured: {failure}"));
        }
        out
    }

    /// All samples and medians.
    pub(crate) fn json(&self) -> Value {
        let lines = self.lines.iter().map(|line| {
            let [theirs, ours] = line.medians();
            json!({
                "row": line.row, "figure": line.figure,
                "redis": { "median": theirs, "samples": line.samples[0] },
                "ringstone": { "median": ours, "samples": line.samples[1] },
            })
        });
        lines.collect()
    }
}

impl Line {
    fn medians(&self) -> [Option<f64>; 2] {
        [median(&self.samples[0]), median(&self.samples[1])]
    }
}

fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

fn plain(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_medians_and_their_ratio() {
        let mut table = Table::default();
        for value in [30.0, 10.0, 20.0] {
            table.add("SET", "rps", 0, value);
            table.add("SET", "rps", 1, value * 2.0);
        }
        assert!(table.markdown().contains("| SET | rps | 20.0 | 40.0 | 2.00 |"));
    }
}
