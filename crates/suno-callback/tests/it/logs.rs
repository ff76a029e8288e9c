//! What is logged, as lines of text.

use std::io;
use std::sync::{Arc, Mutex};

use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// What this thread logs while it lives, without times.
pub(crate) struct Logs {
    written: Written,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Logs {
    pub(crate) fn collect() -> Self {
        let written = Written::default();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_writer(written.clone())
            .finish();
        Self {
            written,
            _guard: log_to(subscriber),
        }
    }

    /// The lines of a level that hold a text.
    pub(crate) fn lines(&self, level: &str, text: &str) -> Vec<String> {
        let bytes = self.written.0.lock().unwrap();
        let all = String::from_utf8_lossy(&bytes).into_owned();
        let found = |line: &&str| line.trim_start().starts_with(level) && line.contains(text);
        all.lines().filter(found).map(str::to_owned).collect()
    }
}

/// Sends what this thread logs to a subscriber while the guard lives.
pub(crate) fn log_to(subscriber: impl Into<Dispatch>) -> DefaultGuard {
    // One that takes everything lives as long as the process. Otherwise a line of code that another
    // test reaches at the wrong moment is taken for one that nobody wants to log.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
    tracing::dispatcher::set_default(&subscriber.into())
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Written {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
