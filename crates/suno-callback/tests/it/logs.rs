//! What is logged, as lines of text.

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

/// What this thread logs while it lives, without times.
pub(crate) struct Logs {
    written: Written,
    _guard: tracing::subscriber::DefaultGuard,
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
        let guard = tracing::subscriber::set_default(subscriber);
        Self {
            written,
            _guard: guard,
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
