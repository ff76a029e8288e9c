//! Lines on stdout from a thread of their own: a reader that is slow must hold up nothing but the
//! handlers that wait for it.

use std::io;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::output;

/// How many lines wait for the reader at most; further handlers wait.
const WAITING_MAX: usize = 16;

/// Prints lines, one after the other.
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
    /// Starts the thread. It ends with the process, or when stdout fails.
    pub(crate) fn start() -> io::Result<Self> {
        let (lines, mut waiting) = mpsc::channel::<Line>(WAITING_MAX);
        let (fail, failed) = watch::channel(None);
        std::thread::Builder::new()
            .name("stdout".to_owned())
            .spawn(move || {
                while let Some(line) = waiting.blocking_recv() {
                    if let Err(err) = output::line(&line.text) {
                        fail.send_replace(Some(Arc::new(err)));
                        return;
                    }
                    // Nobody waits any more if the handler was cancelled.
                    let _ = line.written.send(());
                }
            })?;
        Ok(Self { lines, failed })
    }

    /// Resolves when the line is written. If stdout has failed it never does: the process is about
    /// to stop, and what was not written is handled after the next start.
    pub(crate) async fn print(&self, text: String) {
        let (written, is_written) = oneshot::channel();
        let handed_over = self.lines.send(Line { text, written }).await.is_ok();
        if !handed_over || is_written.await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Prints a line if there is a place for it: what waits for nobody may be lost.
    pub(crate) fn print_if_possible(&self, text: String) {
        let (written, _) = oneshot::channel();
        let _ = self.lines.try_send(Line { text, written });
    }

    /// Resolves when stdout has failed, with what was in the way.
    pub(crate) async fn failed(&self) -> Arc<io::Error> {
        let mut failed = self.failed.clone();
        match failed.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(err)) => err.clone(),
            _ => std::future::pending().await,
        }
    }
}
