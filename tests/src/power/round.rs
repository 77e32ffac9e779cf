//! One recording: three lives of the server on an empty file system, with different numbers of shards, ended by SIGKILL or
//! SIGTERM, with a rewrite or a snapshot now and then.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::check::Job;
use super::guard::{Device, Run};
use super::history::{Clock, Cut, Key};
use super::load::{Client, Pace};
use super::record::Recording;
use super::report::Report;
use super::{Mutation, Options};
use crate::crash::Random;
use crate::resp::Conn;
use crate::server::{Home, Server};

const LIVES: usize = 3;
const CLIENTS: usize = 6;
const WITNESS_STEP: Duration = Duration::from_millis(5);
/// From when on the machine counts as standing still.
const STALL_US: u64 = 100_000;

/// What was recorded, and what the clients know.
pub(super) struct Round {
    recording: Recording,
    clients: Vec<Client>,
    /// When no server ran, or the whole machine stood still, in microseconds; such time does not count against a promise of
    /// the server.
    downs: Vec<(u64, u64)>,
}

impl Round {
    /// Records.
    pub(super) fn record(
        options: &Options,
        run: &Run,
        device: &Device,
        random: &mut Random,
        report: &mut Report,
    ) -> io::Result<Round> {
        let home = Home::within(run.path());
        let began = Instant::now();
        device.content.record(began, options.mutation == Some(Mutation::DropFlushes));
        let mounted = device.mount(&options.filesystem, &home.data())?;
        let clock = Clock::new(device.content.clone(), began);
        let mut clients: Vec<Client> = Vec::new();
        let (mut downs, mut down) = (Vec::new(), 0);
        let witness = Witness::begin(run, began);
        for life in 0..LIVES {
            let shards = 1 + usize::try_from(random.below(3)).unwrap_or(0);
            let server = match options.launch(shards).try_start(&home) {
                Ok(server) => server,
                Err(e) => {
                    report.fault("refused to start", format!("while recording: {e}"));
                    break;
                }
            };
            downs.push((down, clock.now().us));
            let mut new: Vec<Client> =
                (0..CLIENTS).map(|n| Client::new(&format!("l{life}c{n}"), random.next())).collect();
            load(options, server, &mut new, &clock, random);
            down = clock.now().us;
            clients.append(&mut new);
        }
        downs.extend(witness.end());
        let downs = union(downs);
        let recording = device.content.recorded();
        mounted.unmount();
        let recording = recording.ok_or_else(|| io::Error::other("nothing was recorded"))?;
        for client in &mut clients {
            client.faults.drain(..).for_each(|f| report.fault(f.kind(), f.to_string()));
            client.keys.iter_mut().for_each(|key| key.retime(|us| up_us(&downs, us)));
        }
        let acked: usize =
            clients.iter().flat_map(|c| &c.keys).map(|k| k.acknowledgements().count()).sum();
        report.recorded(&recording, acked as u64);
        Ok(Round { recording, clients, downs })
    }

    /// All keys of all clients.
    pub(super) fn keys(&self) -> Vec<&Key> {
        self.clients.iter().flat_map(|client| &client.keys).collect()
    }

    /// Images to check, in the order of the recording: half at any moment, half just when a write was acknowledged.
    pub(super) fn jobs(
        &self,
        cuts: u64,
        random: &mut Random,
    ) -> impl Iterator<Item = Job> + use<'_> {
        let moments: Vec<u64> = self
            .keys()
            .iter()
            .flat_map(|key| key.acknowledgements())
            .map(|moment| moment.position)
            .collect();
        let mut positions: Vec<u64> = (0..cuts)
            .map(|_| {
                let acked = usize::try_from(random.below(moments.len() as u64)).unwrap_or(0);
                match moments.get(acked).filter(|_| random.one_in(2)) {
                    Some(position) => *position,
                    None => random.below(self.recording.position() + 1),
                }
            })
            .collect();
        positions.sort_unstable();
        let mut random = Random::new(random.next());
        let mut cutter = self.recording.cutter();
        positions.into_iter().flat_map(move |position| {
            cutter.advance(position);
            let leavings = cutter.leavings(&mut random);
            let pending = cutter.pending();
            let seeds: Vec<u64> = leavings.iter().map(|_| random.next()).collect();
            leavings.into_iter().zip(seeds).enumerate().map(move |(nth, (leaving, seed))| Job {
                position,
                is_first: nth == 0,
                pending,
                leaving,
                seed,
            })
        })
    }

    /// What is promised for a cut there.
    pub(super) fn cut(&self, position: u64, window: Option<Duration>) -> Cut {
        let us = up_us(&self.downs, self.recording.time_us(position));
        Cut { position, us, window }
    }
}

