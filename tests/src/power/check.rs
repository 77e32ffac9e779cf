//! Starts the server on what a power cut left, and compares with the histories; sometimes cuts the power again within that
//! recovery.

use std::io;
use std::time::Instant;

use super::disk::Content;
use super::guard::{Device, Run};
use super::history::{Cut, Key, judge};
use super::image::Image;
use super::load::read;
use super::record::Leaving;
use super::round::Round;
use super::{Mutation, Options};
use crate::crash::Random;
use crate::crash::oracle::Fault;
use crate::server::{Home, Server};

/// A key that is written after a recovery.
const AFTER: &str = "after";

/// An image to check.
pub(super) struct Job {
    /// Where the power was cut.
    pub(super) position: u64,
    /// False for further images of the same cut.
    pub(super) is_first: bool,
    /// Writes whose fate was open.
    pub(super) pending: usize,
    pub(super) leaving: Leaving,
    pub(super) seed: u64,
}

/// What one image showed.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) faults: Vec<(&'static str, String)>,
    pub(super) checked: u64,
    pub(super) lost_us: u64,
    pub(super) started_ms: u64,
    pub(super) cut_again: bool,
    /// The file system did not survive a block that was torn between sectors.
    pub(super) unmountable: u64,
    /// What the key that is written after a recovery held before.
    after: String,
}

/// A disk, and a place to mount it.
pub(super) struct Bench {
    device: Device,
    home: Home,
}

impl Bench {
    pub(super) fn new(run: &Run, image: Image) -> io::Result<Bench> {
        Ok(Bench { device: run.device(image)?, home: Home::within(run.path()) })
    }

    /// Checks one image.
    pub(super) fn check(&self, options: &Options, round: &Round, job: &Job) -> Found {
        let mut found = Found::default();
        let cut = round.cut(job.position, options.window());
        let mut visit = Visit {
            bench: self,
            options,
            keys: round.keys(),
            cut,
            found: &mut found,
            writes: false,
            records: false,
            is_broken: false,
        };
        let mut random = Random::new(job.seed);
        if let Err(e) = visit.run(job, &mut random) {
            found.faults.push(("unreadable", e.to_string()));
        }
        // What an error left recording.
        self.device.content.recorded();
        found
    }
}

struct Visit<'a> {
    bench: &'a Bench,
    options: &'a Options,
    keys: Vec<&'a Key>,
    cut: Cut,
    found: &'a mut Found,
    /// Whether a recovered server must take a write.
    writes: bool,
    /// Whether a recovery is recorded, to be cut as well.
    records: bool,
    /// The file system says so of itself.
    is_broken: bool,
}

/// What a recovery showed, and where its own recording was when it did.
struct Recovered {
    states: Vec<Option<u64>>,
    /// When the states were read.
    seen: u64,
    /// When a further write was acknowledged.
    written: u64,
}

