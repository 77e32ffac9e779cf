//! Step 1: connections come, bytes come, connections go.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering;

use crate::conn::{Conn, ConnId};
use crate::rt::ring::{Completion, Token};
use crate::rt::socket;
use crate::shard::Shard;

/// Kinds of ring tokens.
pub mod kind {
    /// A listener's accept.
    pub const ACCEPT: u8 = 1;
    /// A connection's receive.
    pub const RECEIVE: u8 = 2;
    /// A connection's send.
    pub const SEND: u8 = 3;
    /// Nobody waits for it.
    pub const IGNORE: u8 = 4;
    /// A write of the log.
    pub const LOG_WRITE: u8 = 5;
}

/// Input that a connection which cannot go on may pile up before its receive is cancelled, in bytes.
const INPUT_PAUSE_BYTES: usize = 1 << 20;

/// A listening socket.
pub struct Listener {
    fd: OwnedFd,
    /// None for a unix socket.
    address: Option<SocketAddr>,
}

impl Listener {
    /// Takes over a socket that listens.
    pub fn new(fd: OwnedFd, address: Option<SocketAddr>) -> Listener {
        Listener { fd, address }
    }

    /// Where it listens; none for a unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }
}

impl Shard {
    /// Starts accepting on `listener`.
    pub fn listen(&mut self, listener: Listener) {
        if self.stopping {
            return;
        }
        let token = Token::new(kind::ACCEPT, self.listeners.len() as u64);
        self.net.accept_multi(listener.fd.as_raw_fd(), token);
        self.listeners.push(Some(listener));
    }

    /// Ends listening on these addresses. Places in the list are not used again: completions may still come.
    pub(crate) fn stop_listening_at(&mut self, gone: &[SocketAddr]) {
        for index in 0..self.listeners.len() {
            let Some(place) = self.listeners.get_mut(index) else { break };
            let is_gone = |l: &Listener| l.address.is_some_and(|address| gone.contains(&address));
            if place.as_ref().is_some_and(is_gone) {
                *place = None;
                let token = Token::new(kind::ACCEPT, index as u64);
                self.net.cancel(token, Token::new(kind::IGNORE, 0));
            }
        }
    }

    /// Stops accepting.
    pub fn stop_listening(&mut self) {
        self.stopping = true;
        for index in 0..self.listeners.len() {
            self.net.cancel(Token::new(kind::ACCEPT, index as u64), Token::new(kind::IGNORE, 0));
        }
    }

    /// Hands a completion to its owner.
    pub(crate) fn on_completion(&mut self, completion: Completion) {
        match completion.token.kind() {
            kind::ACCEPT => self.on_accept(completion),
            kind::RECEIVE => self.on_receive(completion),
            kind::SEND => self.on_sent(completion),
            kind::LOG_WRITE => self.on_log_written(completion),
            _ => {}
        }
    }

    fn on_accept(&mut self, completion: Completion) {
        let index = usize::try_from(completion.token.id()).ok();
        let listener = index.and_then(|index| self.listeners.get(index)?.as_ref());
        let Some(listener) = listener else {
            // It came just before the end of listening.
            if let Ok(fd) = completion.to_result() {
                socket::close(RawFd::try_from(fd).unwrap_or(-1));
            }
            return;
        };
        let (unix, listening) = (listener.address.is_none(), listener.fd.as_raw_fd());
        match completion.to_result() {
            // A completion carries an i32, so that this always fits.
            Ok(fd) => self.accept(RawFd::try_from(fd).unwrap_or(-1), unix),
            Err(e) if !self.stopping => tracing::warn!("accepting a connection failed: {e}"),
            Err(_) => {}
        }
        if !completion.more() && !self.stopping {
            self.net.accept_multi(listening, completion.token);
        }
    }

    fn accept(&mut self, fd: RawFd, unix: bool) {
        if self.stopping {
            socket::close(fd);
            return;
        }
        let clients = self.shared.clients.fetch_add(1, Ordering::Relaxed);
        let refusal: Option<&[u8]> = if clients >= self.config.maxclients as usize {
            self.stats.rejected += 1;
            Some(b"-ERR max number of clients reached\r\n")
        } else if !unix && self.is_protected_from(fd) {
            Some(PROTECTED_MODE)
        } else {
            None
        };
        let id = self.conns.reserve();
        let client_id = self.shared.next_client_id.fetch_add(1, Ordering::Relaxed);
        let user = self.users.default().clone();
        let mut conn = Box::new(Conn::new(id, client_id, fd, unix, self.now_ms, user));
        self.stats.connections += 1;
        if let Some(text) = refusal {
            conn.reply_buffer().extend_from_slice(text);
            conn.close_after_reply = true;
            self.mark_dirty(&mut conn);
        } else {
            self.start_receiving(&mut conn);
        }
        self.conns.insert(conn);
    }