/// Notes when the machine stood still: a thread that sleeps a little and writes a byte to the same disk as the server's own
/// output, and finds that this took long.
struct Witness {
    stop: Arc<AtomicBool>,
    stalls: JoinHandle<Vec<(u64, u64)>>,
}

impl Witness {
    fn begin(run: &Run, began: Instant) -> Witness {
        let (stop, path) = (Arc::new(AtomicBool::new(false)), run.path().join("witness"));
        let stopped = stop.clone();
        let stalls = thread::spawn(move || {
            let us = || u64::try_from(began.elapsed().as_micros()).unwrap_or(0);
            let mut stalls = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                let from = us();
                thread::sleep(WITNESS_STEP);
                // A disk that is full, or gone, shows elsewhere.
                let _ = fs::write(&path, b"x");
                let to = us();
                if to - from > STALL_US {
                    stalls.push((from, to));
                }
            }
            stalls
        });
        Witness { stop, stalls }
    }

    fn end(self) -> Vec<(u64, u64)> {
        self.stop.store(true, Ordering::SeqCst);
        self.stalls.join().unwrap_or_default()
    }
}

/// The same times, none twice.
fn union(mut times: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    times.sort_unstable();
    let mut out: Vec<(u64, u64)> = Vec::new();
    for (from, to) in times {
        match out.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => out.push((from, to)),
        }
    }
    out
}

/// Time less that in which no server ran.
fn up_us(downs: &[(u64, u64)], us: u64) -> u64 {
    let down = |(from, to): &(u64, u64)| us.min(*to).saturating_sub(*from);
    us - downs.iter().map(down).sum::<u64>()
}

/// Lets clients write, perhaps within a rewrite or a snapshot, and ends the server.
fn load(
    options: &Options,
    server: Server,
    clients: &mut [Client],
    clock: &Clock,
    random: &mut Random,
) {
    let (stop, port) = (&AtomicBool::new(false), server.port());
    let pace = if options.fsync == "always" { Pace::Full } else { Pace::Slow };
    let command = match random.below(4) {
        0 => Some("BGREWRITEAOF"),
        1 => Some("BGSAVE"),
        _ => None,
    };
    let before = options.load.mul_f64(random.below(100) as f64 / 100.0);
    let is_killed = random.one_in(2);
    thread::scope(|scope| {
        for client in clients {
            scope.spawn(move || client.load(port, clock, stop, pace));
        }
        thread::sleep(before);
        if let Some(command) = command {
            // It may be refused while another is under way; the load goes on all the same.
            let _ = Conn::connect(port).and_then(|mut conn| conn.call(&[command]));
        }
        thread::sleep(options.load.saturating_sub(before));
        stop.store(true, Ordering::SeqCst);
        if is_killed {
            server.kill();
        } else {
            let _ = server.stop();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::{union, up_us};

    #[test]
    fn times_that_overlap_count_once() {
        assert_eq!(union(vec![(5, 9), (0, 3), (7, 12), (3, 4)]), [(0, 4), (5, 12)]);
    }

    #[test]
    fn time_stands_still_while_no_server_runs() {
        let downs = [(0, 10), (100, 150)];
        assert_eq!([5, 10, 60, 120, 200].map(|us| up_us(&downs, us)), [0, 0, 50, 90, 140]);
    }
}
