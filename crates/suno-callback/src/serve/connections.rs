//! The connections that are open, on whom each of them waits, and which of them is closed when
//! there is no room.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
#[cfg(feature = "tls")]
use std::task::Poll;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

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

/// How far a connection is. Shared between the connection and those who may end it.
#[derive(Debug)]
pub(super) struct Progress {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    turn: Turn,
    is_stopping: bool,
    /// Whom to tell of the stop.
    waker: Option<Waker>,
}

impl Progress {
    fn new() -> Self {
        Self {
            state: Mutex::new(State {
                turn: Turn::Head(Instant::now()),
                is_stopping: false,
                waker: None,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing leaves it half-written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, turn: Turn) {
        self.state().turn = turn;
    }

    /// Since when the sender has kept the receiver waiting.
    fn waits_since(&self) -> Option<Instant> {
        match self.state().turn {
            Turn::Head(since) | Turn::Body(since) => Some(since),
            Turn::Answer => None,
        }
    }

    /// When the sender will have taken longer than `limit` for a head, as far as is known `now`.
    fn overdue_at(&self, now: Instant, limit: Duration) -> Instant {
        match self.state().turn {
            Turn::Head(since) => after(since, limit),
            // No head that begins from now on is due before.
            Turn::Body(_) | Turn::Answer => after(now, limit),
        }
    }

    /// Has the connection end after what it is answering.
    fn stop(&self) {
        let mut state = self.state();
        state.is_stopping = true;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// True once the connection is to end; until then its task is told when it is.
    pub(super) fn is_stopping(&self, cx: &Context<'_>) -> bool {
        let mut state = self.state();
        let known = state.waker.as_ref();
        if !state.is_stopping && known.is_none_or(|known| !known.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        state.is_stopping
    }

    /// Resolves when the connection is to end.
    #[cfg(feature = "tls")]
    pub(super) async fn stopping(&self) {
        std::future::poll_fn(|cx| match self.is_stopping(cx) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}

/// The connections that are open.
#[derive(Debug)]
pub(super) struct Connections {
    connections_max: usize,
    /// How long a sender may take for a head.
    header_timeout: Duration,
    tasks: JoinSet<()>,
    /// Those that may be closed.
    open: HashMap<Id, Open>,
    /// No sender has taken too long before then. One timer for all of them: most are idle, and a
    /// timer of its own would make each larger.
    overdue_at: Instant,
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

    pub(super) fn new(connections_max: usize, header_timeout: Duration) -> Self {
        Self {
            connections_max,
            header_timeout,
            tasks: JoinSet::new(),
            open: HashMap::new(),
            overdue_at: Instant::now(),
        }
    }

    pub(super) fn begin<F>(&mut self, connection: impl FnOnce(Arc<Progress>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if self.tasks.is_empty() {
            self.overdue_at = after(Instant::now(), self.header_timeout);
        }
        let progress = Arc::new(Progress::new());
        let abort = self.tasks.spawn(connection(progress.clone()));
        self.open.insert(abort.id(), Open { progress, abort });
    }

    /// Closes those whose senders take too long; resolves when one has ended or may have been
    /// closed, and never while there is none.
    pub(super) async fn tend(&mut self) {
        if self.tasks.is_empty() {
            return std::future::pending().await;
        }
        tokio::select! {
            ended = self.tasks.join_next_with_id() => {
                if let Some(ended) = ended {
                    self.forget(ended);
                }
            }
            () = sleep_until(self.overdue_at) => self.close_overdue(),
        }
    }

    fn close_overdue(&mut self) {
        let now = Instant::now();
        self.overdue_at = after(now, self.header_timeout);
        for open in self.open.values() {
            let overdue_at = open.progress.overdue_at(now, self.header_timeout);
            if overdue_at <= now {
                tracing::debug!("a connection is closed: its sender took too long");
                open.abort.abort();
            } else {
                self.overdue_at = self.overdue_at.min(overdue_at);
            }
        }
    }

    /// Has all of them end after what they are answering.
    pub(super) fn stop(&self) {
        for open in self.open.values() {
            open.progress.stop();
        }
    }

    pub(super) async fn all_ended(&mut self) {
        while !self.tasks.is_empty() {
            self.tend().await;
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
        let _ = tokio::time::timeout(pause, self.tend()).await;
    }
}