    fn is_protected_from(&self, fd: RawFd) -> bool {
        self.config.protected_mode
            && self.users.default().needs_no_password()
            && socket::names(fd).0.is_none_or(|peer| !peer.ip().to_canonical().is_loopback())
    }

    fn start_receiving(&mut self, conn: &mut Conn) {
        if !conn.receiving && !conn.closing {
            conn.receiving = true;
            self.net.recv_multi(conn.fd, Token::new(kind::RECEIVE, conn.id.to_bits()));
        }
    }

    fn on_receive(&mut self, completion: Completion) {
        let id = ConnId::from_bits(completion.token.id());
        let result = completion.to_result();
        let len = result.as_ref().copied().unwrap_or(0);
        let received = completion.buffer().map(|buffer| self.net.received(buffer, len));
        let Some(mut conn) = self.conns.take(id) else {
            received.into_iter().for_each(|received| self.net.give_back(received));
            return;
        };
        conn.receiving = completion.more();
        match result {
            Ok(0) => self.close(&mut conn),
            Ok(len) => {
                self.stats.input_bytes += len as u64;
                self.stats.reads += 1;
                if let Some(received) = received {
                    self.take_input(&mut conn, &received);
                    self.net.give_back(received);
                }
            }
            Err(e) if is_passing(&e) => {}
            Err(_) => self.close(&mut conn),
        }
        self.settle(conn);
    }

    /// Goes on receiving unless too much input waits, and puts the connection back, or away if it is over.
    pub(crate) fn settle(&mut self, mut conn: Box<Conn>) {
        let waiting = conn.inbuf.len() >= INPUT_PAUSE_BYTES && conn.is_stuck();
        if waiting && conn.receiving && !conn.input_paused {
            conn.input_paused = true;
            self.net
                .cancel(Token::new(kind::RECEIVE, conn.id.to_bits()), Token::new(kind::IGNORE, 0));
        }
        if !waiting && !conn.receiving && !conn.close_after_reply {
            conn.input_paused = false;
            self.start_receiving(&mut conn);
        }
        if self.client_room.limits() {
            self.count_client(&mut conn);
        }
        if conn.closing && !conn.receiving && !conn.is_sending() {
            self.forget_tx(&mut conn);
            socket::close(conn.fd);
            self.shared.clients.fetch_sub(1, Ordering::Relaxed);
            self.conns.forget(conn.id);
        } else {
            self.conns.put_back(conn);
        }
    }

    /// Ends a connection at once; it goes away when its requests have completed.
    pub(crate) fn close(&mut self, conn: &mut Conn) {
        if !conn.closing {
            conn.closing = true;
            self.forget_wait(conn);
            self.drop_subscriptions(conn);
            self.stop_monitoring(conn);
            self.stop_tracking(conn);
            self.stop_following(conn);
            socket::shutdown(conn.fd);
            if conn.receiving {
                self.net.cancel(
                    Token::new(kind::RECEIVE, conn.id.to_bits()),
                    Token::new(kind::IGNORE, 0),
                );
            }
        }
    }

    /// Ends a connection that is not at hand.
    pub fn close_id(&mut self, id: ConnId) {
        if let Some(mut conn) = self.conns.take(id) {
            self.close(&mut conn);
            self.settle(conn);
        }
    }
}

/// Out of receive buffers for a moment, or cancelled by ourselves: nothing is wrong with the connection.
fn is_passing(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(ENOBUFS | ECANCELED))
}

const ECANCELED: i32 = 125;
const ENOBUFS: i32 = 105;

const PROTECTED_MODE: &[u8] = b"-DENIED Ringstone is running in protected mode because protected mode is enabled and no \
password is set for the default user. In this mode connections are only accepted from the loopback interface. To connect \
from other computers, do one of these: 1) 'CONFIG SET protected-mode no' from the loopback interface, and CONFIG REWRITE to \
keep it; 2) set it to no in the configuration file and restart; 3) start the server with '--protected-mode no'; 4) set a \
password with requirepass. Make sure that the server cannot be reached from networks you do not trust.\r\n";
