//! The server's log, in Redis's form:
//!
//! ```text
//! 4711:M 24 Nov 2026 06:50:51.123 * Ready to accept connections
//! pid:role date time.ms level message              . debug   - verbose   * notice   # warning
//! ```
//!
//! Code logs with `tracing`: `warn!` and `error!` are warnings, `info!` is a notice, `debug!` verbose, `trace!` debug.
//!
//! Invariant: a line is written with one call, so that lines of several threads do not mix and a rotated file ends with
//! a whole line. Line ends within a message are escaped: text from a client cannot forge a line.

use crate::config::types::LogLevel;
use crate::rt::localtime::local_time;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Registry, reload};

/// A handle on the log of the process.
#[derive(Clone)]
pub struct Log {
    level: reload::Handle<LevelFilter, Registry>,
    output: Output,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be opened.
    #[error("cannot open logfile '{}': {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        reason: io::Error,
    },
    /// Another part of the process took the log.
    #[error("the log is set up already")]
    AlreadySet,
}

impl Log {
    /// Sends the log of the whole process to `file`, or to standard output when that is empty.
    ///
    /// # Errors
    /// The file cannot be opened, or there is a log already.
    pub fn init(level: LogLevel, file: &Path) -> Result<Log, LogError> {
        let (log, subscriber) = Log::new(level, file)?;
        tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::AlreadySet)?;
        Ok(log)
    }

    fn new(
        level: LogLevel,
        file: &Path,
    ) -> Result<(Log, impl Subscriber + Send + Sync + use<>), LogError> {
        let output = Output::open(file)
            .map_err(|reason| LogError::File { path: file.to_path_buf(), reason })?;
        let (filter, handle) = reload::Layer::new(filter_of(level));
        let lines = tracing_subscriber::fmt::layer()
            .event_format(RedisLine { pid: std::process::id() })
            .with_ansi(false)
            .with_writer(output.clone());
        let subscriber = Registry::default().with(filter).with(lines);
        Ok((Log { level: handle, output }, subscriber))
    }

    /// Changes the level.
    pub fn set_level(&self, level: LogLevel) {
        // Fails only when the subscriber is gone, and with it all logging.
        let _gone = self.level.reload(filter_of(level));
    }

    /// Opens the file anew, after logrotate moved it away. Standard output is left as it is.
    ///
    /// # Errors
    /// The file cannot be opened; the log then goes on to the old one.
    pub fn reopen(&self) -> io::Result<()> {
        self.output.reopen()
    }
}

fn filter_of(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::TRACE,
        LogLevel::Verbose => LevelFilter::DEBUG,
        LogLevel::Notice => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
    }
}

/// Where lines go.
#[derive(Clone)]
struct Output {
    path: PathBuf,
    /// None: standard output.
    file: Option<Arc<Mutex<File>>>,
}

impl Output {
    fn open(path: &Path) -> io::Result<Output> {
        if path.as_os_str().is_empty() {
            return Ok(Output { path: PathBuf::new(), file: None });
        }
        // Absolute, so that reopening does not depend on the working directory.
        let path = std::path::absolute(path)?;
        let file = Some(Arc::new(Mutex::new(append_to(&path)?)));
        Ok(Output { path, file })
    }

    fn reopen(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let new = append_to(&self.path)?;
        *file.lock().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl<'a> MakeWriter<'a> for Output {
    type Writer = &'a Output;
    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &Output {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &self.file {
            Some(file) => file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line)?,
            None => io::stdout().lock().write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match &self.file {
            Some(_) => Ok(()),
            None => io::stdout().lock().flush(),
        }
    }
}

/// Writes an event as one line.
struct RedisLine {
    pid: u32,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl<S, N> FormatEvent<S, N> for RedisLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let t = local_time(i64::try_from(now.as_secs()).unwrap_or(0));
        let month = MONTHS.get(t.month).copied().unwrap_or("???");
        let level = match *event.metadata().level() {
            Level::TRACE => '.',
            Level::DEBUG => '-',
            Level::INFO => '*',
            Level::WARN | Level::ERROR => '#',
        };
        write!(
            line,
            "{}:M {:02} {month} {} {:02}:{:02}:{:02}.{:03} {level} ",
            self.pid,
            t.day,
            t.year,
            t.hour,
            t.minute,
            t.second,
            now.subsec_millis()
        )?;
        let mut text = Text { line: &mut line, is_first: true, result: Ok(()) };
        event.record(&mut text);
        text.result?;
        writeln!(line)
    }
}

/// Writes an event's message, then its fields as `name=value`.
struct Text<'a, 'w> {
    line: &'a mut Writer<'w>,
    is_first: bool,
    result: fmt::Result,
}

impl Text<'_, '_> {
    fn put(&mut self, name: &str, value: fmt::Arguments<'_>) {
        if self.result.is_err() {
            return;
        }
        let space = if self.is_first { "" } else { " " };
        self.is_first = false;
        self.result = if name == "message" {
            write!(self.line, "{space}").and_then(|()| fmt::write(&mut Escaped(self.line), value))
        } else {
            write!(self.line, "{space}{name}=")
                .and_then(|()| fmt::write(&mut Escaped(self.line), value))
        };
    }
}

impl Visit for Text<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format_args!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), format_args!("{value}"));
    }
}

