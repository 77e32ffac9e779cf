//! How a client, or the one to whom it redirects, is told.

use ringstone_engine::Reply;

use super::tracked::Readers;
use super::{Client, Invalid};
use crate::conn::Conn;
use crate::flow::execute::RespReply;
use crate::shard::Shard;

/// Where clients that speak RESP2 are told, when somebody redirects to them.
const CHANNEL: &[u8] = b"__redis__:invalidate";

/// A message about tracking that came while its connection was at hand.
pub(crate) enum Note {
    /// What the connection tracks has changed.
    Changed(Invalid),
    /// The same of readers of one key, changed by this client.
    Read(Invalid, u64),
    /// Somebody redirects to the connection.
    Redirected(Invalid),
    /// The client to which the connection redirects is gone.
    Broken,
}

impl Shard {
    /// Tells the readers of keys, wherever they are; `by` is who changed them.
    pub(super) fn tell(&mut self, readers: &Readers, what: &Invalid, by: u64) {
        for shard in 0..self.shards() {
            let there: Readers = readers.iter().copied().filter(|c| c.shard == shard).collect();
            if !there.is_empty() {
                let what = what.clone();
                self.call(shard, move |shard| {
                    there.iter().for_each(|client| {
                        shard.hand_note(*client, Note::Read(what.clone(), by));
                    });
                });
            }
        }
    }

    /// Tells a connection of this shard that tracks.
    pub(super) fn tell_changed(&mut self, client: Client, what: &Invalid) {
        self.hand_note(client, Note::Changed(what.clone()));
    }

    /// Hands a connection of this shard a message, as soon as it is not at hand.
    fn hand_note(&mut self, client: Client, note: Note) {
        if self.blocked.home.is_being_served(client.conn) {
            return self.blocked.home.keep(client.conn, note);
        }
        match self.conns.take(client.conn) {
            Some(mut conn) => {
                self.take_note(&mut conn, note);
                self.conns.put_back(conn);
                self.wake();
            }
            None if self.conns.is_known(client.conn) => self.pubsub.note_late(client.conn, note),
            None => {}
        }
    }

    /// A connection that is at hand gets a message.
    pub(crate) fn take_note(&mut self, conn: &mut Conn, note: Note) {
        match note {
            Note::Changed(what) => self.changed(conn, &what),
            Note::Read(what, by) => {
                let wanted = |settings: &super::Settings| {
                    !(settings.broadcasts() || settings.no_loop && by == conn.client_id)
                };
                if conn.tracking.as_deref().is_some_and(wanted) {
                    self.changed(conn, &what);
                }
            }
            Note::Redirected(what) => {
                if conn.resp3 {
                    conn.push(&invalidate(&what));
                } else if conn.is_subscriber() {
                    conn.push(&message(&what));
                }
            }
            Note::Broken => {
                let redirect = conn.tracking.as_mut().and_then(|all| all.redirect.as_mut());
                if let Some(redirect) = redirect {
                    redirect.broken = true;
                    let id = redirect.to.id;
                    if conn.resp3 {
                        let mut bytes = Vec::new();
                        let mut reply = RespReply::new(&mut bytes, true);
                        reply.push(2);
                        reply.bulk(b"tracking-redir-broken");
                        reply.int(i64::try_from(id).unwrap_or(i64::MAX));
                        conn.push(&bytes);
                    }
                }
            }
        }
        self.mark_dirty(conn);
    }

    fn changed(&mut self, conn: &mut Conn, what: &Invalid) {
        let Some(settings) = &conn.tracking else { return };
        match settings.redirect {
            None if conn.resp3 => conn.push(&invalidate(what)),
            // In RESP2 nobody could tell it from a reply.
            None => {}
            Some(redirect) => {
                let (to, from, what) = (redirect.to, conn.as_client(self.index), what.clone());
                if to == from {
                    return self.take_note(conn, Note::Redirected(what));
                }
                self.call(to.shard, move |there| {
                    if there.conns.is_known(to.conn) && !there.is_closing(to) {
                        there.hand_note(to, Note::Redirected(what));
                    } else {
                        there.call(from.shard, move |home| home.hand_note(from, Note::Broken));
                    }
                });
            }
        }
    }

    fn is_closing(&mut self, client: Client) -> bool {
        self.conns.get(client.conn).is_some_and(|conn| conn.closing)
    }
}

/// The push of RESP3.
fn invalidate(what: &Invalid) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut reply = RespReply::new(&mut bytes, true);
    reply.push(2);
    reply.bulk(b"invalidate");
    write(&mut reply, what);
    bytes
}

/// The message of RESP2.
fn message(what: &Invalid) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut reply = RespReply::new(&mut bytes, false);
    reply.array(3);
    reply.bulk(b"message");
    reply.bulk(CHANNEL);
    write(&mut reply, what);
    bytes
}

fn write(reply: &mut dyn Reply, what: &Invalid) {
    match what {
        Invalid::All => reply.null(),
        Invalid::Keys(keys) => {
            reply.array(keys.len());
            keys.iter().for_each(|key| reply.bulk(key));
        }
    }
}
