//! The disk is full for a while: writes and PING are refused, reads go on, and all goes on by itself when space is back.

use std::time::{Duration, Instant};

use super::super::oracle::is_refusal;
use super::super::place::Place;
use super::{Random, Report, Round};
use crate::resp::Conn;

/// How long the server may take to notice.
const WAIT: Duration = Duration::from_secs(20);

/// Fills the disk; after the refusal, half the time the server goes on before the end comes.
pub(super) fn bring(place: &Place, round: &Round, random: &mut Random, report: &mut Report) {
    let Some(disk) = place.small_disk() else { return };
    if let Err(e) = disk.fill() {
        return report.violation("harness", format!("the disk could not be filled: {e}"));
    }
    let watched = watch(round, random, report, || disk.free());
    if let Err(e) = watched {
        report.violation("wrong reply", format!("a full disk: {e}"));
    }
}

fn watch(
    round: &Round,
    random: &mut Random,
    report: &mut Report,
    free: impl Fn() -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut conn = Conn::connect(round.port)?;
    if !wait(&mut conn, true)? {
        // Enough room was prepared before for all that the clients had.
        return Ok(());
    }
    let write = conn.call(&["SET", "full", "x"])?;
    let read = conn.call(&["EXISTS", "full"])?;
    let info = conn.call(&["INFO", "persistence"])?.text();
    let says =
        info.contains("log_state:refusing-writes") && info.contains("aof_last_write_status:err");
    // The filler is all that takes space, yet a rewrite that gives up may give some back.
    if is_refusal(&write) && (read.int() != Some(0) || !says) {
        let text = format!("SET answered {write:?}, then EXISTS {read:?}, and INFO:\n{info}");
        report.violation("wrong reply", text);
    }
    conn.call(&["DEL", "full"])?;
    std::thread::sleep(Duration::from_millis(random.below(1200)));
    if random.one_in(3) {
        return Ok(());
    }
    free()?;
    if !wait(&mut conn, false)? {
        report.violation("refused for ever", "space is back and PING is refused".to_owned());
    }
    std::thread::sleep(Duration::from_millis(random.below(400)));
    Ok(())
}

/// Waits until PING is refused, or is not.
fn wait(conn: &mut Conn, refused: bool) -> std::io::Result<bool> {
    let until = Instant::now() + WAIT;
    while Instant::now() < until {
        if is_refusal(&conn.call(&["PING"])?) == refused {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(false)
}
