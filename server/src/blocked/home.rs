//! A connection that waits, as its own shard sees it: until when, and how a wait ends without being served.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ringstone_engine::cmd::blocking::Block;
use ringstone_engine::{Error, Reply};

use super::Waiting;
use crate::conn::{BatchId, Conn, ConnId};
use crate::flow::execute::RespReply;
use crate::map::Map;
use crate::msg::Msg;
use crate::rt::exec::sleep;
use crate::shard::Shard;
use crate::tracking::Note;

/// The longest sleep of a timer, in ms: one that came too early for a later deadline goes away soon.
const TIMER_MS_MAX: i64 = 1000;

/// The connections of a shard that wait.
#[derive(Default)]
pub struct Home {
    conns: Map<ConnId, Arc<Waiting>>,
    /// By time and command.
    deadlines: BTreeMap<(i64, u64), ConnId>,
    /// When the timer that is under way ends, in ms since 1970.
    timer_ms: Option<i64>,
    /// Connections whose wait has ended and whose input has to be looked at.
    resumed: Vec<ConnId>,
    /// What connections are to be told behind the answer that is on its way.
    kept: Vec<(ConnId, Note)>,
}

impl Home {
    /// Number of connections that wait.
    pub fn len(&self) -> usize {
        self.conns.len()
    }

    /// True when no connection waits.
    pub fn is_empty(&self) -> bool {
        self.conns.is_empty()
    }

    /// Number of those that wait for a limited time.
    pub fn with_deadline(&self) -> usize {
        self.deadlines.len()
    }

    /// True when somebody's time is up.
    pub fn is_due(&self, now_ms: i64) -> bool {
        self.deadlines.first_key_value().is_some_and(|((deadline, _), _)| *deadline < now_ms)
    }

    /// True while somebody serves this connection: its answer is on its way, or its wait goes on.
    pub fn is_being_served(&self, id: ConnId) -> bool {
        self.conns.get(&id).is_some_and(|waiting| waiting.is_claimed())
    }

    /// Keeps what a connection that is being served is told, until it has its answer.
    pub(crate) fn keep(&mut self, id: ConnId, note: Note) {
        self.kept.push((id, note));
    }

    fn note_deadline(&mut self, waiting: &Waiting) {
        if let Some(deadline) = waiting.deadline_ms {
            self.deadlines.insert((deadline, waiting.id), waiting.conn);
        }
    }

    /// The next connection whose time is up.
    fn pop_due(&mut self, now_ms: i64) -> Option<Arc<Waiting>> {
        loop {
            let (&(deadline, id), &conn) = self.deadlines.first_key_value()?;
            if deadline >= now_ms {
                return None;
            }
            self.deadlines.pop_first();
            if let Some(waiting) = self.conns.get(&conn).filter(|waiting| waiting.id == id) {
                return Some(Arc::clone(waiting));
            }
        }
    }
}

impl Shard {
    /// A connection of this shard waits from now on.
    pub(super) fn begin_wait(&mut self, waiting: Arc<Waiting>) {
        self.blocked.home.note_deadline(&waiting);
        self.blocked.home.conns.insert(waiting.conn, waiting);
        self.start_timer();
    }

    /// The command that was sent to another shard under place `number` waits there.
    pub(super) fn hop_waits(&mut self, waiting: Arc<Waiting>, number: u64) {
        match self.conns.get(waiting.conn) {
            Some(conn) if !conn.closing => {
                conn.hop_waits(number);
                self.begin_wait(waiting);
            }
            _ => self.abandon(&waiting),
        }
    }

    /// Ends the wait of a connection that goes away.
    pub(crate) fn forget_wait(&mut self, conn: &Conn) {
        if let Some(waiting) = self.blocked.home.conns.remove(&conn.id) {
            self.blocked.home.kept.retain(|(to, _)| *to != conn.id);
            self.abandon(&waiting);
        }
    }

    fn abandon(&mut self, waiting: &Arc<Waiting>) {
        // When somebody is just serving it, the reply will find nobody.
        waiting.claim();
        self.end_wait(waiting);
    }

    fn end_wait(&mut self, waiting: &Arc<Waiting>) {
        if let Some(deadline) = waiting.deadline_ms {
            self.blocked.home.deadlines.remove(&(deadline, waiting.id));
        }
        let owners = self.owners_of(waiting);
        if owners.len() > 1 {
            self.shared.waits_on_several.fetch_sub(1, Ordering::AcqRel);
        }
        for owner in owners {
            let waiting = Arc::clone(waiting);
            self.call(owner, move |there| there.unregister(&waiting));
        }
    }

    /// Replies to a command whose wait was claimed by this shard.
    pub(super) fn answer_waiting(
        &mut self,
        waiting: &Arc<Waiting>,
        bytes: Vec<u8>,
        batch: BatchId,
    ) {
        if waiting.home == self.index {
            return self.finish_wait(waiting, &bytes, batch);
        }
        let there = Arc::clone(waiting);
        let call = move |home: &mut Shard| home.finish_wait(&there, &bytes, 0);
        self.commit.send_when_safe(batch, waiting.home, Msg::Call(Box::new(call)));
        self.wake();
    }

