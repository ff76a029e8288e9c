//! The connections that are open, on whom each of them waits, and which of them is closed when
//! there is no room.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use crate::clock::after;

/// On whom a connection waits, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// On the sender, until a handshake or a head is complete; and, since an answer that is not
    /// taken keeps the next head from being read, until the answers before it are taken.
    Head(Instant),
    /// On the sender, until a body is complete.
    Body(Instant),
    /// On the receiver, until it has an answer.
    Answer,
}

/// How far a connection is. Shared between the connection and those who may close it.
#[derive(Debug)]
pub(super) struct Progress {
    turn: Mutex<Turn>,
}

impl Progress {
    fn new() -> Self {
        Self {
            turn: Mutex::new(Turn::Head(Instant::now())),
        }
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        // It is one value, which nothing leaves half-written.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, turn: Turn) {
        *self.turn() = turn;
    }

    /// Since when the sender has kept the receiver waiting.
    fn waits_since(&self) -> Option<Instant> {
        match *self.turn() {
            Turn::Head(since) | Turn::Body(since) => Some(since),
            Turn::Answer => None,
        }
    }

    /// Resolves when the sender has taken longer than `limit` for a head.
    pub(super) async fn overdue(&self, limit: Duration) {
        loop {
            let turn = *self.turn();
            match turn {
                Turn::Head(since) if since.elapsed() >= limit => return,
                Turn::Head(since) => sleep_until(after(since, limit)).await,
                // No head that begins from now on is due before.
                Turn::Body(_) | Turn::Answer => sleep(limit).await,
            }
        }
    }
}

/// The connections that are open.
#[derive(Debug)]
pub(super) struct Connections {
    connections_max: usize,
    tasks: JoinSet<()>,
    /// Those that may be closed.
    open: HashMap<Id, Open>,
}

#[derive(Debug)]
struct Open {
    progress: Arc<Progress>,
    abort: AbortHandle,
}

impl Connections {
    /// How long to wait before looking again for a connection to close, while every one of them
    /// waits for the receiver.
    const FULL_PAUSE: Duration = Duration::from_millis(10);

    pub(super) fn new(connections_max: usize) -> Self {
        Self {
            connections_max,
            tasks: JoinSet::new(),
            open: HashMap::new(),
        }
    }

    pub(super) fn begin<F>(&mut self, connection: impl FnOnce(Arc<Progress>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let progress = Arc::new(Progress::new());
        let abort = self.tasks.spawn(connection(progress.clone()));
        self.open.insert(abort.id(), Open { progress, abort });
    }

    /// Resolves when one of them has ended; never while there is none.
    pub(super) async fn ended(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(ended) => self.forget(ended),
            None => std::future::pending().await,
        }
    }

    pub(super) async fn all_ended(&mut self) {
        while !self.tasks.is_empty() {
            self.ended().await;
        }
    }

    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(err) => err.id(),
        };
        self.open.remove(&id);
    }

    /// Resolves when there is room for one more, if need be after closing one.
    pub(super) async fn make_room(&mut self) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.forget(ended);
        }
        while self.tasks.len() >= self.connections_max {
            self.close_one(Self::FULL_PAUSE).await;
        }
    }

    /// Closes the connection whose sender has kept the receiver waiting longest, if there is one,
    /// and waits until some connection has ended, for at most `pause`.
    pub(super) async fn close_one(&mut self, pause: Duration) {
        let waiting = |(id, open): (&Id, &Open)| Some((open.progress.waits_since()?, *id));
        if let Some((_, id)) = self
            .open
            .iter()
            .filter_map(waiting)
            .min_by_key(|(since, _)| *since)
            && let Some(open) = self.open.remove(&id)
        {
            tracing::debug!("a connection is closed to make room: its sender took longest");
            open.abort.abort();
        }
        // Nobody says when a connection begins to wait for its sender: hence the pause.
        let _ = tokio::time::timeout(pause, self.ended()).await;
    }
}
