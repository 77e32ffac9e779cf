//! From the command line to running shards, and back to an orderly end.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ringstone_peer::SlotMap;
use ringstone_persist::crypt::Keyring;

use crate::boot::{Boot, boot, lock_dir};
use crate::checks::{check_host, make_room_for_clients};
use crate::config::{Action, Config, Loaded, load};
use crate::failpoint;
use crate::flow::commit::Commit;
use crate::flow::intake::Listener;
use crate::listen::{addresses, listen};
use crate::log::Log;
use crate::rt::daemon::go_on_in_background;
use crate::rt::exec::{Kick, Parking, Pulse, ShardThread, cpus, spawn_shard};
use crate::rt::file::Helper;
use crate::rt::mesh::mesh;
use crate::rt::ring::{NetRing, RingSizes};
use crate::rt::signal::{self, Signal};
use crate::shard::{Shard, ShardParts};
use crate::shared::Shared;

/// The whole life of the process.
pub fn main() -> ExitCode {
    let asked = std::env::var(failpoint::VARIABLE).unwrap_or_default();
    match failpoint::arm(Some(&asked)) {
        Ok(failpoint::Asked::Run) => {}
        Ok(failpoint::Asked::List) => return list_steps(),
        Err(why) => return complain(&why),
    }
    match Action::parse(std::env::args_os().skip(1)) {
        Action::Version => say(&format!(
            "Ringstone server v={} (Redis {})\n",
            env!("CARGO_PKG_VERSION"),
            crate::REDIS_VERSION
        )),
        Action::Help => say(crate::config::cli::HELP),
        Action::Run(line) => {
            let loaded = match load(&line, &mut std::io::stdin()) {
                Ok(loaded) => loaded,
                Err(error) => return complain(&error.to_string()),
            };
            let config = loaded.store.config();
            let log = match Log::init(config.loglevel, &config.logfile) {
                Ok(log) => log,
                Err(error) => return complain(&error.to_string()),
            };
            match run(loaded, log) {
                Ok(()) => ExitCode::SUCCESS,
                Err(reason) => {
                    tracing::error!("{reason}");
                    tracing::error!("the server did not start");
                    ExitCode::FAILURE
                }
            }
        }
    }
}

fn list_steps() -> ExitCode {
    let line = |step: &failpoint::Step| format!("{} {}\n", step.name(), step.what());
    say(&failpoint::STEPS.iter().map(line).collect::<String>())
}

