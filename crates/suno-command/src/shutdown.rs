//! When to stop, and by when.

use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::failure::Failure;
use crate::log;

/// How much longer than it may take a stop can take before the process ends all the same: whatever
/// hangs is not waited for.
const HANGING_MAX: Duration = Duration::from_secs(1);

/// Resolves when the process is asked to stop. Clones resolve together.
#[derive(Debug, Clone)]
pub(crate) struct Shutdown {
    asked: watch::Receiver<()>,
    ask: Arc<Notify>,
    grace: Duration,
}

impl Shutdown {
    /// How long a stop may take unless set otherwise.
    pub(crate) const GRACE: Duration = Duration::from_secs(20);

    /// Listens for Ctrl-C, SIGTERM and SIGHUP from here on, so that no signal is missed later. After
    /// the first one, a second one ends the process at once, and so does a stop that takes longer
    /// than `grace`. A thread of its own sees to that, whatever the others are doing.
    pub(crate) fn listen(grace: Duration) -> Result<Self, Failure> {
        let (stop, asked) = watch::channel(());
        let ask = Arc::new(Notify::new());
        let asks = ask.clone();
        let (tell, started) = std::sync::mpsc::channel();
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || match Signals::listen() {
                Ok((runtime, signals)) => {
                    let _ = tell.send(Ok(()));
                    runtime.block_on(end(signals, &asks, stop, grace));
                }
                Err(err) => drop(tell.send(Err(err))),
            })
            .map_err(Failure::failed)?;
        let started = started.recv().map_err(Failure::failed)?;
        started.map_err(Failure::failed)?;
        Ok(Self { asked, ask, grace })
    }

    /// Stops as a signal does.
    pub(crate) fn ask(&self) {
        self.ask.notify_one();
    }

    /// Resolves when the process is asked to stop, with the time by which it must have.
    pub(crate) async fn requested(mut self) -> Instant {
        // The sender is only ever dropped: the error is the news.
        let _ = self.asked.changed().await;
        Instant::now() + self.grace
    }
}

/// Tells when the process is asked to stop, and ends the process if it does not end by itself.
async fn end(mut signals: Signals, asks: &Notify, stop: watch::Sender<()>, grace: Duration) {
    let was_signalled = tokio::select! {
        _ = signals.next() => true,
        () = asks.notified() => false,
    };
    drop(stop);
    let second = async {
        if !was_signalled {
            signals.next().await;
        }
        signals.next().await
    };
    let ends = grace.saturating_add(HANGING_MAX);
    let (code, why) = match tokio::time::timeout(ends, second).await {
        Ok(signal) => (128 + signal, "a second signal came"),
        Err(_) => (1, "the time for the stop is over"),
    };
    log::line(&format!(
        "suno: stopped at once: {why}; what was not finished is done again after the next start"
    ));
    log::flush();
    process::exit(code);
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> anyhow::Result<(tokio::runtime::Runtime, Self)> {
        use tokio::signal::unix::{SignalKind, signal};

        let runtime = runtime()?;
        let signals = runtime.block_on(async {
            anyhow::Ok(Self {
                interrupt: signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?,
                terminate: signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?,
                hang_up: signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?,
            })
        })?;
        Ok((runtime, signals))
    }

    /// The number of the next signal.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.hang_up.recv() => 1,
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> anyhow::Result<(tokio::runtime::Runtime, Self)> {
        Ok((runtime()?, Self))
    }

    async fn next(&mut self) -> i32 {
        let _ = tokio::signal::ctrl_c().await;
        2
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot wait for signals")
}
