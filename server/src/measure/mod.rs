//! What commands cost, how they fail, and which of them are worth remembering.
//!
//! ```text
//!   clock ── command ── clock ── command ── clock        one reading a command: its end is the next one's beginning
//!               │ ns
//!               ├─> calls    per command: calls, time, latencies      INFO commandstats, latencystats, LATENCY HISTOGRAM
//!               ├─> errors   per code                                 INFO errorstats
//!               ├─> memory   slow ones, large requests and replies    SLOWLOG, COMMANDLOG
//!               └─> events   what took long, also beside commands     LATENCY
//! ```
//!
//! Invariant: a command is counted once, on the shard that ran it; where it ran on several, on the one that coordinated it.

pub mod calls;
pub mod errors;
pub mod latency;
pub mod rates;
pub mod redact;
pub mod remembered;

use ringstone_engine::cmd::Flags;
use ringstone_engine::{Args, Error};

use crate::config::Config;
use crate::rt::ticks::Ticker;
use crate::shard::Shard;
use crate::table::{Entry, Table};
use calls::CallTable;
use errors::ErrorCounts;
use latency::Events;
use remembered::{Memory, Took};

/// A shard's measurements.
pub struct Measure {
    ticker: Ticker,
    /// When the last command ended, or the work began that is measured next; in ticks.
    since: u64,
    tracks_latency: bool,
    /// How long the command took that was measured last, in ns.
    last_ns: u64,
    /// From this time on an event is worth a sample, in ns.
    event_ns: u64,
    /// What commands cost.
    pub calls: CallTable,
    /// Error replies.
    pub errors: ErrorCounts,
    /// Commands worth remembering.
    pub memory: Memory,
    /// Events that took long.
    pub events: Events,
    /// How much happens a second.
    pub rates: rates::Rates,
}

impl Measure {
    /// Nothing measured yet.
    pub fn new(table: &Table, config: &Config) -> Measure {
        let ticker = Ticker::new();
        let mut measure = Measure {
            since: ticker.now(),
            ticker,
            tracks_latency: false,
            last_ns: 0,
            event_ns: u64::MAX,
            calls: CallTable::new(table),
            errors: ErrorCounts::default(),
            memory: Memory::new(config),
            events: Events::default(),
            rates: rates::Rates::default(),
        };
        measure.configure(config);
        measure
    }

    /// Takes over new values of parameters.
    pub fn configure(&mut self, config: &Config) {
        self.tracks_latency = config.latency_tracking;
        self.event_ns = match config.latency_monitor_threshold {
            0 => u64::MAX,
            ms => ms.saturating_mul(1_000_000),
        };
        self.memory.configure(config);
    }

    /// Sets counters back to zero.
    pub fn reset(&mut self) {
        self.calls.reset();
        self.errors = ErrorCounts::default();
        self.rates = rates::Rates::default();
    }

    /// The clock in use, as INFO names it.
    pub fn clock_name(&self) -> String {
        self.ticker.name()
    }

    /// Every now and then: takes the clock's rate anew.
    pub fn calibrate(&mut self) {
        self.ticker.calibrate();
    }

    /// What is measured next begins now.
    #[inline]
    pub fn begin(&mut self) {
        self.since = self.ticker.now();
    }

    /// The time, for [`Shard::note_call_since`].
    pub fn now(&self) -> u64 {
        self.ticker.now()
    }

    /// What the command took that was measured last.
    #[inline]
    fn took(&self, args: Args<'_>, reply_bytes: usize) -> Took {
        Took::new(self.last_ns, args, reply_bytes)
    }

    /// When the command at hand began.
    pub fn began(&self) -> u64 {
        self.since
    }
}

impl Shard {
    /// A command has ended that began where the last one ended, or at [`Measure::begin`].
    #[inline]
    pub(crate) fn note_call(&mut self, entry: &Entry, failure: Option<&Error>) {
        self.note_call_since(entry, self.measure.since, failure);
    }

    /// A command has ended that began at `began` ([`Measure::now`]).
    #[inline]
    pub(crate) fn note_call_since(&mut self, entry: &Entry, began: u64, failure: Option<&Error>) {
        self.note_call_counted(entry, began, failure.is_some());
        if let Some(error) = failure {
            self.note_error(error);
        }
    }

    /// The same for a command whose error, if it failed, is counted already.
    #[inline]
    pub(crate) fn note_call_counted(&mut self, entry: &Entry, began: u64, failed: bool) {
        self.stats.commands += 1;
        let measure = &mut self.measure;
        measure.since = measure.ticker.now();
        let ns = measure.ticker.ns(measure.since.saturating_sub(began));
        measure.last_ns = ns;
        if ns >= measure.event_ns {
            let is_fast = entry.spec.flags.contains(Flags::FAST);
            let event = if is_fast { "fast-command" } else { "command" };
            measure.events.add(event, self.now_ms / 1000, ns / 1_000_000);
        }
        measure.calls.note(entry, ns, failed, measure.tracks_latency);
    }

    /// Something has ended that began at `began` ([`Measure::now`]) and may have kept commands waiting; how long
    /// it took, in ns.
    pub(crate) fn note_event(&mut self, event: &'static str, began: u64) -> u64 {
        let measure = &mut self.measure;
        let ns = measure.ticker.ns(measure.ticker.now().saturating_sub(began));
        if ns >= measure.event_ns {
            measure.events.add(event, self.now_ms / 1000, ns / 1_000_000);
        }
        ns
    }

    /// A command that has waited is over; its end began at `began`.
    pub(crate) fn note_call_end(&mut self, entry: &Entry, began: u64, failure: Option<&Error>) {
        let measure = &mut self.measure;
        measure.since = measure.ticker.now();
        let ns = measure.ticker.ns(measure.since.saturating_sub(began));
        measure.last_ns = ns;
        measure.calls.note_end(entry, ns, failure.is_some());
        if let Some(error) = failure {
            self.note_error(error);
        }
    }

    /// An error reply.
    #[cold]
    pub(crate) fn note_error(&mut self, error: &Error) {
        self.stats.errors += 1;
        self.measure.errors.note(&error.code(), 1);
    }
}
