//! What a subcommand says: results on standard output, everything else on standard error.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Failure;

/// Said when whoever reads the output has gone (`| head`): no failure.
pub(super) const CLOSED: &str = "standard output is closed";

/// How often a bar looks at its figure.
const LOOK: Duration = Duration::from_millis(100);

/// Where results go.
pub(crate) struct Output {
    to: Box<dyn Write>,
}

impl Output {
    /// Standard output.
    pub(crate) fn stdout() -> Output {
        Output { to: Box::new(BufWriter::with_capacity(64 << 10, io::stdout())) }
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, text: impl std::fmt::Display) -> Result<(), Failure> {
        writeln!(self.to, "{text}").map_err(failure)
    }

    /// Writes what is left.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        self.to.flush().map_err(failure)
    }
}

fn failure(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        CLOSED.to_owned()
    } else {
        format!("standard output: {error}")
    }
}

/// Says on standard error why something was not done.
pub(super) fn complain(text: &str) {
    // Where standard error is closed there is nobody to tell.
    let _ = writeln!(io::stderr(), "ringstone: {text}");
}

/// Shows warnings of the code that is shared with the server on standard error.
pub(super) fn show_warnings() {
    let lines = tracing_subscriber::fmt()
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .with_max_level(tracing::Level::WARN)
        .with_writer(io::stderr);
    // Fails only when there is a subscriber already, which is as good.
    let _ = lines.try_init();
}

/// A bar on standard error, if that is a terminal; it goes when dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Of `total` bytes, of which `done` says how many there are so far.
    pub(crate) fn bytes(
        what: &'static str,
        total: u64,
        done: impl Fn() -> u64 + Send + 'static,
    ) -> Progress {
        let bar = Progress::start(what, Some(total));
        let ended = Arc::new(AtomicBool::new(false));
        let thread = (!bar.is_hidden()).then(|| {
            let (bar, ended) = (bar.clone(), ended.clone());
            std::thread::spawn(move || {
                while !ended.load(Ordering::Acquire) {
                    bar.set_position(done());
                    std::thread::park_timeout(LOOK);
                }
            })
        });
        Progress { bar, ended, thread }
    }

    /// Of work whose length nobody knows.
    pub(crate) fn unknown(what: &'static str) -> Progress {
        let bar = Progress::start(what, None);
        bar.enable_steady_tick(LOOK);
        Progress { bar, ended: Arc::default(), thread: None }
    }

    fn start(what: &'static str, total: Option<u64>) -> ProgressBar {
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(total, target).with_message(what);
        let template = if total.is_some() {
            "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}"
        } else {
            "{spinner} {msg} {elapsed}"
        };
        // The default style is as good where the template is refused, which a test rules out.
        match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A bar that panicked has shown enough.
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}
