//! Writes logs to stderr from a separate thread: a program that reads stderr slowly, or not at all,
//! delays nothing.
//!
//! The existing appenders either wait for the reader or fall back to printing on stdout, which is
//! reserved for the lines of `--json`.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

/// The log filter, unless `RUST_LOG` is set.
const FILTER: &str = "warn";
/// The maximum number of lines that wait for the reader of stderr; further lines are dropped and
/// counted.
const LINES_MAX: usize = 1_024;
/// The maximum number of bytes of a line; the rest is cut off.
const LINE_BYTES_MAX: usize = 16 * 1_024;
/// The time that the end of the process waits for the last lines to be written.
const FLUSH_MAX: Duration = Duration::from_secs(1);

static LOG: OnceLock<Log> = OnceLock::new();

/// The queue of lines to be written.
#[derive(Debug, Clone)]
struct Log {
    waiting: SyncSender<Waiting>,
    dropped: Arc<AtomicU64>,
}

enum Waiting {
    Line(Vec<u8>),
    /// Answered when every earlier line is written.
    Flush(SyncSender<()>),
}

/// Starts logging.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| log().clone())
        .with_ansi(has_colors())
        .init();
    // The default panic hook would wait for the reader of stderr.
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!("{panic}");
    }));
}

/// Writes a line for people, after everything logged before it.
pub(crate) fn line(text: &str) {
    log().take(format!("{text}\n").into_bytes());
}

/// Waits until everything is written, or until stderr has not been read for a second.
pub(crate) fn flush() {
    let (written, is_written) = sync_channel(1);
    let mut flush = Waiting::Flush(written);
    // A slot in the queue becomes free as soon as a line is written.
    for _ in 0..10 {
        match log().waiting.try_send(flush) {
            Ok(()) => {
                let _ = is_written.recv_timeout(FLUSH_MAX);
                return;
            }
            Err(TrySendError::Full(again)) => flush = again,
            Err(TrySendError::Disconnected(_)) => return,
        }
        thread::sleep(FLUSH_MAX / 10);
    }
}

/// Whether output on stderr may be coloured: stderr is a terminal that supports it, and `NO_COLOR` is
/// not set (<https://no-color.org>).
fn has_colors() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stderr().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

fn log() -> &'static Log {
    LOG.get_or_init(|| {
        let (log, lines) = Log::new(LINES_MAX);
        let dropped = log.dropped.clone();
        // If the thread cannot start, nothing is logged, but everything else goes on.
        let _ = thread::Builder::new()
            .name("stderr".to_owned())
            .spawn(move || write_all(&lines, &dropped, &mut io::stderr()));
        log
    })
}

impl Log {
    fn new(lines_max: usize) -> (Self, Receiver<Waiting>) {
        let (waiting, lines) = sync_channel(lines_max);
        let dropped = Arc::new(AtomicU64::new(0));
        (Self { waiting, dropped }, lines)
    }

    fn take(&self, mut line: Vec<u8>) {
        if line.len() > LINE_BYTES_MAX {
            line.truncate(LINE_BYTES_MAX);
            line.push(b'\n');
        }
        if self.waiting.try_send(Waiting::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Write for Log {
    /// Queues a line: the formatter writes each line with one call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.take(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(lines: &Receiver<Waiting>, dropped: &AtomicU64, out: &mut impl Write) {
    while let Ok(waiting) = lines.recv() {
        // If stderr is closed, there is nowhere to report it.
        match waiting {
            Waiting::Line(line) => drop(out.write_all(&line)),
            Waiting::Flush(written) => drop(written.send(())),
        }
        let dropped = dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let told = format!("suno: {dropped} log lines were dropped: stderr was not read\n");
            drop(out.write_all(told.as_bytes()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what is written if `lines_max` lines fit in the queue and all lines are queued before
    /// the first is read.
    fn written(lines_max: usize, lines: &[&str]) -> String {
        let (log, waiting) = Log::new(lines_max);
        for line in lines {
            log.take(line.as_bytes().to_vec());
        }
        let dropped = log.dropped.clone();
        drop(log);
        let mut out = Vec::new();
        write_all(&waiting, &dropped, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_there_was_no_place_for_is_counted() {
        assert_eq!(
            written(2, &["a\n", "b\n", "c\n", "d\n"]),
            "a\nsuno: 2 log lines were dropped: stderr was not read\nb\n"
        );
        assert_eq!(written(2, &["a\n", "b\n"]), "a\nb\n");
    }

    #[test]
    fn a_line_is_bounded() {
        let long = "x".repeat(2 * LINE_BYTES_MAX);
        assert_eq!(written(2, &[&long]).len(), LINE_BYTES_MAX + 1);
    }
}
