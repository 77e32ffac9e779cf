//! LATENCY DOCTOR: what the samples say, in words, with advice.

use std::fmt::Write;

use crate::config::Config;
use crate::config::types::Fsync;
use crate::measure::latency::{Events, Series};

/// The report.
pub(super) fn report(events: &Events, config: &Config) -> String {
    if config.latency_monitor_threshold == 0 {
        return "Latency monitoring is off, so that there is nothing to report. Switch it on with \
                'CONFIG SET latency-monitor-threshold <milliseconds>': every event that takes so long or longer is then \
                remembered.\n"
            .to_owned();
    }
    let mut out = String::new();
    let mut seen: Vec<&str> = Vec::new();
    for (event, series) in events.iter().filter(|(_, series)| !series.samples.is_empty()) {
        if seen.is_empty() {
            out.push_str("These events took long:\n\n");
        }
        seen.push(event);
        let _ = writeln!(out, "{}. {event}: {}", seen.len(), Figures::of(series));
    }
    if seen.is_empty() {
        let ms = config.latency_monitor_threshold;
        let _ =
            writeln!(out, "Nothing took {ms} milliseconds or longer since the samples were reset.");
        return out;
    }
    out.push_str("\nWhat can be done:\n\n");
    for advice in seen.iter().flat_map(|event| advice(event, config)) {
        let _ = writeln!(out, "- {advice}");
    }
    out
}

/// What is told of an event's samples.
struct Figures {
    count: usize,
    mean_ms: f64,
    /// Mean absolute deviation.
    deviation_ms: f64,
    /// Time between two samples, on average.
    period_s: f64,
    max_ms: u64,
}

impl Figures {
    fn of(series: &Series) -> Figures {
        let samples = &series.samples;
        let count = samples.len().max(1) as f64;
        let mean_ms = samples.iter().map(|(_, ms)| *ms as f64).sum::<f64>() / count;
        let deviations = samples.iter().map(|(_, ms)| (*ms as f64 - mean_ms).abs());
        let deviation_ms = deviations.sum::<f64>() / count;
        let first_s = samples.first().map_or(0, |(at_s, _)| *at_s);
        let last_s = samples.last().map_or(0, |(at_s, _)| *at_s);
        let period_s = (last_s - first_s) as f64 / (count - 1.0).max(1.0);
        Figures { count: samples.len(), mean_ms, deviation_ms, period_s, max_ms: series.max_ms }
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Figures { count, mean_ms, deviation_ms, period_s, max_ms } = self;
        write!(
            f,
            "{count} samples, {mean_ms:.0} ms on average (mean deviation {deviation_ms:.0} ms), {period_s:.0} seconds apart, \
             the longest {max_ms} ms."
        )
    }
}

fn advice(event: &str, config: &Config) -> Vec<String> {
    match event {
        "command" => vec![
            "Commands that touch many elements hold their shard up. SLOWLOG GET shows which they were; split them, or walk with \
             SCAN and its kin."
                .to_owned(),
            slow_log_advice(config),
        ],
        "fast-command" => vec![
            "Commands that are fast by nature took long: the machine was busy with something else, swapped, or its processors \
             were taken away by a hypervisor."
                .to_owned(),
        ],
        "expire-cycle" => vec![
            "Many keys reach the end of their time at once. Spread their times to live, or lower active-expire-effort."
                .to_owned(),
        ],
        "aof-write" | "aof-fsync-always" => vec![
            match config.appendfsync {
                Fsync::Always => "The disk takes long to make the log durable. With appendfsync everysec replies do not wait for it; \
                     a second's writes may then be lost in a crash.",
                Fsync::EverySecond | Fsync::No => {
                    "The disk takes long to accept what is logged. Look for other programs that use it."
                }
            }
            .to_owned(),
        ],
        _ => Vec::new(),
    }
}

fn slow_log_advice(config: &Config) -> String {
    let threshold_ms = i64::try_from(config.latency_monitor_threshold).unwrap_or(i64::MAX);
    if config.slowlog_log_slower_than < 0 {
        "The slow log is off. Switch it on with 'CONFIG SET slowlog-log-slower-than <microseconds>'.".to_owned()
    } else if config.slowlog_log_slower_than > threshold_ms.saturating_mul(1000) {
        "The slow log leaves out commands that are sampled here: lower slowlog-log-slower-than."
            .to_owned()
    } else {
        format!("The slow log keeps the last {} commands that were slow.", config.slowlog_max_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_events_and_what_to_do() {
        let config = Config { latency_monitor_threshold: 100, ..Config::default() };
        let mut events = Events::default();
        assert!(report(&events, &config).contains("Nothing took 100 milliseconds"));
        events.add("command", 10, 100);
        events.add("command", 30, 300);
        let text = report(&events, &config);
        assert!(text.contains(
            "1. command: 2 samples, 200 ms on average (mean deviation 100 ms), 20 seconds apart"
        ));
        assert!(text.contains("SLOWLOG GET"));
        assert!(report(&events, &Config::default()).contains("Latency monitoring is off"));
    }
}
