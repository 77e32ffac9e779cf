//! The server ends itself at a step, as the environment variable asks it to.

use std::process::Command;
use std::time::{Duration, Instant};

use super::{Random, Report, Round, Server};
use crate::resp::Conn;
use crate::server::Binary;

/// Where the server looks.
pub(super) const VARIABLE: &str = "RINGSTONE_FAILPOINTS";
/// How long to wait for the step.
const WAIT: Duration = Duration::from_secs(3);
/// Passages among which one is chosen.
const PASSAGES: u64 = 12;

/// The names of all steps that a server knows.
pub fn steps_of(binary: &Binary) -> Result<Vec<String>, String> {
    if binary.is_redis() {
        return Err("redis-server has no failpoints".to_owned());
    }
    let output = Command::new(&binary.path).env(VARIABLE, "list").output();
    let output = output.map_err(|e| format!("{}: {e}", binary.path.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let names = text.lines().filter_map(|line| Some(line.split_once(' ')?.0.to_owned()));
    Some(names.collect::<Vec<_>>())
        .filter(|names| !names.is_empty())
        .ok_or_else(|| "this server has no failpoints".to_owned())
}

/// A step, and at which passage.
pub(super) fn choose(steps: &[String], random: &mut Random) -> String {
    let at = usize::try_from(random.below(steps.len() as u64)).unwrap_or(0);
    // Most often an early passage: some steps are passed once.
    let passage = if random.one_in(2) { 1 } else { 1 + random.below(PASSAGES) };
    format!("{}:{passage}", steps[at])
}

/// Has the server do all that has steps, until it ends or time is up.
pub(super) fn bring(
    step: Option<&str>,
    server: &mut Server,
    round: &Round,
    random: &mut Random,
    report: &mut Report,
) {
    let until = Instant::now() + WAIT;
    let mut commands = ["BGREWRITEAOF", "BGSAVE"].iter().cycle();
    while Instant::now() < until && !server.has_ended() {
        if let Some(command) = commands.next() {
            let _may_be_gone = Conn::connect(round.port).and_then(|mut conn| conn.call(&[command]));
        }
        std::thread::sleep(Duration::from_millis(50 + random.below(150)));
    }
    if server.has_ended() {
        let name = step.and_then(|step| step.split(':').next()).unwrap_or_default();
        *report.steps.entry(name.to_owned()).or_default() += 1;
    }
}
