//! A clock that only the test moves. tokio's paused clock jumps ahead whenever nothing is left to
//! do but to wait, also for the network; it stands still while a blocking task runs.

use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Holds tokio's paused clock until it is dropped.
#[derive(Debug)]
pub(crate) struct HeldClock(
    #[allow(dead_code, reason = "its drop ends the task")] mpsc::Sender<()>,
);

impl HeldClock {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || receiver.recv());
        Self(sender)
    }

    /// Moves the clock and lets everybody react.
    pub(crate) async fn advance(&self, time: Duration) {
        tokio::time::advance(time).await;
        self.settle().await;
    }

    /// Lets everybody react, the network included. Client and server share one thread, so that
    /// what has not happened after so many rounds is waiting for the clock.
    pub(crate) async fn settle(&self) {
        let start = Instant::now();
        let mut rounds = 0;
        while rounds < 1000 || start.elapsed() < Duration::from_millis(10) {
            tokio::task::yield_now().await;
            rounds += 1;
        }
    }
}

/// Waits until something is true, whatever the clock of tokio says.
pub(crate) async fn until(is_true: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_true() {
        assert!(start.elapsed() < PATIENCE, "it did not happen");
        tokio::task::yield_now().await;
    }
}
