//! A disk that fails, and one that is slow: calls of the server's directory, in the FUSE layer below it.

use std::time::Duration;

use super::{Place, Random, Report, Round, Server};
use crate::power::{Call, Effect, Rule};
use crate::resp::Conn;

/// Some calls fail: of the log's segments, of a base in the making, of MANIFEST. Then the disk is well again.
pub(super) fn fail(place: &Place, server: &mut Server, round: &Round, random: &mut Random) {
    let Some(faults) = place.faults() else { return };
    let (call, path) = match random.below(5) {
        0 | 1 => (Call::Write, ".log"),
        2 => (Call::Sync, "base.rdb"),
        3 => (Call::Rename, "MANIFEST"),
        _ => (Call::Sync, ".log"),
    };
    let times = if random.one_in(4) { u64::MAX } else { 1 + random.below(2) };
    let after = random.below(8);
    faults.add(Rule { after, times, ..Rule::once(call, path, Effect::Eio) });
    for _ in 0..2 + random.below(4) {
        let _may_be_gone = Conn::connect(round.port).and_then(|mut c| c.call(&["BGREWRITEAOF"]));
        std::thread::sleep(Duration::from_millis(100 + random.below(200)));
        if server.has_ended() {
            break;
        }
    }
    faults.clear();
    std::thread::sleep(Duration::from_millis(random.below(300)));
}

/// Each write waits; reads of keys that nobody writes are answered meanwhile.
pub(super) fn slow_down(place: &Place, round: &Round, random: &mut Random, report: &mut Report) {
    let Some(faults) = place.faults() else { return };
    let delay = Duration::from_millis(1 + random.below(60));
    faults.add(Rule::always(Call::Write, ".log", Effect::Delay(delay)));
    for _ in 0..3 + random.below(20) {
        let read = Conn::connect(round.port).and_then(|mut c| c.call(&["GET", "slow:idle"]));
        if let Err(e) = read {
            report.violation("wrong reply", format!("a read with a slow disk: {e}"));
        }
        std::thread::sleep(Duration::from_millis(30));
    }
    faults.clear();
}
