//! One server's life on the simulated disk: start, steps in random order, crash.

mod recovery;
mod traffic;

use std::io;
use std::path::{Path, PathBuf};

use ringstone_persist::disk::{Disk as _, block_on};
use ringstone_persist::log::group::GroupPolicy;
use ringstone_persist::log::{
    Base, Fault, Faults as Broken, FrameKind, Health, LogWriter, Manifest, Preparation, Recovered,
    SegmentId, StagePreparation, SyncMode, Watermarks, WriterOptions,
};

use super::Stats;
use super::disk::{Crash, Disk, Faults};
use super::mutation::Mutation;
use super::oracle::{Op, Oracle, Violation};
use super::rng::Rng;
use super::shard::{Shard, Transaction};

/// Keys of the whole keyspace; key `k` belongs to shard `k % shards`.
pub const KEYS: usize = 12;
const DIR: &str = "/data/appendonly";
const SHARDS_MAX: u64 = 4;
const SEGMENT_BYTES: u64 = 28 << 10;

/// What outlives a crash: the disk and the oracle.
pub struct World {
    /// Decides everything.
    pub rng: Rng,
    /// What happened so far.
    pub stats: Stats,
    mutation: Option<Mutation>,
    disk: Disk,
    oracle: Oracle,
    ops: u64,
    now_ms: u64,
    /// The cut of the last MANIFEST known to be durable.
    cut_durable: u64,
}

/// Work for the helper thread.
enum Job {
    Prepare(usize, Preparation),
    Stage(usize, StagePreparation),
    Remove(SegmentId),
    RemoveBase(String),
}

/// A snapshot between its first participant and its end.
struct Cut {
    /// Shards that have still to take part.
    left: Vec<usize>,
    state: [u64; KEYS],
    gsn: Option<u64>,
}

/// What dies in a crash.
struct Run {
    shards: Vec<Shard>,
    marks: Watermarks,
    state: [u64; KEYS],
    transactions: Vec<Transaction>,
    cut: Option<Cut>,
    jobs: Vec<Job>,
    manifest: Manifest,
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

impl World {
    /// An empty disk.
    pub fn new(seed: u64, mutation: Option<Mutation>) -> Self {
        World {
            rng: Rng::new(seed),
            stats: Stats::default(),
            mutation,
            disk: Disk::new(seed, mutation == Some(Mutation::NoDirFsync)),
            oracle: Oracle::default(),
            ops: 0,
            now_ms: 1_700_000_000_000,
            cut_durable: 0,
        }
    }

    /// Starts, works, crashes, and checks what the next start finds.
    pub fn live_and_crash(&mut self) -> Result<(), Violation> {
        let shards = 1 + self.rng.below(SHARDS_MAX) as u32;
        let (recovered, state) = self.start(shards, true)?;
        let mut run = self.boot(recovered, state, shards);
        let longest = if self.rng.percent(10) { 3000 } else { 400 };
        let steps = 20 + self.rng.below(longest);
        if self.rng.percent(30) {
            let faults = Faults { sync: 100, space: 400, short: 300 };
            self.disk.set_faults(faults);
            run.io_errors = 50 + self.rng.below(800);
        }
        for _ in 0..steps {
            let before: Vec<Health> = run.shards.iter().map(|s| s.log.health()).collect();
            let segments = run.shards.iter().filter(|s| s.log.is_failing_over()).count();
            self.step(&mut run);
            self.note_health(&run, &before, segments);
            if self.disk.is_stopped() || run.shards.iter().any(|s| s.log.health() == Health::Fatal)
            {
                break;
            }
        }
        self.stats.faults += self.disk.take_injected();
        let crash = if self.rng.percent(50) { Crash::Kill } else { Crash::Power };
        self.crash(run, crash);
        self.recover_and_check(crash)
    }

    fn boot(&mut self, recovered: Recovered, state: [u64; KEYS], shards: u32) -> Run {
        let mode = pick_mode(&mut self.rng);
        let mut log = recovered.manifest.log;
        log.faults = self.faults();
        let shard = |shard: u32| {
            let next_seq = recovered.next_seq(shard);
            let options = WriterOptions {
                old_segments: recovered.old_segments(shard, shards),
                segment_bytes: SEGMENT_BYTES,
                spares: 1,
                stage_bytes: 8192,
                pending_bytes_max: 64 << 10,
                policy: GroupPolicy {
                    large_bytes: 2048,
                    group_bytes_max: 6000,
                    ..GroupPolicy::default()
                },
                ..WriterOptions::new(log, shard, recovered.epoch, mode, next_seq)
            };
            Shard::new(LogWriter::new(options))
        };
        Run {
            shards: (0..shards).map(shard).collect(),
            marks: Watermarks::new(shards as usize, recovered.next_gsn()),
            state,
            transactions: Vec::new(),
            cut: None,
            jobs: Vec::new(),
            vanished: recovered.vanished_first_live(shards),
            epoch: recovered.epoch,
            manifest: recovered.manifest,
            io_errors: 0,
        }
    }

