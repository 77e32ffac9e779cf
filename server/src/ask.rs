//! Questions to other shards: a closure goes there, its result comes back to the task that asked.

use std::any::Any;
use std::marker::PhantomData;

use crate::conn::BatchId;
use crate::map::Map;
use crate::msg::{Call, Msg};
use crate::rt::oneshot;
use crate::shard::{Shard, ShardRef};

/// A promise to answer the task of shard `origin` that asked.
pub struct Ticket<T> {
    origin: usize,
    number: u64,
    kind: PhantomData<fn(T)>,
}

/// A shard's open questions.
#[derive(Default)]
pub struct Questions {
    next: u64,
    open: Map<u64, oneshot::Sender<Box<dyn Any + Send>>>,
}

/// The answer to come.
pub struct Answer<T>(oneshot::Receiver<Box<dyn Any + Send>>, PhantomData<T>);

impl<T: 'static> Answer<T> {
    /// Waits; `None` when the question was dropped on the way.
    pub async fn get(self) -> Option<T> {
        self.0.await?.downcast().ok().map(|answer| *answer)
    }
}

impl Shard {
    /// A ticket and the answer that it will bring.
    pub fn question<T: Send + 'static>(&mut self) -> (Ticket<T>, Answer<T>) {
        let (sender, receiver) = oneshot::channel();
        self.questions.next += 1;
        let number = self.questions.next;
        self.questions.open.insert(number, sender);
        (Ticket { origin: self.index, number, kind: PhantomData }, Answer(receiver, PhantomData))
    }

    /// Answers the task that gave `ticket`.
    pub fn answer_ticket<T: Send + 'static>(&mut self, ticket: Ticket<T>, answer: T) {
        let number = ticket.number;
        self.call(ticket.origin, move |shard| {
            if let Some(sender) = shard.questions.open.remove(&number) {
                sender.send(Box::new(answer));
            }
        });
    }
}

/// The same for work that changes something: the result comes when the batch that it names is safe.
pub async fn ask_when_safe<T: Send + 'static>(
    shard: &ShardRef,
    to: usize,
    work: impl FnOnce(&mut Shard) -> (T, BatchId) + Send + 'static,
) -> Option<T> {
    let answer = {
        let mut this = shard.borrow_mut();
        let (ticket, answer) = this.question();
        this.call(to, move |there| {
            let (result, batch) = work(there);
            let (origin, number) = (ticket.origin, ticket.number);
            let call: Call = Box::new(move |shard| {
                if let Some(sender) = shard.questions.open.remove(&number) {
                    sender.send(Box::new(result));
                }
            });
            there.commit.send_when_safe(batch, origin, Msg::Call(call));
            there.wake();
        });
        answer
    };
    answer.get().await
}

/// Waits until a batch of this shard is safe.
pub async fn when_safe(shard: &ShardRef, batch: BatchId) {
    let here = shard.borrow().index;
    ask_when_safe(shard, here, move |_| ((), batch)).await;
}

/// Runs `work` on shard `to` and brings its result.
pub async fn ask<T: Send + 'static>(
    shard: &ShardRef,
    to: usize,
    work: impl FnOnce(&mut Shard) -> T + Send + 'static,
) -> Option<T> {
    let answer = {
        let mut this = shard.borrow_mut();
        let (ticket, answer) = this.question();
        this.call(to, move |there| {
            let result = work(there);
            there.answer_ticket(ticket, result);
        });
        answer
    };
    answer.get().await
}

/// Runs `work` on every shard and brings the results in the order of the shards.
pub async fn ask_all<T: Send + 'static>(
    shard: &ShardRef,
    work: impl Fn(&mut Shard) -> T + Clone + Send + 'static,
) -> Vec<T> {
    let answers: Vec<Answer<T>> = {
        let mut this = shard.borrow_mut();
        (0..this.shards())
            .map(|to| {
                let (ticket, answer) = this.question();
                let work = work.clone();
                this.call(to, move |there| {
                    let result = work(there);
                    there.answer_ticket(ticket, result);
                });
                answer
            })
            .collect()
    };
    let mut results = Vec::new();
    for answer in answers {
        results.extend(answer.get().await);
    }
    results
}