impl Visit<'_> {
    fn run(&mut self, job: &Job, random: &mut Random) -> io::Result<()> {
        let content = &self.bench.device.content;
        let again = random.one_in(4);
        self.records = again;
        // A first write has segments prepared, which takes longer than all the rest.
        self.writes = again || random.one_in(4);
        let first = self.recover(1 + random.below(3), &job.leaving, None)?;
        self.records = false;
        let Some(recording) = content.recorded() else { return Ok(()) };
        let Some(first) = first.filter(|_| self.found.faults.is_empty()) else { return Ok(()) };
        self.found.cut_again = true;
        let position = random.below(recording.position() + 1);
        let mut cutter = recording.cutter();
        cutter.advance(position);
        let leaving = cutter.leavings(random).swap_remove(0);
        let seen = (position >= first.seen).then_some(&first);
        let second = self.recover(1 + random.below(3), &leaving, seen)?;
        if second.is_some() && self.options.window().is_none() && position >= first.written {
            self.expect_after();
        }
        Ok(())
    }

    /// Recovers from what was left. Neither ext4 nor XFS survives every block of its own that is torn between sectors (a
    /// superblock of two sectors, a directory block whose first sector is newer than the journal); when the file system says
    /// that it is broken, blocks are left whole, as disks of today leave them.
    fn recover(
        &mut self,
        shards: u64,
        leaving: &Leaving,
        before: Option<&Recovered>,
    ) -> io::Result<Option<Recovered>> {
        let faults = self.found.faults.len();
        self.is_broken = false;
        let recovered = self.recover_from(shards, &leaving.image, before);
        match &leaving.whole_blocks {
            Some(whole) if self.is_broken => {
                self.found.faults.truncate(faults);
                self.found.unmountable += 1;
                self.recover_from(shards, whole, before)
            }
            _ => recovered,
        }
    }

    /// Mounts, starts, reads, judges, writes a little, kills.
    fn recover_from(
        &mut self,
        shards: u64,
        image: &Image,
        before: Option<&Recovered>,
    ) -> io::Result<Option<Recovered>> {
        let (bench, options) = (self.bench, self.options);
        self.insert(image.clone());
        let at = bench.home.data();
        let mounted = match bench.device.mount(&options.filesystem, &at) {
            Ok(mounted) => mounted,
            Err(e) => {
                self.is_broken = true;
                self.fault("file system gone", e.to_string());
                return Ok(None);
            }
        };
        let began = Instant::now();
        let shards = usize::try_from(shards).unwrap_or(1);
        let server = match options.launch(shards).try_start(&bench.home) {
            Ok(server) => server,
            Err(e) => {
                self.is_broken = bench.device.is_broken(&at);
                self.fault("refused to start", e.to_string());
                return Ok(None);
            }
        };
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.found.started_ms = self.found.started_ms.max(took_ms);
        let recovered = self.visit(&server, &bench.device.content, before);
        server.kill();
        self.is_broken = bench.device.is_broken(&at);
        mounted.unmount();
        recovered.map(Some)
    }

    fn insert(&self, image: Image) {
        let content = &self.bench.device.content;
        content.insert(image);
        if self.records {
            let drops = self.options.mutation == Some(Mutation::DropFlushes);
            content.record(Instant::now(), drops);
        }
    }

    fn visit(
        &mut self,
        server: &Server,
        content: &Content,
        before: Option<&Recovered>,
    ) -> io::Result<Recovered> {
        let mut conn = server.conn();
        let (states, faults) = read(&mut conn, &self.keys)?;
        let seen = content.position();
        faults.into_iter().for_each(|fault| self.fault(fault.kind(), fault.to_string()));
        let judgement = judge(&self.keys, &states, &self.cut);
        self.found.checked += states.len() as u64;
        self.found.lost_us = self.found.lost_us.max(judgement.lost_us);
        judgement.faults.iter().for_each(|fault| self.fault(fault.kind(), fault.to_string()));
        if let Some(before) = before {
            let differs = |at: &usize| before.states[*at] != states[*at];
            if let Some(at) = (0..states.len()).find(differs) {
                let (name, was, is) = (&self.keys[at].name, before.states[at], states[at]);
                let text = format!("{name}: {was:?} was shown, after a second power cut {is:?}");
                self.fault("forgotten", text);
            }
        }
        if !self.found.faults.is_empty() {
            self.fault("server log", server.log_text());
        }
        let recovered = |states| Recovered { states, seen, written: content.position() };
        if !self.writes {
            return Ok(recovered(states));
        }
        self.found.after = conn.call(&["GET", AFTER])?.text();
        let reply = conn.call(&["INCR", AFTER])?;
        if reply.is_error() {
            let fault = Fault::WrongReply(format!("INCR after a recovery: {reply:?}"));
            self.fault(fault.kind(), fault.to_string());
        }
        Ok(recovered(states))
    }

    /// The write after the first recovery was acknowledged before the second cut.
    fn expect_after(&mut self) {
        if self.found.after != "1" {
            let text = format!("{AFTER}: {:?}, written after a recovery", self.found.after);
            self.fault("lost", text);
        }
    }

    fn fault(&mut self, kind: &'static str, text: String) {
        self.found.faults.push((kind, text));
    }
}