    fn finish_wait(&mut self, waiting: &Arc<Waiting>, bytes: &[u8], batch: BatchId) {
        let id = waiting.conn;
        if self.blocked.home.conns.get(&id).is_none_or(|known| known.id != waiting.id) {
            return;
        }
        self.blocked.home.conns.remove(&id);
        self.end_wait(waiting);
        let Some(mut conn) = self.conns.take(id) else { return };
        self.write_late_reply(&mut conn, bytes, batch);
        self.tell_kept(&mut conn);
        self.settle(conn);
        // What it has sent meanwhile runs after the command that served it.
        self.blocked.home.resumed.push(id);
        self.wake();
    }

    fn tell_kept(&mut self, conn: &mut Conn) {
        let id = conn.id;
        if self.blocked.home.kept.is_empty() {
            return;
        }
        let notes: Vec<_> = self.blocked.home.kept.extract_if(.., |(to, _)| *to == id).collect();
        notes.into_iter().for_each(|(_, note)| self.take_note(conn, note));
    }

    /// Goes on with connections whose wait has ended.
    pub(crate) fn resume_served(&mut self) -> bool {
        if self.blocked.home.resumed.is_empty() {
            return false;
        }
        while !self.blocked.home.resumed.is_empty() {
            for id in std::mem::take(&mut self.blocked.home.resumed) {
                if let Some(mut conn) = self.conns.take(id) {
                    self.go_on(&mut conn);
                    self.settle(conn);
                }
            }
        }
        true
    }

    /// Answers the commands whose time is up.
    pub(crate) fn end_late_waits(&mut self) -> bool {
        if self.blocked.home.deadlines.is_empty() {
            return false;
        }
        let mut worked = false;
        while let Some(waiting) = self.blocked.home.pop_due(self.now_ms) {
            // Somebody serves it just now, or gives it back with `wait_goes_on`.
            if waiting.claim() {
                let mut bytes = Vec::new();
                Block::reply_too_late(&mut RespReply::new(&mut bytes, waiting.resp3));
                self.answer_waiting(&waiting, bytes, 0);
                worked = true;
            }
        }
        self.start_timer();
        worked
    }

    /// A claim was put back: the time may have come meanwhile.
    pub(super) fn wait_goes_on(&mut self, waiting: &Arc<Waiting>) {
        let id = waiting.id;
        if self.blocked.home.conns.get(&waiting.conn).is_some_and(|known| known.id == id) {
            self.blocked.home.note_deadline(waiting);
            self.start_timer();
            if let Some(mut conn) = self.conns.take(waiting.conn) {
                self.tell_kept(&mut conn);
                self.conns.put_back(conn);
            }
        }
    }

    /// Wakes the shard for the next deadline.
    fn start_timer(&mut self) {
        let Some((&(deadline, _), _)) = self.blocked.home.deadlines.first_key_value() else {
            return;
        };
        // A deadline is over when its millisecond is.
        let until_ms = deadline.saturating_add(1).min(self.now_ms.saturating_add(TIMER_MS_MAX));
        if self.blocked.home.timer_ms.is_some_and(|timer_ms| timer_ms <= until_ms) {
            return;
        }
        let Some(me) = self.me() else { return };
        self.blocked.home.timer_ms = Some(until_ms);
        let ms = u64::try_from(until_ms - self.now_ms).unwrap_or(0);
        self.queues.spawn(async move {
            sleep(Duration::from_millis(ms)).await;
            let mut this = me.borrow_mut();
            this.now_ms = crate::rt::clock::unix_ms();
            if this.blocked.home.timer_ms == Some(until_ms) {
                // The pass ends what is late and starts the next timer. Started here it would be due at once, again and again,
                // and the pass would not get its turn.
                this.blocked.home.timer_ms = None;
            }
            this.wake();
        });
    }

    /// CLIENT UNBLOCK: ends the wait of a client of this shard, with an error or as if its time were up; false when it does not
    /// wait.
    pub(crate) fn unblock_client(&mut self, client_id: u64, with_error: bool) -> bool {
        let conns = &mut self.conns;
        let waiting = self.blocked.home.conns.values();
        let mut known = waiting.filter(|waiting| {
            conns.get(waiting.conn).is_some_and(|conn| conn.client_id == client_id)
        });
        let Some(waiting) = known.next().map(Arc::clone) else { return false };
        if !waiting.claim() {
            return false;
        }
        let mut bytes = Vec::new();
        let mut reply = RespReply::new(&mut bytes, waiting.resp3);
        if with_error {
            let error = Error::text("UNBLOCKED client unblocked via CLIENT UNBLOCK");
            reply.error(&error);
            self.note_call_end(waiting.entry, self.measure.now(), Some(&error));
        } else {
            Block::reply_too_late(&mut reply);
        }
        self.answer_waiting(&waiting, bytes, 0);
        true
    }
}
