//! Prints lines on stdout from a separate thread: a slow reader must delay only the handlers that
//! wait for it.

use std::io;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::output;

/// The maximum number of lines that wait for the reader if handlers wait for their lines.
pub(crate) const HANDLERS_WAITING_MAX: usize = 16;
/// The maximum number of lines that wait for the reader if nothing waits for them; further lines are
/// dropped.
pub(crate) const LINES_WAITING_MAX: usize = 4_096;

/// Prints lines in order.
#[derive(Debug, Clone)]
pub(crate) struct Printer {
    lines: mpsc::Sender<Line>,
    failed: watch::Receiver<Option<Arc<io::Error>>>,
}

#[derive(Debug)]
struct Line {
    text: String,
    written: oneshot::Sender<()>,
}

impl Printer {
    /// Starts the thread. It ends with the process, or when writing to stdout fails.
    pub(crate) fn start(waiting_max: usize) -> io::Result<Self> {
        let (lines, mut waiting) = mpsc::channel::<Line>(waiting_max);
        let (fail, failed) = watch::channel(None);
        std::thread::Builder::new()
            .name("stdout".to_owned())
            .spawn(move || {
                while let Some(line) = waiting.blocking_recv() {
                    if let Err(err) = output::line(&line.text) {
                        fail.send_replace(Some(Arc::new(err)));
                        return;
                    }
                    // If the handler was cancelled, its receiver is gone.
                    let _ = line.written.send(());
                }
            })?;
        Ok(Self { lines, failed })
    }

    /// Resolves when the line is written. Never resolves if stdout has failed: the process is
    /// about to stop, and events that were not written are handled after a restart.
    pub(crate) async fn print(&self, text: String) {
        let (written, is_written) = oneshot::channel();
        let handed_over = self.lines.send(Line { text, written }).await.is_ok();
        if !handed_over || is_written.await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Queues a line if there is room, and drops it otherwise: no handler depends on it.
    pub(crate) fn print_if_possible(&self, text: String) {
        let (written, _) = oneshot::channel();
        let _ = self.lines.try_send(Line { text, written });
    }

    /// Resolves when writing to stdout has failed, with the error.
    pub(crate) async fn failed(&self) -> Arc<io::Error> {
        let mut failed = self.failed.clone();
        match failed.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(err)) => err.clone(),
            _ => std::future::pending().await,
        }
    }
}
