//! Executors: one pinned thread a shard, its task queues, timers, and parking.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use glommio::io::BufferedFile;
use glommio::net::UnixDatagram;
use glommio::{
    ExecutorJoinHandle, Latency, LocalExecutorBuilder, Placement, Shares, TaskQueueHandle,
};

/// How long an executor goes on without looking at its timers and files by itself. The reactor asks for that much more often
/// ([`Kick`]); a short interval here would make a bug of glommio 0.9 likely: an executor whose preemption
/// timer fires before it has run anything believes that there is nothing to run, and sleeps. [`Pulse`] ends such a sleep.
const PREEMPT: Duration = Duration::from_millis(100);

/// A running shard.
pub struct ShardThread<T: Send + 'static>(ExecutorJoinHandle<T>);

impl<T: Send + 'static> ShardThread<T> {
    /// Waits for the shard to end.
    pub fn join(self) -> io::Result<T> {
        self.0.join().map_err(|e| io::Error::other(e.to_string()))
    }
}

/// Starts a shard's thread, pinned to `cpu` if given, and runs `main` on its executor.
pub fn spawn_shard<G, F, T>(index: usize, cpu: Option<usize>, main: G) -> io::Result<ShardThread<T>>
where
    G: FnOnce() -> F + Send + 'static,
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let placement = cpu.map_or(Placement::Unbound, Placement::Fixed);
    LocalExecutorBuilder::new(placement)
        .name(&format!("shard-{index}"))
        .io_memory(1 << 20)
        .ring_depth(128)
        .preempt_timer(PREEMPT)
        .spawn(main)
        .map(ShardThread)
        .map_err(|e| io::Error::other(e.to_string()))
}

/// The processors that this process may use.
pub fn cpus() -> Vec<usize> {
    // SAFETY: all-zero is a valid cpu_set_t, and the call writes at most its size.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) != 0 {
            return vec![0];
        }
        set
    };
    let limit = libc::CPU_SETSIZE as usize;
    // SAFETY: `cpu` is below CPU_SETSIZE.
    (0..limit).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect()
}

/// The task queues of a shard: that of the reactor, where tasks run in turn, and one with a tenth of its shares.
#[derive(Clone, Copy)]
pub struct Queues {
    background: TaskQueueHandle,
}

impl Queues {
    /// Makes the queues; called once on the shard's own thread.
    pub fn new() -> Queues {
        let make =
            |shares, latency, name| glommio::executor().create_task_queue(shares, latency, name);
        Queues { background: make(Shares::Static(100), Latency::NotImportant, "background") }
    }
    /// Runs a task in turn with the network reactor: before its next pass, once [`take_wants_yield`] was heeded.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        spawn_into(task, TaskQueueHandle::default());
    }
    /// Runs a task that may take long: snapshot, rewrite, expiry.
    pub fn spawn_background(&self, task: impl Future<Output = ()> + 'static) {
        spawn_into(task, self.background);
    }
}

impl Default for Queues {
    fn default() -> Self {
        Queues::new()
    }
}

thread_local! {
    /// A task of this thread became ready, so that the reactor should let others run.
    static WANTS_YIELD: Cell<bool> = const { Cell::new(false) };
}

/// Has the reactor let other tasks run after this pass.
pub(super) fn want_yield() {
    WANTS_YIELD.set(true);
}

/// Whether a task became ready since the last call.
pub fn take_wants_yield() -> bool {
    WANTS_YIELD.replace(false)
}

fn spawn_into(task: impl Future<Output = ()> + 'static, queue: TaskQueueHandle) {
    match glommio::spawn_local_into(task, queue) {
        Ok(task) => {
            drop(task.detach());
            want_yield();
        }
        Err(e) => tracing::error!("a task could not be started: {e}"),
    }
}

/// Has the executor look at its timers and files although tasks are ready: it does so when something completes on the ring that
/// it keeps for what is urgent, which is where it receives from sockets: here from one that nobody else knows. Several kicks
/// between two looks count as one, and after [`PREEMPT`] it looks in any case.
pub struct Kick(UnixDatagram);

impl Kick {
    /// One for the calling shard's executor.
    pub fn new() -> io::Result<Kick> {
        let (near, far) = UnixDatagram::pair().map_err(|e| io::Error::other(e.to_string()))?;
        let listen = async move {
            let mut byte = [0];
            while far.recv(&mut byte).await.is_ok() {}
        };
        spawn_into(listen, TaskQueueHandle::default());
        Ok(Kick(near))
    }

    /// Lets the executor look, and other tasks run.
    pub async fn poll_timers_and_files(&self) {
        if let Err(e) = self.0.send(&[0]).await {
            tracing::debug!("a kick of the executor: {e}");
        }
        yield_now().await;
    }
}

/// Time between two beats of one pulse.
const BEAT: Duration = Duration::from_millis(100);

/// Wakes a shard's executor every now and then, whatever it believes. Two tasks take turns, as the bug may strike while one of
/// them is about to run.
pub struct Pulse([OwnedFd; 2]);

impl Pulse {
    /// A pulse that does not beat yet.
    pub fn new() -> io::Result<Pulse> {
        Ok(Pulse([eventfd()?, eventfd()?]))
    }

    /// Has the calling shard's executor feel it.
    pub fn attach(&self, queues: &Queues) -> io::Result<()> {
        for fd in &self.0 {
            let parking = Parking::new(fd.as_raw_fd())?;
            queues.spawn_background(async move {
                loop {
                    parking.wait().await;
                }
            });
        }
        Ok(())
    }

    /// Starts the thread that beats all of `pulses`, until `stopped`.
    pub fn beat(
        pulses: Vec<Arc<Pulse>>,
        stopped: impl Fn() -> bool + Send + 'static,
    ) -> io::Result<()> {
        let beat = move || {
            for turn in [0, 1].into_iter().cycle() {
                if stopped() {
                    return;
                }
                std::thread::sleep(BEAT / 2);
                for fd in pulses.iter().filter_map(|pulse| pulse.0.get(turn)) {
                    super::ring::wake_eventfd(fd.as_raw_fd());
                }
            }
        };
        std::thread::Builder::new().name("pulse".into()).spawn(beat).map(drop)
    }
}

fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: eventfd takes no pointers; a non-negative result is a descriptor that nobody else owns.
    unsafe {
        let fd = libc::eventfd(0, libc::EFD_CLOEXEC);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
}

/// Sleeps.
pub async fn sleep(duration: Duration) {
    glommio::timer::sleep(duration).await;
}

/// Lets other tasks run.
pub async fn yield_now() {
    glommio::executor().yield_now().await;
}

/// Where a shard sleeps: a read of its ring's eventfd.
pub struct Parking {
    file: BufferedFile,
}

impl Parking {
    /// Parks on `eventfd`, which stays the caller's.
    pub fn new(eventfd: RawFd) -> io::Result<Parking> {
        // SAFETY: dup gives a descriptor of our own, which the file then owns.
        let file = unsafe {
            let fd = libc::fcntl(eventfd, libc::F_DUPFD_CLOEXEC, 0);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            BufferedFile::from_raw_fd(fd)
        };
        Ok(Parking { file })
    }
    /// Waits until the eventfd is signalled.
    pub async fn wait(&self) {
        if let Err(e) = self.file.read_at(0, 8).await {
            tracing::debug!("eventfd {}: {e}", self.file.as_raw_fd());
            sleep(Duration::from_millis(1)).await;
        }
    }
}
