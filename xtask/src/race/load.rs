//! redis-benchmark: one test at a time, its full report read.

use std::process::{Command, Stdio};

/// One test's load.
#[derive(Clone, Copy)]
pub(crate) struct Load<'a> {
    /// Its name in `redis-benchmark -t`.
    pub(crate) test: &'a str,
    /// Connections.
    pub(crate) clients: u32,
    /// Commands in flight a connection.
    pub(crate) pipeline: u32,
    /// Commands in all.
    pub(crate) requests: u64,
}

/// What was measured; latencies in milliseconds, as one command of a pipeline sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Measured {
    /// Commands a second.
    pub(crate) rps: f64,
    /// Median.
    pub(crate) p50_ms: f64,
    /// 99 in 100 are not slower.
    pub(crate) p99_ms: f64,
    /// 999 in 1000 are not slower.
    pub(crate) p999_ms: f64,
    /// Commands of the measured tests.
    pub(crate) requests: u64,
}

/// Different keys of the tests that take random ones.
const KEYS: &str = "100000";
/// Length of a value, bytes.
const VALUE_LEN_BYTES: &str = "64";

/// Runs redis-benchmark on core 1.
pub(crate) fn benchmark(port: u16, load: &Load<'_>) -> Result<Measured, String> {
    let output = command(port, load).output().map_err(|e| format!("redis-benchmark: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).replace('\r', "\n");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() || text.contains("Error from server") {
        let mut lines = text.lines().chain(errors.lines());
        let last = lines.rfind(|l| !l.trim().is_empty()).unwrap_or_default();
        return Err(format!("redis-benchmark {}: {last}", load.test));
    }
    read_report(&text).ok_or_else(|| format!("redis-benchmark {}: no report", load.test))
}

/// The program and its arguments.
pub(crate) fn command(port: u16, load: &Load<'_>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "1", "redis-benchmark", "-h", "127.0.0.1"]);
    command.args(["-p", &port.to_string(), "-t", load.test, "--precision", "3"]);
    command.args(["-r", KEYS, "-d", VALUE_LEN_BYTES, "-n", &load.requests.to_string()]);
    command.args(["-c", &load.clients.to_string(), "-P", &load.pipeline.to_string()]);
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Reads the last report of `redis-benchmark`'s long form.
fn read_report(text: &str) -> Option<Measured> {
    let report = text.rsplit("\n====== ").next()?;
    let number = |t: &str| t.split_whitespace().next().and_then(|n| n.parse::<f64>().ok());
    let rps = report.split("throughput summary: ").nth(1).and_then(number)?;
    let requests: f64 =
        report.lines().find(|l| l.contains("requests completed")).and_then(number)?;
    let summary = report.split("latency summary (msec):").nth(1)?;
    let fields: Vec<f64> =
        summary.lines().nth(2)?.split_whitespace().filter_map(|f| f.parse().ok()).collect();
    let distribution = report.split("Latency by percentile distribution:").nth(1)?;
    let p999_ms = distribution.lines().find_map(|line| {
        let (percent, rest) = line.split_once("% <= ")?;
        (percent.parse::<f64>().ok()? >= 99.9).then(|| number(rest))?
    })?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number")]
    let requests = requests as u64;
    Some(Measured { rps, p50_ms: *fields.get(2)?, p99_ms: *fields.get(4)?, p999_ms, requests })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_report_of_the_last_test() {
        let report = "\n====== LPUSH (needed to benchmark LRANGE) ======\n  7 requests completed in 0.66 seconds\n\
            \n====== SET ======\n  100000 requests completed in 0.66 seconds\n  50 parallel clients\n\n\
            Latency by percentile distribution:\n50.000% <= 0.199 milliseconds (cumulative count 51711)\n\
            99.609% <= 0.391 milliseconds (cumulative count 99631)\n\
            99.902% <= 6.071 milliseconds (cumulative count 99903)\n\n\
            Cumulative distribution of latencies:\n99.999% <= 14.103 milliseconds (cumulative count 100000)\n\n\
            Summary:\n  throughput summary: 151057.41 requests per second\n  latency summary (msec):\n\
            \x20         avg       min       p50       p95       p99       max\n\
            \x20       0.210     0.048     0.199     0.303     0.335    13.167\n\n";
        let measured = Measured {
            rps: 151_057.41,
            p50_ms: 0.199,
            p99_ms: 0.335,
            p999_ms: 6.071,
            requests: 100_000,
        };
        assert_eq!(read_report(report), Some(measured));
    }
}
