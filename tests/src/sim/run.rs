//! One server's life on the simulated disk: start, steps in random order, crash.

mod client;
mod recovery;
mod saving;
mod switch;
mod traffic;
mod transaction;

use std::path::Path;

use ringstone_engine::Keyspace;
use ringstone_engine::cmd::Group;
use ringstone_persist::log::group::GroupPolicy;
use ringstone_persist::log::{
    Fault, Faults, FrameKind, Health, LogWriter, Manifest, Preparation, Recovered, SegmentId,
    StagePreparation, SyncMode, Watermarks, WriterOptions,
};

use super::Stats;
use super::disk::{Chances, Crash, Disk};
use super::model::{Changes, changes_of, keys_of};
use super::mutation::Mutation;
use super::oracle::{Oracle, Violation};
use super::rng::Rng;
use super::shard::Shard;
use crate::generate::{GROUPS, Generator};
use saving::Saving;
use transaction::{KeysHeld, WholeHeld};

const DIR: &str = "/data/appendonly";
const DUMP: &str = "/data/dump.rdb";
const SHARDS_MAX: u64 = 4;
const SEGMENT_BYTES: u64 = 20 << 10;
const STAGE_BYTES: usize = 8192;
const NOW_MS: u64 = 1_700_000_000_000;

/// What outlives a crash: the disk and the oracle.
pub struct World {
    /// Decides everything.
    pub rng: Rng,
    /// What happened so far.
    pub stats: Stats,
    mutation: Option<Mutation>,
    disk: Disk,
    oracle: Oracle,
    generator: Generator,
    transactions: u64,
    now_ms: u64,
    /// The cut of the last MANIFEST known to be durable.
    cut_durable: u64,
    /// Power was lost since the last recovery of the log.
    power: bool,
    /// Bits of files are flipped, so that complaints about them are right.
    flips: bool,
    is_traced: bool,
    /// The server of the coming life, which the last recovery started.
    next: Option<Run>,
}

/// Work for the helper thread.
enum Job {
    Prepare(usize, Preparation),
    Stage(usize, StagePreparation),
    Remove(SegmentId),
    RemoveBase(String),
}

/// What dies in a crash.
struct Run {
    shards: Vec<Shard>,
    marks: Watermarks,
    transactions: Vec<KeysHeld>,
    whole: Option<WholeHeld>,
    saving: Option<Saving>,
    /// Logging has stopped, and what was logged is being made durable.
    is_ending: bool,
    jobs: Vec<Job>,
    /// Of the log, while it is on.
    manifest: Option<Manifest>,
    mode: SyncMode,
    /// From this GSN on `always` has been in force: what was released before need not be durable when it is read.
    always_since: u64,
    epoch: u32,
    vanished: Vec<(u32, u64)>,
    /// Errors of direct writes and syncs, in basis points.
    io_errors: u64,
}

fn dir() -> &'static Path {
    Path::new(DIR)
}

fn pick_mode(rng: &mut Rng) -> SyncMode {
    [SyncMode::Always, SyncMode::Always, SyncMode::EverySec, SyncMode::No][rng.index(4)]
}

/// Commands of one to three groups, so that keys are few and often written, and of those that name any key.
fn generator(rng: &mut Rng) -> Generator {
    let mut chosen = vec![Group::Generic];
    chosen.extend((0..1 + rng.index(3)).map(|_| GROUPS[rng.index(GROUPS.len())]));
    Generator::new(|spec| chosen.contains(&spec.group) && spec.name != "pfselftest")
}

impl World {
    /// An empty disk.
    pub fn new(seed: u64, mutation: Option<Mutation>) -> Self {
        let mut rng = Rng::new(seed);
        World {
            generator: generator(&mut rng),
            flips: rng.percent(30),
            rng,
            stats: Stats::default(),
            mutation,
            disk: Disk::new(seed, mutation == Some(Mutation::NoDirSync)),
            oracle: Oracle::default(),
            transactions: 0,
            now_ms: NOW_MS,
            cut_durable: 0,
            power: false,
            is_traced: false,
            next: None,
        }
    }

    /// Prints what happens.
    pub fn trace(&mut self) {
        self.is_traced = true;
        self.disk.trace();
    }

    fn say(&self, what: std::fmt::Arguments<'_>) {
        if self.is_traced {
            println!("{what}");
        }
    }