fn say(text: &str) -> ExitCode {
    let written = std::io::stdout().write_all(text.as_bytes());
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn complain(text: &str) -> ExitCode {
    // Where standard error is closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::FAILURE
}

fn run(loaded: Loaded, log: Log) -> Result<(), String> {
    let Loaded { store, users, warnings } = loaded;
    let mut config = store.config().clone();
    signal::block();
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    if failpoint::is_armed() {
        tracing::warn!("{} is set: this server fails on purpose", failpoint::VARIABLE);
    }
    let users = crate::users_file::at_start(&config, &users)?;
    check_host().map_err(|e| e.to_string())?;
    let _lock = lock_dir(&config.dir)?;
    let keyring = crate::encryption::keyring(&config)?;
    if let Some(id) = keyring.active().filter(|_| keyring.seals()) {
        tracing::info!("what is written is encrypted under the master key {id}");
    }
    let cpus = cpus();
    let shards = if config.shards == 0 { cpus.len() } else { config.shards as usize }.max(1);
    let slots = SlotMap::new(shards);
    let room = make_room_for_clients(config.maxclients, shards).map_err(|e| e.to_string())?;
    room.note.iter().for_each(|note| tracing::warn!("{note}"));
    config.maxclients = room.clients;
    tracing::info!(
        "Ringstone {} starting, {shards} shards, process {}",
        env!("CARGO_PKG_VERSION"),
        std::process::id()
    );
    // Listening comes before loading: a port that is taken is known at once. Connections wait until the shards accept.
    let listeners = listen(&config, shards)?;
    let listening = addresses(&listeners);
    // Whoever starts the server learns what is wrong so far. What follows has threads.
    if config.daemonize {
        go_on_in_background().map_err(|e| format!("cannot go on in the background: {e}"))?;
    }
    let booted = boot(&config, &keyring, slots, random()?)?;
    let threads = start(&config, (store, users, keyring), slots, booted, listeners, &cpus)?;
    threads.shared.set_log(log);
    threads.shared.set_listening(listening, &[]);
    write_pidfile(&config);
    tracing::info!("Ready to accept connections");
    wait_for_end(&threads.shared);
    for thread in threads.threads {
        thread.join().map_err(|e| format!("a shard ended badly: {e}"))?;
    }
    remove_files(&config);
    tracing::info!("Ringstone is now ready to exit, bye bye...");
    Ok(())
}

struct Running {
    shared: Arc<Shared>,
    threads: Vec<ShardThread<()>>,
}

fn start(
    config: &Config,
    (store, users, keyring): (crate::config::ConfigStore, crate::acl::Users, Keyring),
    slots: SlotMap,
    booted: Boot,
    listeners: Vec<Vec<Listener>>,
    cpus: &[usize],
) -> Result<Running, String> {
    let shards = slots.shards();
    let (meshes, peers) = mesh(shards);
    let helper = Helper::start("helper").map_err(|e| format!("a thread cannot be started: {e}"))?;
    let Boot { keyspaces, logs, manifest, vanished, next_gsn, functions, loaded, log_bytes } =
        booted;
    let shared = Arc::new(Shared::new(slots, next_gsn, peers, store, helper, random()?));
    shared.encryption.note_files(config, manifest.as_ref());
    shared.encryption.set_keyring(keyring);
    shared.set_manifest(manifest, vanished);
    shared.change_users(|now| *now = users);
    shared.libraries.load_all(&functions)?;
    shared.saving.note_boot(loaded, log_bytes);
    crate::archive::start(&shared, config)
        .map_err(|e| format!("a thread cannot be started: {e}"))?;
    let config = Arc::new(config.clone());
    let mut logs = logs.map(Vec::into_iter);
    let (mut threads, mut pulses) = (Vec::new(), Vec::new());
    for (((index, mesh), keyspace), listeners) in
        meshes.into_iter().enumerate().zip(keyspaces).zip(listeners)
    {
        let commit = Commit::new(logs.as_mut().and_then(Iterator::next), shards);
        let parts = ShardParts {
            index,
            mesh,
            keyspace,
            commit,
            config: config.clone(),
            shared: shared.clone(),
        };
        let cpu = config.pin_shards.then(|| cpus.get(index % cpus.len().max(1)).copied()).flatten();
        let pulse = Arc::new(Pulse::new().map_err(|e| format!("eventfd: {e}"))?);
        pulses.push(pulse.clone());
        let thread = spawn_shard(index, cpu, move || run_shard(parts, listeners, pulse));
        threads.push(thread.map_err(|e| format!("shard {index} cannot be started: {e}"))?);
    }
    let stopped = shared.clone();
    Pulse::beat(pulses, move || stopped.stopping.load(Ordering::Acquire))
        .map_err(|e| format!("a thread cannot be started: {e}"))?;
    Ok(Running { shared, threads })
}

async fn run_shard(parts: ShardParts, listeners: Vec<Listener>, pulse: Arc<Pulse>) {
    let index = parts.index;
    let ring = NetRing::new(RingSizes::default());
    let parking = ring.as_ref().ok().map(|ring| Parking::new(ring.eventfd()));
    let (ring, parking) = match (ring, parking) {
        (Ok(ring), Some(Ok(parking))) => (ring, parking),
        (Err(e), _) | (_, Some(Err(e))) => {
            tracing::error!("shard {index} cannot make its io_uring: {e}");
            std::process::exit(1);
        }
        _ => return,
    };
    let shard = Shard::new(parts, ring);
    {
        let mut this = shard.borrow_mut();
        let has_log = this.commit.has_log();
        this.keyspace.effects.set_enabled(has_log);
        this.prepare_segments();
        listeners.into_iter().for_each(|listener| this.listen(listener));
    }
    let queues = shard.borrow().queues;
    if let Err(e) = pulse.attach(&queues) {
        tracing::error!("shard {index} has no pulse: {e}");
        std::process::exit(1);
    }
    let kick = match Kick::new() {
        Ok(kick) => kick,
        Err(e) => {
            tracing::error!("shard {index} has no socket for its timers: {e}");
            std::process::exit(1);
        }
    };
    if index == 0 {
        let me = shard.clone();
        queues.spawn(async move { crate::encryption::renew(&me).await });
    }
    queues.spawn_background(crate::cron::run(shard.clone()));
    crate::reactor::run(shard, parking, kick).await;
}

/// Hands signals to the first shard until the process is to end.
fn wait_for_end(shared: &Arc<Shared>) {
    loop {
        match signal::wait() {
            Signal::Hangup => {
                reopen(shared);
                shared.post(0, Shard::reload_keys);
            }
            Signal::Stopped => return,
            name @ (Signal::Terminate | Signal::Interrupt) => {
                tracing::warn!(
                    "{} received, shutting down",
                    if name == Signal::Terminate { "SIGTERM" } else { "SIGINT" }
                );
                shared.post(0, Shard::begin_shutdown);
            }
        }
    }
}

fn reopen(shared: &Shared) {
    if let Some(Err(e)) = shared.log().map(Log::reopen) {
        tracing::warn!("the logfile cannot be opened again: {e}");
    }
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|e| format!("/dev/urandom: {e}"))?;
    Ok(bytes)
}

fn write_pidfile(config: &Config) {
    if !config.pidfile.as_os_str().is_empty()
        && let Err(e) = std::fs::write(&config.pidfile, format!("{}\n", std::process::id()))
    {
        tracing::warn!("pidfile {}: {e}", config.pidfile.display());
    }
}

fn remove_files(config: &Config) {
    for path in [&config.pidfile, &config.unixsocket] {
        if !path.as_os_str().is_empty() {
            // It may be gone already.
            let _ = std::fs::remove_file(path);
        }
    }
}
