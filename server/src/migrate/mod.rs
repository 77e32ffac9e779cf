//! MIGRATE: keys move to another server.
//!
//! ```text
//!   hold the keys ─> pack: DUMP them into RESTOREs ─> exchange (a thread of its own) ─> settle: DEL what arrived ─> give back
//! ```
//!
//! Invariant: while keys travel nobody else has them, so that no write to them is lost; a key goes here only when the other
//! server has said that it has it.

mod request;

pub use request::{Request, key_positions};

use ringstone_engine::cmd::generic::delete;
use ringstone_engine::keyspace::Mode;
use ringstone_engine::{Error, Keyspace, Tree, serial};
use ringstone_proto::resp::Encoder;

use crate::rt::exchange::{self, Answers, Exchange, Failure, Stage};
use crate::shard::ShardRef;
use crate::table::Entry;
use crate::tx::held::Held;

/// Keys on their way.
pub struct Parcel {
    /// Those that are there, in the order of their RESTOREs.
    keys: Vec<Vec<u8>>,
    exchange: Exchange,
}

/// True of MIGRATE, which works on keys although it is a command of the server.
pub fn moves_keys(entry: &Entry) -> bool {
    entry.spec.name == "migrate"
}

/// Makes the parcel; none when none of the keys is there.
pub fn pack(data: &mut Keyspace, db: usize, now_ms: i64, request: &Request) -> Option<Parcel> {
    let mut introduction = Stage { request: Vec::new(), lines: 0 };
    match &request.login {
        Some((Some(user), password)) => add(&mut introduction, &[b"AUTH", user, password]),
        Some((None, password)) => add(&mut introduction, &[b"AUTH", password]),
        None => {}
    }
    add(&mut introduction, &[b"SELECT", request.db.to_string().as_bytes()]);
    let mut restores = Stage { request: Vec::new(), lines: 0 };
    let mut view = data.db(db, now_ms, Mode::Live);
    let mut keys = Vec::new();
    for key in &request.keys {
        let Some(entry) = view.get(key) else { continue };
        let ttl_ms = entry.expire_at_ms().map_or(0, |at| at.saturating_sub(now_ms).max(1));
        let (ttl, payload) = (ttl_ms.to_string(), serial::dump_payload(entry.value()));
        let mut words: Vec<&[u8]> = vec![b"RESTORE", key, ttl.as_bytes(), &payload];
        if request.replace {
            words.push(b"REPLACE");
        }
        add(&mut restores, &words);
        keys.push(key.clone());
    }
    if keys.is_empty() {
        return None;
    }
    let exchange = Exchange {
        host: request.host.clone(),
        port: request.port,
        timeout: request.timeout,
        // Where the target does not take the introduction, keys would come to a database where they do not belong.
        stages: vec![introduction, restores],
    };
    Some(Parcel { keys, exchange })
}

fn add(stage: &mut Stage, words: &[&[u8]]) {
    let mut out = Encoder::new(&mut stage.request, false);
    out.array(words.len());
    words.iter().for_each(|word| out.bulk(word));
    stage.lines += 1;
}

/// Sends the parcel; which keys, and what came back. None when it could not even be tried.
pub async fn send(shard: &ShardRef, parcel: Parcel) -> Option<(Vec<Vec<u8>>, Answers)> {
    let Parcel { keys, exchange } = parcel;
    let answer = {
        let mut this = shard.borrow_mut();
        let (ticket, answer) = this.question();
        let (shared, index) = (this.shared.clone(), this.index);
        let done = move |answers| {
            shared.post(index, move |there| there.answer_ticket(ticket, answers));
        };
        exchange::start(exchange, done).map(|()| answer)
    };
    Some((keys, answer.ok()?.get().await?))
}

/// Removes what has arrived, unless it was to be copied; the reply.
pub fn settle(
    data: &mut Keyspace,
    db: usize,
    now_ms: i64,
    request: &Request,
    sent: Option<(Vec<Vec<u8>>, Answers)>,
) -> Tree {
    let Some((keys, answers)) = sent else {
        return Tree::Error(Error::text("IOERR too many keys are on their way to other servers"));
    };
    let reading = "IOERR error or timeout reading to target instance";
    match answers.failure {
        Some(Failure::Connect) => {
            let error = Error::text("IOERR error or timeout connecting to the client");
            return Tree::Error(error);
        }
        Some(Failure::Write) => {
            return Tree::Error(Error::text("IOERR error or timeout writing to target instance"));
        }
        Some(Failure::Read) | None => {}
    }
    let before = usize::from(request.login.is_some()) + 1;
    if answers.lines.len() < before {
        return Tree::Error(Error::text(reading));
    }
    let (introduction, restored) = answers.lines.split_at(before);
    let mut error = introduction.iter().find(|line| is_error(line));
    let mut view = data.db(db, now_ms, Mode::Live);
    for (key, line) in keys.iter().zip(restored) {
        if is_error(line) {
            error = error.or(Some(line));
        } else if !request.copy {
            delete(&mut view, key);
        }
    }
    match error {
        Some(line) => {
            let text = String::from_utf8_lossy(line.get(1..).unwrap_or_default());
            Tree::Error(Error::owned(format!("ERR Target instance replied with error: {text}")))
        }
        None if restored.len() < keys.len() => Tree::Error(Error::text(reading)),
        None => Tree::Simple("OK".to_owned()),
    }
}

fn is_error(line: &[u8]) -> bool {
    line.first() == Some(&b'-')
}

/// The reply when there is nothing to send.
pub fn no_key() -> Tree {
    Tree::Simple("NOKEY".to_owned())
}

/// Does all of it with keys that are held.
pub async fn migrate_in(held: &mut Held, db: usize, request: &Request) -> Tree {
    let named: Vec<_> = request.keys.iter().map(|key| (db, key.clone())).collect();
    held.fetch_named(&named).await;
    let now_ms = held.now_ms();
    let Some(parcel) = pack(held.data(), db, now_ms, request) else {
        held.tell();
        return no_key();
    };
    let shard = ShardRef::clone(held.shard());
    let sent = send(&shard, parcel).await;
    let tree = settle(held.data(), db, now_ms, request, sent);
    held.tell();
    tree
}