/// Escapes control characters.
struct Escaped<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(char::is_control) {
            match part.chars().next_back() {
                Some(last) if last.is_control() => {
                    let plain = part.strip_suffix(last).unwrap_or(part);
                    write!(self.0, "{plain}{}", last.escape_default())?;
                }
                _ => self.0.write_str(part)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that `run` logs to a file at `level`.
    fn lines(level: LogLevel, run: impl FnOnce(&Log, &Path)) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let (log, subscriber) = Log::new(level, &path).unwrap_or_else(|e| panic!("{e}"));
        tracing::subscriber::with_default(subscriber, || run(&log, &path));
        let text = std::fs::read_to_string(&path).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// A line without its pid and time.
    fn tail(line: &str) -> &str {
        let (head, tail) = line.split_at(line.find('.').unwrap() + 4);
        let [pid_role, day, month, year, time] = head.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        assert_eq!(pid_role, format!("{}:M", std::process::id()));
        assert!(day.parse::<u32>().is_ok_and(|d| (1..=31).contains(&d)));
        assert!(MONTHS.contains(&month) && year.parse::<u32>().is_ok());
        assert_eq!(time.len(), "06:50:51.123".len());
        tail.trim_start()
    }

    #[test]
    fn lines_look_like_those_of_redis() {
        let lines = lines(LogLevel::Debug, |_, _| {
            tracing::trace!("a");
            tracing::debug!("b");
            tracing::info!(shard = 3, name = "x", "Ready");
            tracing::warn!("d");
            tracing::error!("e");
        });
        let tails: Vec<_> = lines.iter().map(|l| tail(l)).collect();
        assert_eq!(tails, [". a", "- b", "* Ready shard=3 name=x", "# d", "# e"]);
    }

    #[test]
    fn the_level_can_be_changed_while_running() {
        let lines = lines(LogLevel::Warning, |log, _| {
            tracing::info!("unseen");
            log.set_level(LogLevel::Notice);
            tracing::info!("seen");
            tracing::debug!("unseen");
            log.set_level(LogLevel::Verbose);
            tracing::debug!("seen");
        });
        assert_eq!(lines.iter().map(|l| tail(l)).collect::<Vec<_>>(), ["* seen", "- seen"]);
    }

    #[test]
    fn text_cannot_forge_a_line() {
        let lines = lines(LogLevel::Notice, |_, _| tracing::info!("a\r\nb{}", "\u{1b}[0m"));
        assert_eq!(lines.len(), 1);
        assert_eq!(tail(&lines[0]), "* a\\r\\nb\\u{1b}[0m");
    }

    #[test]
    fn a_rotated_file_is_opened_anew() {
        let new = lines(LogLevel::Notice, |log, path| {
            tracing::info!("before");
            std::fs::rename(path, path.with_extension("1")).unwrap();
            tracing::info!("still the old file");
            log.reopen().unwrap();
            tracing::info!("after");
            let old = std::fs::read_to_string(path.with_extension("1")).unwrap();
            assert_eq!(old.lines().count(), 2);
        });
        assert_eq!(new.iter().map(|l| tail(l)).collect::<Vec<_>>(), ["* after"]);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let Err(error) = Log::new(LogLevel::Notice, Path::new("/no/such/x.log")) else {
            panic!("opened")
        };
        assert!(error.to_string().starts_with("cannot open logfile '/no/such/x.log': "));
    }
}
