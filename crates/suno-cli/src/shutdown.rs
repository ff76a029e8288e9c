//! When to stop.

use anyhow::Context;
use tokio::sync::watch;

use crate::failure::Failure;

/// Resolves when the process is asked to stop. Clones resolve together.
#[derive(Debug, Clone)]
pub(crate) struct Shutdown(watch::Receiver<()>);

impl Shutdown {
    /// Listens for Ctrl-C and SIGTERM from here on, so that no signal is missed later.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let (stop, stopped) = watch::channel(());
        let signal = signal().map_err(Failure::failed)?;
        tokio::spawn(async move {
            signal.await;
            drop(stop);
        });
        Ok(Self(stopped))
    }

    /// Resolves when the process is asked to stop.
    pub(crate) async fn requested(mut self) {
        // The sender is only ever dropped: the error is the news.
        let _ = self.0.changed().await;
    }
}

#[cfg(unix)]
fn signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn signal() -> anyhow::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
