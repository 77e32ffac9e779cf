//! What the server listens on: at the start, and when `bind` or `port` change while it runs.
//!
//! Every shard has a socket of its own at each TCP address (SO_REUSEPORT). A change opens what is new for all shards before it closes
//! anything, so that one that fails has changed nothing.
//!
//! Invariant: once the server runs, listeners are changed on the helper thread only, one change after another.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use crate::config::Config;
use crate::flow::intake::Listener;
use crate::rt::socket::{ListenOptions, listen_tcp, listen_unix};
use crate::shared::Shared;

/// How often, and with which pause, an address that is in use is tried again at the start: two seconds in all.
const ATTEMPTS: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// Sockets for each shard.
type ByShard = Vec<Vec<Listener>>;

fn options(config: &Config) -> ListenOptions {
    ListenOptions {
        backlog: i32::try_from(config.tcp_backlog).unwrap_or(i32::MAX),
        keepalive_s: config.tcp_keepalive,
    }
}

fn nothing(shards: usize) -> ByShard {
    (0..shards).map(|_| Vec::new()).collect()
}

/// Opens all sockets: of each TCP address one a shard, of the unix socket one for the first shard.
pub fn listen(config: &Config, shards: usize) -> Result<ByShard, String> {
    let mut listeners = nothing(shards);
    let addresses = if config.port == 0 { Vec::new() } else { config.bind.resolve(config.port)? };
    // Every shard listens at the same address, which the kernel lets other processes of this user do as well: who is
    // there already is found out by a listener that does not share.
    for address in &addresses {
        wait_until_free(address.addr, ATTEMPTS)?;
    }
    for address in addresses {
        open(config, address.addr, address.optional, &mut listeners)?;
    }
    if !config.unixsocket.as_os_str().is_empty()
        && let Some(first) = listeners.first_mut()
    {
        let fd = listen_unix(&config.unixsocket, config.unixsocketperm, options(config).backlog)
            .map_err(|e| {
                format!("cannot listen on unixsocket {}: {e}", config.unixsocket.display())
            })?;
        first.push(Listener::new(fd, None));
    }
    Ok(listeners)
}

/// Opens the sockets of one address; none where this host does not have it and it is optional.
fn open(
    config: &Config,
    address: SocketAddr,
    optional: bool,
    listeners: &mut ByShard,
) -> Result<(), String> {
    for list in listeners {
        match listen_tcp(address, options(config)) {
            Ok(fd) => list.push(Listener::new(fd, Some(address))),
            Err(e)
                if optional
                    && matches!(
                        e.kind(),
                        std::io::ErrorKind::AddrNotAvailable | std::io::ErrorKind::Unsupported
                    ) => {}
            Err(e) => return Err(cannot_listen(address, &e)),
        }
    }
    Ok(())
}

/// A process that was killed keeps its sockets until the kernel has ended its rings, which goes on after its death.
fn wait_until_free(address: SocketAddr, attempts: u32) -> Result<(), String> {
    let mut tried = 0;
    loop {
        match TcpListener::bind(address) {
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {
                tried += 1;
                if tried > attempts {
                    return Err(cannot_listen(address, &e));
                }
                std::thread::sleep(PAUSE);
            }
            // Whatever else is wrong shows when the shards listen.
            Ok(_) | Err(_) => return Ok(()),
        }
    }
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> String {
    format!(
        "cannot listen on {address}: {error}. Is another server running there? 'port' and 'bind' choose where to listen."
    )
}

/// Listens where the parameters now say, and nowhere else; on the helper thread. On an error nothing has changed.
pub fn change(shared: &Shared) -> Result<(), String> {
    let config = shared.with_config(|store| store.config().clone());
    let shards = shared.slots.shards();
    let wanted = if config.port == 0 { Vec::new() } else { config.bind.resolve(config.port)? };
    let before = shared.listening();
    let mut opened = nothing(shards);
    for address in wanted.iter().filter(|wanted| !before.contains(&wanted.addr)) {
        // Where an address of ours has the port already, it may well cover this one.
        if !before.iter().any(|ours| ours.port() == address.addr.port()) {
            wait_until_free(address.addr, 0)?;
        }
        open(&config, address.addr, address.optional, &mut opened)?;
    }
    let gone: Vec<SocketAddr> =
        before.into_iter().filter(|ours| wanted.iter().all(|w| w.addr != *ours)).collect();
    shared.set_listening(addresses(&opened), &gone);
    for (index, opened) in opened.into_iter().enumerate() {
        let gone = gone.clone();
        shared.post(index, move |shard| {
            shard.stop_listening_at(&gone);
            opened.into_iter().for_each(|listener| shard.listen(listener));
        });
    }
    Ok(())
}

/// The TCP addresses of all that was opened, each once.
pub fn addresses(listeners: &ByShard) -> Vec<SocketAddr> {
    listeners.first().into_iter().flatten().filter_map(Listener::address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_another_server_has_is_refused() {
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = other.local_addr().unwrap().port();
        let config = Config { port, ..Config::default() };
        let refusal = listen(&config, 2).map(drop).unwrap_err();
        assert!(refusal.contains("another server"), "{refusal}");
        drop(other);
        let ours = listen(&config, 2).unwrap();
        assert!(ours.iter().all(|listeners| !listeners.is_empty()));
        assert!(listen(&config, 2).is_err(), "not even one that shares");
    }
}
