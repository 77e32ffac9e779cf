//! Starts the server on what a power cut left, and compares with the histories; sometimes cuts the power again within that
//! recovery.

use std::io;
use std::time::Instant;

use super::disk::Content;
use super::guard::{Device, Run};
use super::history::{Cut, Key, judge};
use super::image::Image;
use super::load::read;
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
    pub(super) image: Image,
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
        };
        let mut random = Random::new(job.seed);
        if let Err(e) = visit.run(job, &mut random) {
            found.faults.push(("unreadable", e.to_string()));
        }
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
        content.insert(job.image.clone());
        let again = random.one_in(4);
        if again {
            content.record(Instant::now(), self.options.mutation == Some(Mutation::DropFlushes));
        }
        // A first write has segments prepared, which takes longer than all the rest.
        self.writes = again || random.one_in(4);
        let first = self.recover(1 + random.below(3), content, None)?;
        let Some(recording) = content.recorded() else { return Ok(()) };
        let Some(first) = first.filter(|_| self.found.faults.is_empty()) else { return Ok(()) };
        self.found.cut_again = true;
        let position = random.below(recording.position() + 1);
        let mut cutter = recording.cutter();
        cutter.advance(position);
        let image = cutter.images(random).swap_remove(0);
        content.insert(image);
        let seen = (position >= first.seen).then_some(&first);
        let second = self.recover(1 + random.below(3), content, seen)?;
        if second.is_some() && self.options.window().is_none() && position >= first.written {
            self.expect_after();
        }
        Ok(())
    }

    /// Mounts, starts, reads, judges, writes a little, kills.
    fn recover(
        &mut self,
        shards: u64,
        content: &Content,
        before: Option<&Recovered>,
    ) -> io::Result<Option<Recovered>> {
        let (bench, options) = (self.bench, self.options);
        let mounted = match bench.device.mount(&options.filesystem, &bench.home.data()) {
            Ok(mounted) => mounted,
            Err(e) => {
                self.fault("file system gone", e.to_string());
                return Ok(None);
            }
        };
        let began = Instant::now();
        let shards = usize::try_from(shards).unwrap_or(1);
        let server = match options.launch(shards).try_start(&bench.home) {
            Ok(server) => server,
            Err(e) => {
                self.fault("refused to start", e.to_string());
                return Ok(None);
            }
        };
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.found.started_ms = self.found.started_ms.max(took_ms);
        let recovered = self.visit(&server, content, before);
        server.kill();
        mounted.unmount();
        recovered.map(Some)
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