    /// Works, crashes, and starts the next life, checking what it finds.
    pub fn live_and_crash(&mut self) -> Result<(), Violation> {
        let mut run = match self.next.take() {
            Some(run) => run,
            None => self.start()?,
        };
        let longest = match self.rng.below(100) {
            0..80 => 50,
            80..98 => 300,
            _ => 2000,
        };
        let steps = 5 + self.rng.below(longest);
        if self.rng.percent(80) {
            (0..8 * run.shards.len()).for_each(|_| self.help(&mut run));
        }
        // What errors break is looked for where there are many.
        let harsh = if self.is_about_errors() { 3 } else { 1 };
        if self.rng.percent(30 * harsh) {
            let chances = Chances { sync: 100, space: 300, short: 300, read: 0, write: 60 };
            self.disk.set_chances(chances);
            run.io_errors = 50 + self.rng.below(800 * harsh);
        }
        for _ in 0..steps {
            self.step(&mut run)?;
            let mut logs = run.shards.iter().filter_map(|shard| shard.log.as_ref());
            if self.disk.is_stopped() || logs.any(|log| log.health() == Health::Fatal) {
                break;
            }
        }
        self.note_end(&run);
        let kills = self.is_about_the_tail() || self.rng.percent(50);
        self.crash(run, if kills { Crash::Kill } else { Crash::Power });
        self.recover_and_check()
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    fn is_about_errors(&self) -> bool {
        use Fault::{ShortWriteAccepted, SyncErrorIgnored, WriteErrorIgnored};
        let fault = self.mutation.and_then(Mutation::fault);
        matches!(fault, Some(ShortWriteAccepted | SyncErrorIgnored | WriteErrorIgnored))
    }

    fn is_about_the_tail(&self) -> bool {
        let fault = self.mutation.and_then(Mutation::fault);
        matches!(fault, Some(Fault::TailNotDurable | Fault::TailNotRewritten))
    }

    fn faults(&self) -> Faults {
        Faults::only(self.mutation.and_then(Mutation::fault))
    }

    /// A server over these keyspaces; without a log as long as none is given to it.
    fn boot(&mut self, keyspaces: Vec<Keyspace>, recovered: Option<Recovered>) -> Run {
        let mode = match self.is_about_the_tail() {
            // What is in the page cache only is in stages only.
            true => SyncMode::EverySec,
            false => pick_mode(&mut self.rng),
        };
        let count = keyspaces.len();
        let mut run = Run {
            shards: keyspaces.into_iter().map(Shard::new).collect(),
            marks: Watermarks::new(count, recovered.as_ref().map_or(1, Recovered::next_gsn)),
            transactions: Vec::new(),
            whole: None,
            saving: None,
            is_ending: false,
            jobs: Vec::new(),
            manifest: None,
            mode,
            always_since: 0,
            epoch: 0,
            vanished: Vec::new(),
            io_errors: 0,
        };
        run.shards.iter_mut().for_each(|shard| shard.keyspace.effects.set_enabled(false));
        if let Some(recovered) = recovered {
            let logs = self.open(&mut run, recovered);
            let faults = self.faults();
            for (shard, log) in run.shards.iter_mut().zip(logs) {
                shard.begin_log(log, count, faults);
            }
        }
        run
    }

    /// What shards write after a recovery.
    fn open(&mut self, run: &mut Run, recovered: Recovered) -> Vec<LogWriter> {
        let shards = run.shards.len() as u32;
        let log = recovered.manifest.log;
        let writer = |shard: u32| {
            let options = WriterOptions {
                old_segments: recovered.old_segments(shard, shards),
                segment_bytes: SEGMENT_BYTES,
                spares: 1,
                stage_bytes: STAGE_BYTES,
                pending_bytes_max: 64 << 10,
                policy: GroupPolicy {
                    large_bytes: 2048,
                    group_bytes_max: 6000,
                    ..GroupPolicy::default()
                },
                ..WriterOptions::new(
                    log,
                    shard,
                    recovered.epoch,
                    run.mode,
                    recovered.next_seq(shard),
                )
            };
            LogWriter::new(options)
        };
        let logs = (0..shards).map(writer).collect();
        run.vanished = recovered.vanished_first_live(shards);
        run.epoch = recovered.epoch;
        run.manifest = Some(recovered.manifest);
        logs
    }

    fn step(&mut self, run: &mut Run) -> Result<(), Violation> {
        let shard = self.rng.index(run.shards.len());
        match self.mutation {
            Some(Mutation::TxSplit) if self.rng.percent(10) => self.begin_multi(run)?,
            Some(Mutation::OkBeforeBase) if self.rng.percent(10) => self.switch_log(run)?,
            _ => {}
        }
        match self.rng.below(100) {
            0..38 => self.execute(run)?,
            38..47 => self.close(run, shard),
            47..50 => self.begin_multi(run)?,
            50..57 => self.advance_transaction(run)?,
            57..63 => self.advance_whole(run)?,
            63..71 => self.advance_saving(run)?,
            71..80 => self.submit(run, shard)?,
            80..89 => self.complete(run, shard)?,
            89..94 => self.help(run),
            94..97 => self.tick(run)?,
            97 => self.expire(run),
            98 => self.advance_end(run)?,
            _ => self.configure(run)?,
        }
        Ok(())
    }

    /// CONFIG SET.
    fn configure(&mut self, run: &mut Run) -> Result<(), Violation> {
        if self.rng.percent(30) {
            return self.switch_log(run);
        }
        if self.rng.percent(30) {
            run.mode = pick_mode(&mut self.rng);
            let shards = run.shards.len();
            (0..shards).for_each(|shard| self.close(run, shard));
            run.always_since = run.marks.next_gsn();
            for shard in &mut run.shards {
                if let Some(log) = &mut shard.log {
                    log.set_mode(run.mode);
                    shard.batches.set_mode(run.mode, shards);
                    self.stats.mode_changes += 1;
                }
            }
        }
        Ok(())
    }

    fn now_ms(&self) -> i64 {
        self.now_ms as i64
    }

    /// Gives the effects of the open batch their number and their place in the log.
    fn close(&mut self, run: &mut Run, shard: usize) {
        let own = &mut run.shards[shard];
        if own.batches.is_held() || own.keyspace.effects.is_empty() {
            return;
        }
        let mut effects = own.keyspace.effects.take();
        if own.is_logged() {
            let changes = match keys_of(effects.bytes()) {
                Some(keys) => Changes::Keys(changes_of(&keys, &mut own.keyspace)),
                None => Changes::All(super::model::Model::of(
                    run.shards.iter_mut().map(|shard| &mut shard.keyspace),
                )),
            };
            self.append(run, shard, FrameKind::Batch, effects.bytes(), changes, None);
        }
        effects.clear();
        run.shards[shard].keyspace.effects = effects;
    }

    /// Appends a frame; its GSN, when there is a log.
    fn append(
        &mut self,
        run: &mut Run,
        shard: usize,
        kind: FrameKind,
        records: &[u8],
        changes: Changes,
        part: Option<(u64, u8)>,
    ) -> Option<u64> {
        let own = &mut run.shards[shard];
        if !own.is_logged() {
            return None;
        }
        let durable = run.marks.synced();
        let gsn = run.marks.take_gsn(shard);
        self.say(format_args!("shard {shard}: GSN {gsn} {kind:?} {changes:?}"));
        let own = &mut run.shards[shard];
        let Some(log) = &mut own.log else { return None };
        self.oracle.push(gsn, kind, records, changes, part);
        log.push(gsn, self.now_ms, durable, kind, records).expect("in order");
        let batch = own.batches.close(gsn);
        own.gsns.insert(batch, gsn);
        Some(gsn)
    }

    fn note_end(&mut self, run: &Run) {
        let failures = self.disk.take_failures();
        self.stats.sync_errors += failures.syncs;
        self.stats.space_errors += failures.space;
        self.stats.short += failures.short;
        self.stats.io_errors += failures.io;
        self.stats.lives += 1;
        for log in run.shards.iter().filter_map(|shard| shard.log.as_ref()) {
            self.stats.failovers += u64::from(log.is_failing_over());
            self.stats.full += u64::from(log.health() == Health::DiskFull);
            self.stats.fatal += u64::from(log.health() == Health::Fatal);
        }
    }

    fn crash(&mut self, mut run: Run, crash: Crash) {
        self.count(crash);
        (0..run.shards.len()).for_each(|shard| self.stage(&mut run, shard));
        let rng = &mut self.rng;
        for shard in &run.shards {
            for request in &shard.writes {
                let path = dir().join(request.segment.file_name());
                let keep = [0, 50, 90, 100, 100][rng.index(5)];
                self.stats.torn += u64::from(keep > 0 && keep < 100);
                self.disk
                    .write_direct(&path, request.offset, request.bytes(), || rng.percent(keep));
            }
        }
        self.stats.in_saving += u64::from(run.saving.is_some());
        self.disk.crash(crash);
    }

    fn count(&mut self, crash: Crash) {
        match crash {
            Crash::Kill => self.stats.kills += 1,
            Crash::Power => {
                self.stats.power_losses += 1;
                self.power = true;
            }
        }
    }
}