    fn faults(&self) -> Broken {
        Broken::only(match self.mutation {
            Some(Mutation::NoFence) => Some(Fault::NoFence),
            Some(Mutation::RecoverNoSync) => Some(Fault::TailNotDurable),
            Some(Mutation::RecoverNoRewrite) => Some(Fault::TailNotRewritten),
            Some(Mutation::RecoverNoStages) => Some(Fault::StagesIgnored),
            Some(Mutation::RecycleWithoutReseed) => Some(Fault::SeedWithoutSegment),
            Some(Mutation::StageFreedEarly) => Some(Fault::StageFreedEarly),
            _ => None,
        })
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    fn step(&mut self, run: &mut Run) {
        let shard = self.rng.index(run.shards.len());
        match self.rng.below(100) {
            0..26 => self.execute(run, shard),
            26..40 => self.close(run, shard, false),
            40..45 => self.begin_transaction(run),
            45..51 => self.end_transaction(run),
            51..57 => self.advance_cut(run),
            57..69 => self.submit(run, shard),
            69..85 => self.complete(run, shard),
            85..94 => self.help(run),
            94..98 => self.tick(run),
            98 if self.rng.percent(15) => {
                let mode = pick_mode(&mut self.rng);
                run.shards.iter_mut().for_each(|s| s.log.set_mode(mode));
                self.stats.mode_changes += 1;
            }
            _ => self.finish_cut(run),
        }
    }

    fn note_health(&mut self, run: &Run, before: &[Health], failing: usize) {
        for (shard, before) in run.shards.iter().zip(before) {
            let now = shard.log.health();
            let became = |health| u64::from(now == health && *before != health);
            self.stats.full += became(Health::DiskFull);
            self.stats.fatal += became(Health::Fatal);
        }
        let now = run.shards.iter().filter(|s| s.log.is_failing_over()).count();
        self.stats.failovers += now.saturating_sub(failing) as u64;
    }

    fn may_write(run: &Run) -> bool {
        run.shards.iter().all(|s| s.log.health() == Health::Ok && !s.log.is_stalled())
    }

    fn new_op(&mut self, run: &mut Run, keys: Vec<u8>) -> Op {
        self.ops += 1;
        let value = Op::result(self.ops, &keys, &run.state);
        keys.iter().for_each(|key| run.state[usize::from(*key)] = value);
        Op { id: self.ops, keys, value, parts: 1 }
    }

    fn key_of(&mut self, run: &Run, shard: usize) -> u8 {
        let shards = run.shards.len();
        let own = (KEYS - shard).div_ceil(shards);
        (shard + shards * self.rng.index(own)) as u8
    }

    fn execute(&mut self, run: &mut Run, shard: usize) {
        if !Self::may_write(run) || run.shards[shard].batch.len() > 20 {
            return;
        }
        let key = self.key_of(run, shard);
        let op = self.new_op(run, vec![key]);
        run.shards[shard].batch.push(op);
    }

    fn close(&mut self, run: &mut Run, shard: usize, force: bool) {
        let may = !run.shards[shard].held || force || self.is(Mutation::CloseDuringTx);
        if may && !run.shards[shard].batch.is_empty() {
            let ops = std::mem::take(&mut run.shards[shard].batch);
            self.push(run, shard, FrameKind::Batch, &ops);
        }
    }

    fn push(&mut self, run: &mut Run, shard: usize, kind: FrameKind, ops: &[Op]) -> u64 {
        let mut records = Vec::new();
        for op in ops {
            let filling = match self.rng.below(100) {
                0..60 => self.rng.below(40),
                60..95 => self.rng.below(900),
                95..99 => self.rng.below(9000),
                _ => self.rng.below(60_000),
            };
            op.encode(&mut records, filling as usize);
        }
        let durable = run.marks.synced();
        let gsn = run.marks.take_gsn(shard);
        self.oracle.push(gsn, kind, &records);
        let own = &mut run.shards[shard];
        own.log.push(gsn, self.now_ms, durable, kind, &records).expect("in order");
        own.waiting.push_back(gsn);
        if self.is(Mutation::AckBeforeDurable) {
            self.reply(run);
        }
        gsn
    }

    fn begin_transaction(&mut self, run: &mut Run) {
        let free: Vec<usize> = (0..run.shards.len()).filter(|s| !run.shards[*s].held).collect();
        if free.len() < 2 || run.transactions.len() >= 2 || !Self::may_write(run) {
            return;
        }
        let first = self.rng.index(free.len());
        let second = (first + 1 + self.rng.index(free.len() - 1)) % free.len();
        let shards = vec![free[first], free[second]];
        for shard in &shards {
            if !self.is(Mutation::TxNoClose) {
                self.close(run, *shard, true);
            }
            run.shards[*shard].held = true;
        }
        let keys = shards.iter().map(|shard| self.key_of(run, *shard)).collect();
        let op = self.new_op(run, keys);
        run.transactions.push(Transaction { shards, op });
    }

    fn end_transaction(&mut self, run: &mut Run) {
        if run.transactions.is_empty() {
            return;
        }
        let at = self.rng.index(run.transactions.len());
        let Transaction { shards, op } = run.transactions.swap_remove(at);
        if self.is(Mutation::TxSplit) {
            for (shard, key) in shards.iter().zip(&op.keys) {
                let part = Op { keys: vec![*key], parts: 2, ..op.clone() };
                self.push(run, *shard, FrameKind::Transaction, &[part]);
            }
        } else {
            self.push(run, shards[0], FrameKind::Transaction, &[op]);
        }
        shards.iter().for_each(|shard| run.shards[*shard].held = false);
    }

    /// A snapshot begins, or one shard more takes part, or it gets its GSN.
    fn advance_cut(&mut self, run: &mut Run) {
        let Some(mut cut) = run.cut.take() else {
            let free = run.shards.iter().all(|s| !s.held);
            if free && self.rng.percent(15) {
                let left = (0..run.shards.len()).collect();
                run.cut = Some(Cut { left, state: [0; KEYS], gsn: None });
            }
            return;
        };
        let shards = run.shards.len();
        if let Some(shard) = cut.left.last().copied() {
            if !run.shards[shard].held {
                cut.left.pop();
                if !self.is(Mutation::CutNoClose) {
                    self.close(run, shard, true);
                }
                let own = (shard..KEYS).step_by(shards);
                own.for_each(|key| cut.state[key] = run.state[key]);
                run.shards[shard].held = !self.is(Mutation::CutNoHold);
                run.shards[shard].log.rotate();
            }
        } else if cut.gsn.is_none() {
            let coordinator = self.rng.index(shards);
            cut.gsn = Some(self.push(run, coordinator, FrameKind::Cut, &[]));
            run.shards.iter_mut().for_each(|s| s.held = false);
        }
        run.cut = Some(cut);
    }

    /// The snapshot's file is complete: it becomes the base.
    fn finish_cut(&mut self, run: &mut Run) {
        let Some(cut) = run.cut.take_if(|cut| cut.gsn.is_some()) else { return };
        let Some(gsn) = cut.gsn else { return };
        self.perhaps_stop_within(12);
        let file_name = format!("base-{gsn}.rdb");
        if block_on(write_base(&self.disk, &file_name, gsn, &cut.state)).is_err() {
            return;
        }
        if self.is(Mutation::RetireBeforeManifest) {
            run.shards.iter_mut().for_each(|s| s.log.retire_below(gsn));
            (0..4).for_each(|_| self.help(run));
        }
        let old = run.manifest.base.as_ref().map(|base| base.file_name.clone());
        let seqs = run.shards.iter().map(|s| s.log.first_live_seq(gsn));
        let first_live: Vec<(u32, u64)> =
            (0u32..).zip(seqs).chain(run.vanished.iter().copied()).collect();
        let mut manifest = run.manifest.clone();
        manifest.set_base(Base { file_name, cut_gsn: gsn }, first_live);
        if block_on(manifest.store(&self.disk, dir())).is_err() {
            // Either content may be on the disk now: the server stops.
            self.disk.stop_after(Some(0));
            let _ = block_on(self.disk.exists(dir()));
            return;
        }
        run.manifest = manifest;
        run.jobs.extend(old.map(Job::RemoveBase));
        self.cut_durable = gsn;
        self.stats.cuts += 1;
        run.shards.iter_mut().for_each(|s| s.log.retire_below(gsn));
        (0..run.shards.len()).for_each(|shard| self.publish(run, shard));
    }

    fn crash(&mut self, mut run: Run, crash: Crash) {
        self.stats.crashes += 1;
        (0..run.shards.len()).for_each(|shard| self.stage(&mut run, shard));
        let rng = &mut self.rng;
        for shard in &run.shards {
            for request in &shard.writes {
                let path = dir().join(request.segment.file_name());
                let keep = [0, 50, 90, 100, 100][rng.index(5)];
                self.disk
                    .write_direct(&path, request.offset, request.bytes(), || rng.percent(keep));
            }
        }
        self.disk.crash(crash);
    }
}

async fn write_base(disk: &Disk, name: &str, cut: u64, state: &[u64; KEYS]) -> io::Result<()> {
    let mut bytes = cut.to_le_bytes().to_vec();
    state.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    let temporary = PathBuf::from(format!("{DIR}/{name}.new"));
    let file = disk.create(&temporary).await?;
    disk.write_all_at(&file, &bytes, 0).await?;
    disk.sync_data(&file).await?;
    disk.rename(&temporary, &dir().join(name)).await?;
    disk.sync_dir(dir()).await
}
