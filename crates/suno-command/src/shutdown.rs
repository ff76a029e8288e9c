//! Handles requests to stop, and their time limit.

use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::failure::Failure;
use crate::log;

/// How far a stop may exceed its time limit before the process exits regardless of what still hangs.
const HANGING_MAX: Duration = Duration::from_secs(1);

/// Resolves when the process is asked to stop. All clones resolve together.
#[derive(Debug, Clone)]
pub(crate) struct Shutdown {
    asked: watch::Receiver<()>,
    ask: Arc<Notify>,
    grace: Duration,
}

impl Shutdown {
    /// The default time limit for a stop.
    pub(crate) const GRACE: Duration = Duration::from_secs(20);

    /// Listens for Ctrl-C, SIGTERM and SIGHUP from this call on, so that no later signal is missed.
    /// After the first signal, the process exits at once if a second one arrives or if the stop
    /// takes longer than `grace`. A separate thread enforces this, whatever the other threads are
    /// doing.
    pub(crate) fn listen(grace: Duration) -> Result<Self, Failure> {
        Self::start(grace, HangUp::Stops)
    }

    /// Like [`listen`](Self::listen), but SIGHUP does not stop the process: it has another meaning.
    pub(crate) fn listen_without_hang_up(grace: Duration) -> Result<Self, Failure> {
        Self::start(grace, HangUp::IsNoStop)
    }

    fn start(grace: Duration, hang_up: HangUp) -> Result<Self, Failure> {
        let (stop, asked) = watch::channel(());
        let ask = Arc::new(Notify::new());
        let asks = ask.clone();
        let (tell, started) = std::sync::mpsc::channel();
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || match Signals::listen(hang_up) {
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

    /// Requests a stop, as a signal does.
    pub(crate) fn ask(&self) {
        self.ask.notify_one();
    }

    /// Resolves when the process is asked to stop, and returns the time by which it must have
    /// stopped.
    pub(crate) async fn requested(mut self) -> Instant {
        // The sender is never used, only dropped, so the error is the signal.
        let _ = self.asked.changed().await;
        Instant::now() + self.grace
    }
}

/// The meaning of SIGHUP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HangUp {
    Stops,
    IsNoStop,
}

/// Reports that the process is asked to stop, and exits if the process does not do so in time.
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
        Ok(signal) => (128 + signal, "a second signal arrived"),
        Err(_) => (1, "the time limit for the stop has passed"),
    };
    log::line(&format!(
        "suno: stopped at once: {why}; unfinished work is repeated after a restart"
    ));
    log::flush();
    process::exit(code);
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// `None` if it has another meaning.
    hang_up: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn listen(hang_up: HangUp) -> anyhow::Result<(tokio::runtime::Runtime, Self)> {
        use tokio::signal::unix::{SignalKind, signal};

        let runtime = runtime()?;
        let signals = runtime.block_on(async {
            anyhow::Ok(Self {
                interrupt: signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?,
                terminate: signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?,
                hang_up: (hang_up == HangUp::Stops)
                    .then(|| signal(SignalKind::hangup()))
                    .transpose()
                    .context("cannot listen for SIGHUP")?,
            })
        })?;
        Ok((runtime, signals))
    }

    /// Waits for the next signal and returns its number.
    async fn next(&mut self) -> i32 {
        let hang_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = hang_up => 1,
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen(_: HangUp) -> anyhow::Result<(tokio::runtime::Runtime, Self)> {
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
