//! One server's life on the simulated disk: start, steps in random order, crash.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use ringstone_persist::disk::{Disk as _, block_on};
use ringstone_persist::log::frame::FRAME_HEADER_BYTES;
use ringstone_persist::log::group::GroupPolicy;
use ringstone_persist::log::recovery::RecoveryPlan;
use ringstone_persist::log::writer::Ticket;
use ringstone_persist::log::{
    Base, FrameKind, Health, LogWriter, Manifest, Preparation, RecoverOptions, Recovered,
    RecoveryError, SegmentId, SyncMode, Watermarks, WriterOptions, prepare_segment, scan_segment,
};

use super::Stats;
use super::disk::{Crash, Disk, Faults};
use super::mutation::Mutation;
use super::oracle::{Op, Oracle, Violation, Written};
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

    /// Recovers, perhaps with crashes in between, and a second time.
    fn recover_and_check(&mut self, crash: Crash) -> Result<(), Violation> {
        let mut power = crash == Crash::Power;
        if self.rng.percent(10) {
            self.flip_a_bit_that_does_not_matter();
        }
        while self.rng.percent(25) {
            let operations = self.rng.below(60);
            self.disk.stop_after(Some(operations));
            let shards = 1 + self.rng.below(SHARDS_MAX) as u32;
            if self.rng.percent(20) {
                self.disk.set_faults(Faults { sync: 500, space: 500, short: 500 });
            }
            match self.recover(shards, power) {
                Ok((recovered, _)) => self.oracle.settle(recovered.gsn),
                Err(Failure::Io) => {}
                Err(Failure::Violation(violation)) => return Err(violation),
            }
            self.stats.crashes += 1;
            let again = if self.rng.percent(50) { Crash::Kill } else { Crash::Power };
            power |= again == Crash::Power;
            self.disk.crash(again);
        }
        let (first, state) =
            self.recover_surely(1 + self.rng.clone().below(SHARDS_MAX) as u32, power)?;
        self.oracle.settle(first.gsn);
        if self.rng.percent(40) {
            self.stats.crashes += 1;
            self.disk.crash(if self.rng.percent(50) { Crash::Kill } else { Crash::Power });
            let (second, again) = self.recover_surely(2, true)?;
            if second.gsn != first.gsn || again != state {
                let text = format!("recovery of a recovery: {} after {}", second.gsn, first.gsn);
                return Err(Violation(text));
            }
        }
        Ok(())
    }

    fn start(&mut self, shards: u32, power: bool) -> Result<(Recovered, [u64; KEYS]), Violation> {
        let (recovered, state) = self.recover_surely(shards, power)?;
        self.oracle.settle(recovered.gsn);
        Ok((recovered, state))
    }

    fn recover_surely(
        &mut self,
        shards: u32,
        power: bool,
    ) -> Result<(Recovered, [u64; KEYS]), Violation> {
        self.recover(shards, power).map_err(|failure| match failure {
            Failure::Io => Violation("recovery fails on a healthy disk".to_owned()),
            Failure::Violation(violation) => violation,
        })
    }

    /// One recovery with every check.
    fn recover(&mut self, shards: u32, power: bool) -> Result<(Recovered, [u64; KEYS]), Failure> {
        self.now_ms += 1000;
        let mut options = RecoverOptions::new(DIR, shards, [0x5a; 16], self.now_ms);
        options.faults.no_fence = self.mutation == Some(Mutation::NoFence);
        options.faults.no_sync = self.mutation == Some(Mutation::RecoverNoSync);
        options.faults.no_rewrite = self.mutation == Some(Mutation::RecoverNoRewrite);
        options.faults.seed_without_segment = self.mutation == Some(Mutation::RecycleWithoutReseed);
        let disk = self.disk.clone();
        let plan = block_on(RecoveryPlan::load(&disk, &options))?;
        let mut scans = Vec::new();
        for id in plan.segments() {
            let path = dir().join(id.file_name());
            let scan = block_on(scan_segment(&disk, &path, &plan.log(), *id));
            let scan = scan.map_err(|_| Failure::Io)?;
            for frame in &scan.frames {
                self.oracle.check_frame(*id, frame.epoch, frame.gsn)?;
            }
            scans.push(scan);
        }
        let recovered = block_on(plan.finish(&disk, scans))?;
        self.oracle.check_end(recovered.gsn, power)?;
        let mut state = [0; KEYS];
        if let Some((path, cut)) = recovered.base() {
            state = read_base(&disk, &path, cut)?;
        }
        self.cut_durable = recovered.manifest.cut_gsn();
        let mut parts = HashMap::new();
        let mut replay = recovered.replay::<Disk>();
        let mut next = self.cut_durable;
        while let Some(frame) = block_on(replay.next(&disk)).map_err(|_| Failure::Io)? {
            next += 1;
            if frame.gsn != next {
                let text = format!("replay gives GSN {} instead of {next}", frame.gsn);
                return Err(Violation(text).into());
            }
            self.oracle.replay(frame.gsn, frame.kind, frame.records, &mut state, &mut parts)?;
            self.stats.replayed += 1;
        }
        if next != recovered.gsn {
            return Err(Violation(format!("replay ends at {next}, not {}", recovered.gsn)).into());
        }
        self.oracle.check_parts(&parts)?;
        Ok((recovered, state))
    }

    fn boot(&mut self, recovered: Recovered, state: [u64; KEYS], shards: u32) -> Run {
        let mode = pick_mode(&mut self.rng);
        let mut log = recovered.manifest.log;
        log.fault_seed_without_segment = self.mutation == Some(Mutation::RecycleWithoutReseed);
        let shard = |shard: u32| {
            let next_seq = recovered.next_seq(shard);
            let options = WriterOptions {
                old_segments: recovered.old_segments(shard, shards),
                segment_bytes: SEGMENT_BYTES,
                spares: 1,
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
            self.stats.new_bases += became(Health::NeedsNewBase);
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
            let wanted = run.shards.iter().any(|s| s.log.health() == Health::NeedsNewBase);
            if free && (wanted || self.rng.percent(15)) {
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

    fn perhaps_stop_within(&mut self, operations: u64) {
        if self.rng.percent(3) {
            let operations = self.rng.below(operations);
            self.disk.stop_after(Some(operations));
        }
    }

    /// Hands writes and syncs to the kernel.
    fn submit(&mut self, run: &mut Run, shard: usize) {
        let own = &mut run.shards[shard];
        while let Some(request) = own.log.next_write() {
            if request.from == 0 {
                note_frames(
                    &mut self.oracle,
                    request.segment,
                    request.offset,
                    request.buf.as_slice(),
                    run.epoch,
                );
            }
            own.writes.push(request);
            if self.rng.percent(30) {
                break;
            }
        }
        while let Some((segment, offset, bytes)) = own.log.take_buffered() {
            note_frames(&mut self.oracle, segment, offset, bytes, run.epoch);
            let result = match self.rng.below(10_000) {
                n if n < run.io_errors / 4 => Err(io::Error::other("EIO")),
                n if n < run.io_errors / 2 => Err(io::ErrorKind::StorageFull.into()),
                n if n < run.io_errors => Ok(self.rng.index(bytes.len() + 1)),
                _ => Ok(bytes.len()),
            };
            if let Ok(len) = &result {
                self.disk.write_buffered(&dir().join(segment.file_name()), offset, &bytes[..*len]);
            }
            own.log.buffered_done(result);
            if self.rng.percent(30) {
                break;
            }
        }
        while let Some(request) = own.log.next_sync() {
            own.syncs.push(request);
        }
        self.publish(run, shard);
    }

    /// One write or sync of a shard ends, in any order.
    fn complete(&mut self, run: &mut Run, shard: usize) {
        let fails = self.rng.basis_points(run.io_errors);
        let own = &mut run.shards[shard];
        if !own.writes.is_empty() && (own.syncs.is_empty() || self.rng.percent(70)) {
            let request = own.writes.swap_remove(self.rng.index(own.writes.len()));
            let path = dir().join(request.segment.file_name());
            let len = request.bytes().len();
            let result = match self.rng.below(4) {
                _ if !fails => Ok(len),
                0 => Ok(self.rng.index(len)),
                1 => Err(io::ErrorKind::StorageFull.into()),
                _ => Err(io::Error::other("EIO")),
            };
            match &result {
                Ok(len) => {
                    self.disk.write_direct(&path, request.offset, &request.bytes()[..*len], || true)
                }
                Err(_) => {
                    let rng = &mut self.rng;
                    self.disk
                        .write_direct(&path, request.offset, request.bytes(), || rng.percent(50));
                }
            }
            self.stats.faults += u64::from(fails);
            let ticket = Ticket::from_u64(request.ticket.to_u64());
            drop(request);
            own.log.write_done(ticket, result);
        } else if !own.syncs.is_empty() {
            let request = own.syncs.swap_remove(self.rng.index(own.syncs.len()));
            self.disk.sync_path(&dir().join(request.segment.file_name()), !fails);
            let result = if fails { Err(io::Error::other("EIO")) } else { Ok(()) };
            self.stats.faults += u64::from(fails);
            own.log.sync_done(request.ticket, result);
        }
        self.publish(run, shard);
    }

    /// The helper thread does one piece of work.
    fn help(&mut self, run: &mut Run) {
        for (shard, own) in run.shards.iter_mut().enumerate() {
            while let Some(job) = own.log.next_preparation() {
                run.jobs.push(Job::Prepare(shard, job));
            }
            while let Some(id) = own.log.next_removal() {
                run.jobs.push(Job::Remove(id));
            }
        }
        if run.jobs.is_empty() {
            return;
        }
        self.perhaps_stop_within(10);
        let job = run.jobs.swap_remove(self.rng.index(run.jobs.len()));
        let disk = &self.disk;
        match job {
            Job::Prepare(shard, job) => {
                let log = &mut run.shards[shard].log;
                self.oracle.prepare(job.id);
                self.stats.recycled += u64::from(job.recycle.is_some());
                match block_on(prepare_segment(disk, dir(), &job)) {
                    Ok(()) => log.spare_ready(job.id),
                    Err(error) => log.spare_failed(job.id, &error),
                }
            }
            Job::Remove(id) => drop(block_on(disk.remove(&dir().join(id.file_name())))),
            Job::RemoveBase(name) => drop(block_on(disk.remove(&dir().join(name)))),
        }
    }

    fn tick(&mut self, run: &mut Run) {
        self.now_ms += 100 + self.rng.below(1500);
        let (synced, next) = (run.marks.synced(), run.marks.next_gsn());
        for own in &mut run.shards {
            own.log.tick(self.now_ms);
            own.log.mark_if_idle(self.now_ms, synced, next);
        }
    }

    fn publish(&mut self, run: &mut Run, shard: usize) {
        let log = &run.shards[shard].log;
        run.marks.publish(shard, log.written_below(), log.synced_below());
        self.reply(run);
    }

    /// Replies leave.
    fn reply(&mut self, run: &mut Run) {
        let (written, synced) = (run.marks.written(), run.marks.synced());
        self.oracle.synced = self.oracle.synced.max(synced);
        for own in &mut run.shards {
            let always = own.log.mode() == SyncMode::Always;
            while let Some(gsn) = own.waiting.front().copied() {
                let leaves = match self.mutation {
                    Some(Mutation::AckLocal) if always => own.own_done(gsn, true),
                    Some(Mutation::AckWrittenLocal) if !always => own.own_done(gsn, false),
                    Some(Mutation::AckBeforeDurable) => true,
                    _ if always => gsn <= synced,
                    _ => gsn <= written,
                };
                if !leaves {
                    break;
                }
                own.waiting.pop_front();
                self.oracle.acknowledge(gsn, always);
                self.stats.acknowledged += 1;
            }
        }
    }

    fn crash(&mut self, run: Run, crash: Crash) {
        self.stats.crashes += 1;
        let rng = &mut self.rng;
        for shard in &run.shards {
            for request in &shard.writes {
                let path = dir().join(request.segment.file_name());
                let keep = [0, 50, 90, 100, 100][rng.index(5)];
                self.disk
                    .write_direct(&path, request.offset, request.bytes(), || rng.percent(keep));
            }
            for request in &shard.syncs {
                if rng.percent(50) {
                    self.disk.sync_path(&dir().join(request.segment.file_name()), true);
                }
            }
        }
        self.disk.crash(crash);
    }

    /// Damages a byte of a segment that no needed frame covers.
    fn flip_a_bit_that_does_not_matter(&mut self) {
        let mut segments: Vec<SegmentId> = self.oracle.written.keys().copied().collect();
        segments.sort_unstable();
        if segments.is_empty() {
            return;
        }
        let id = segments[self.rng.index(segments.len())];
        let path = dir().join(id.file_name());
        let Some(bytes) = self.disk.bytes(&path) else { return };
        let at = self.rng.below(bytes.len() as u64);
        let needed = |w: &Written| w.gsn > self.cut_durable && (w.offset..w.end).contains(&at);
        if !self.oracle.written.get(&id).is_some_and(|all| all.iter().any(needed)) {
            let bit = self.rng.below(8);
            self.disk.damage(&path, |bytes| bytes[at as usize] ^= 1 << bit);
        }
    }
}

/// Why a recovery did not succeed.
enum Failure {
    /// The disk failed or the machine stopped: allowed while it may.
    Io,
    Violation(Violation),
}

impl From<Violation> for Failure {
    fn from(violation: Violation) -> Self {
        Failure::Violation(violation)
    }
}

impl From<RecoveryError> for Failure {
    fn from(error: RecoveryError) -> Self {
        match error {
            RecoveryError::Io { .. } => Failure::Io,
            RecoveryError::Manifest(ringstone_persist::log::ManifestError::Io(_)) => Failure::Io,
            other => Failure::Violation(Violation(format!("refused: {other}"))),
        }
    }
}

/// Tells the oracle which frames are handed to the kernel.
fn note_frames(
    oracle: &mut Oracle,
    segment: SegmentId,
    mut offset: u64,
    mut bytes: &[u8],
    epoch: u32,
) {
    while let Some(header) = bytes.first_chunk::<FRAME_HEADER_BYTES>() {
        if !header.starts_with(b"RFRM") {
            break;
        }
        let field = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("8 bytes"));
        let (gsn, len) = (field(32), FRAME_HEADER_BYTES as u64 + field(16));
        oracle.write(segment, epoch, Written { offset, end: offset + len, gsn });
        offset += len;
        bytes = bytes.get(len as usize..).unwrap_or_default();
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

fn read_base(disk: &Disk, path: &Path, cut: u64) -> Result<[u64; KEYS], Violation> {
    let broken = || Violation(format!("the base at {} cannot be read", path.display()));
    let bytes = disk.bytes(path).ok_or_else(broken)?;
    let (content, crc) = bytes.split_last_chunk::<4>().ok_or_else(broken)?;
    let number = |i: usize| {
        content.get(i * 8..i * 8 + 8).map(|b| u64::from_le_bytes(b.try_into().expect("8 bytes")))
    };
    if u32::from_le_bytes(*crc) != crc32fast::hash(content) || number(0) != Some(cut) {
        return Err(broken());
    }
    let mut state = [0; KEYS];
    for (i, value) in state.iter_mut().enumerate() {
        *value = number(i + 1).ok_or_else(broken)?;
    }
    Ok(state)
}
