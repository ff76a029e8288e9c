//! Writes logs to stderr from a separate thread: a program that reads stderr slowly, or not at all,
//! delays nothing.
//!
//! The existing appenders either wait for the reader or fall back to printing on stdout, which is
//! reserved for the lines of `--json`.

mod json;

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use tracing::Level;
use tracing_subscriber::EnvFilter;

use crate::output;

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
/// Set at the start; until then lines are text.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object per line
    Json,
}

impl LogFormat {
    fn current() -> Self {
        FORMAT.get().copied().unwrap_or(Self::Text)
    }
}

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
pub(crate) fn start(format: LogFormat) {
    let _ = FORMAT.set(format);
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| log().clone());
    match format {
        LogFormat::Text => lines.with_ansi(has_colors()).init(),
        LogFormat::Json => lines.with_ansi(false).event_format(json::JsonLines).init(),
    }
    // The default panic hook would wait for the reader of stderr.
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!("{panic}");
    }));
}

/// Writes a line for people, after everything logged before it. As JSON, it is the message of an object,
/// unless it is an object already.
pub(crate) fn line(text: &str) {
    log().take(formatted(LogFormat::current(), Level::INFO, text));
}

/// Writes the reason why the command failed, like [`line()`].
pub(crate) fn failure(reason: &str) {
    let line = match LogFormat::current() {
        LogFormat::Text => format!("suno: error: {reason}\n").into_bytes(),
        LogFormat::Json => formatted(LogFormat::Json, Level::ERROR, reason),
    };
    log().take(line);
}

fn formatted(format: LogFormat, level: Level, text: &str) -> Vec<u8> {
    let line = match format {
        LogFormat::Json if !json::is_object(text) => json::line(level, text),
        _ => text.to_owned(),
    };
    (line + "\n").into_bytes()
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
        self.take(single(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The sequences with which the formatter styles text: none hides it or moves the cursor.
const STYLES: [&str; 9] = [
    "[0m", "[1m", "[2m", "[3m", "[31m", "[32m", "[33m", "[34m", "[35m",
];

/// Makes one line of what the formatter wrote: a value from a stranger may contain line ends, which would
/// look like lines of their own, or commands for a terminal.
fn single(line: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line));
    let mut parts = text.split('\u{1b}');
    let mut shown = output::visible(parts.next().unwrap_or_default());
    for part in parts {
        let is_style = STYLES.iter().any(|style| part.starts_with(style));
        shown.push(if is_style {
            '\u{1b}'
        } else {
            char::REPLACEMENT_CHARACTER
        });
        shown += &output::visible(part);
    }
    shown.push('\n');
    shown.into_bytes()
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
            let told = format!("suno: {dropped} log lines were dropped: stderr was not read");
            drop(out.write_all(&formatted(LogFormat::current(), Level::WARN, &told)));
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

    /// Returns the lines that are written in a format while `act` runs.
    fn logged(format: LogFormat, act: impl FnOnce()) -> Vec<String> {
        let (log, waiting) = Log::new(64);
        let writer = log.clone();
        let lines = tracing_subscriber::fmt().with_writer(move || writer.clone());
        match format {
            LogFormat::Text => {
                tracing::subscriber::with_default(lines.with_ansi(true).finish(), act);
            }
            LogFormat::Json => {
                let lines = lines.event_format(json::JsonLines).finish();
                tracing::subscriber::with_default(lines, act);
            }
        }
        drop(log);
        let lines = waiting.try_iter().filter_map(|waiting| match waiting {
            Waiting::Line(line) => Some(String::from_utf8(line).unwrap()),
            Waiting::Flush(_) => None,
        });
        lines.collect()
    }

    #[test]
    fn no_value_ends_a_line_in_either_format() {
        let stranger = "a\nWARN suno: forged\r\u{2028}\u{1b}[2J\u{1b}[8m\u{202e}b";
        for format in [LogFormat::Text, LogFormat::Json] {
            let lines = logged(
                format,
                || tracing::warn!(path = %stranger, "refused {stranger}"),
            );
            assert_eq!(lines.len(), 1);
            let line = lines[0].strip_suffix('\n').unwrap();
            assert!(
                !line.contains(['\n', '\r', '\u{2028}', '\u{202e}']),
                "{line:?}"
            );
            assert!(
                !line.contains("\u{1b}[2J") && !line.contains("\u{1b}[8m"),
                "{line:?}"
            );
        }
    }

    #[test]
    fn a_line_of_json_has_its_fields_and_the_causes_of_an_error() {
        let err = anyhow::anyhow!("disk full").context("cannot commit");
        let lines = logged(LogFormat::Json, || {
            let err: &(dyn std::error::Error + 'static) = err.as_ref();
            tracing::error!(target: "suno_test", err, count = 3, text = "ü\n", "not stored");
        });
        let mut line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        let time = line["time"].take();
        let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
        assert!(time.as_second() > 1_780_000_000);
        let expected = serde_json::json!({
            "time": null, "level": "ERROR", "target": "suno_test", "message": "not stored",
            "fields": {
                "err": {"message": "cannot commit", "causes": ["disk full"]},
                "count": 3, "text": "ü\n",
            },
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn a_long_line_of_json_is_cut_and_still_an_object() {
        for text in ["x".repeat(100_000), "\u{202e}\u{1f3b5}".repeat(50_000)] {
            let lines = logged(LogFormat::Json, || {
                tracing::error!(one = %text, two = %text, three = %text, "{text}");
            });
            assert!(lines[0].len() <= LINE_BYTES_MAX, "{}", lines[0].len());
            let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
            assert_eq!(line["truncated"], true);
            assert!(line["message"].as_str().unwrap().len() > 100);
        }
    }

    #[test]
    fn a_line_for_people_is_a_message_unless_it_is_an_object_already() {
        let object = br#"{"event":"submit"}"#;
        let text = std::str::from_utf8(object).unwrap();
        assert_eq!(
            formatted(LogFormat::Json, Level::INFO, text),
            [object, &b"\n"[..]].concat()
        );
        let line = formatted(LogFormat::Json, Level::WARN, "{not json");
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(
            (&line["message"], &line["level"]),
            (&"{not json".into(), &"WARN".into())
        );
        assert_eq!(formatted(LogFormat::Text, Level::WARN, "a"), b"a\n");
    }
}
