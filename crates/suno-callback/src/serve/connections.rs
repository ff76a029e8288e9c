//! The open connections: which side each of them waits for, and which one to close when there is
//! no room.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::clock::after;

/// The side that a connection waits for, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waits for the sender to complete a handshake or a head. Also covers a sender that does not
    /// read its responses, because the next head is not read before they are written.
    Head(Instant),
    /// Waits for the sender to complete a body.
    Body(Instant),
    /// Waits for the receiver to respond.
    Answer,
}

/// The order given to a connection. An order is never withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    GoOn,
    /// Close after the current response.
    Stop,
    /// Close at once.
    Close,
}

/// The progress of a connection, and whether it is to be closed. Shared between the connection and
/// those that may close it.
#[derive(Debug)]
pub(super) struct Progress {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    turn: Phase,
    order: Order,
    /// Woken when the order changes.
    waker: Option<Waker>,
}

impl Progress {
    fn new() -> Self {
        Self {
            state: Mutex::new(State {
                turn: Phase::Head(Instant::now()),
                order: Order::GoOn,
                waker: None,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        unpoisoned(&self.state)
    }

    pub(super) fn set(&self, turn: Phase) {
        self.state().turn = turn;
    }

    /// Returns since when the sender has kept the receiver waiting; `None` for a connection that
    /// is about to be closed.
    fn waits_since(&self) -> Option<Instant> {
        let state = self.state();
        match state.turn {
            _ if state.order == Order::Close => None,
            Phase::Head(since) | Phase::Body(since) => Some(since),
            Phase::Answer => None,
        }
    }

    /// Returns when the sender will have exceeded `limit` for a head, as far as is known `now`.
    fn overdue_at(&self, now: Instant, limit: Duration) -> Instant {
        match self.state().turn {
            Phase::Head(since) => after(since, limit),
            // A head that begins from now on is not due earlier.
            Phase::Body(_) | Phase::Answer => after(now, limit),
        }
    }

    fn tell(&self, order: Order) {
        let mut state = self.state();
        state.order = state.order.max(order);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// Returns the order for the connection. Its task is woken when the order changes, also from
    /// stop to close.
    fn order(&self, cx: &Context<'_>) -> Order {
        let mut state = self.state();
        let known = state.waker.as_ref();
        if state.order != Order::Close && known.is_none_or(|known| !known.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        state.order
    }

    /// Whether the connection is to be closed. If not, its task is woken when it is.
    pub(super) fn is_stopping(&self, cx: &Context<'_>) -> bool {
        self.order(cx) != Order::GoOn
    }

    /// Resolves when the connection is to be closed.
    #[cfg(feature = "tls")]
    pub(super) async fn stopping(&self) {
        std::future::poll_fn(|cx| match self.is_stopping(cx) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}

/// The open connections. Dropping this closes them.
#[derive(Debug)]
pub(super) struct Connections {
    connections_max: usize,
    /// The time limit for a head.
    header_timeout: Duration,
    /// One slot for each connection. Most are idle, so a slot is as small as possible.
    slots: Vec<Option<Arc<Progress>>>,
    /// The indices of the empty slots.
    free: Vec<usize>,
    ended: Arc<Ended>,
    /// No sender exceeds its time limit before this. One timer serves all connections.
    overdue_at: Instant,
}

/// The indices of the slots whose connections have ended.
#[derive(Debug, Default)]
struct Ended {
    places: Mutex<Vec<usize>>,
    /// Notified of each.
    told: Notify,
}

/// Belongs to a connection, and frees its slot when the connection ends for any reason.
struct Slot {
    place: usize,
    ended: Arc<Ended>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        unpoisoned(&self.ended.places).push(self.place);
        self.ended.told.notify_one();
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.tell(Order::Close);
    }
}

impl Connections {
    /// The wait before looking again for a connection to close, while all of them wait for the
    /// receiver.
    const FULL_PAUSE: Duration = Duration::from_millis(10);

    pub(super) fn new(connections_max: usize, header_timeout: Duration) -> Self {
        Self {
            connections_max,
            header_timeout,
            slots: Vec::new(),
            free: Vec::new(),
            ended: Arc::default(),
            overdue_at: Instant::now(),
        }
    }

    fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn open(&self) -> impl Iterator<Item = &Arc<Progress>> {
        self.slots.iter().flatten()
    }

    pub(super) fn begin<F>(&mut self, connection: impl FnOnce(Arc<Progress>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if self.count() == 0 {
            self.overdue_at = after(Instant::now(), self.header_timeout);
        }
        let progress = Arc::new(Progress::new());
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[place] = Some(progress.clone());
        tokio::spawn(Closable {
            connection: connection(progress.clone()),
            progress,
            _slot: Slot {
                place,
                ended: self.ended.clone(),
            },
        });
    }

    /// Closes connections whose senders exceed their time limit. Resolves when a connection has
    /// ended or may have been closed, and never while there are none.
    pub(super) async fn tend(&mut self) {
        if self.count() == 0 {
            return std::future::pending().await;
        }
        tokio::select! {
            biased;
            // Polled first, so that it is not starved however many connections end.
            () = sleep_until(self.overdue_at) => self.close_overdue(),
            () = self.ended.told.notified() => self.forget_ended(),
        }
    }

    fn close_overdue(&mut self) {
        let now = Instant::now();
        let mut next = after(now, self.header_timeout);
        for progress in self.open() {
            let overdue_at = progress.overdue_at(now, self.header_timeout);
            if overdue_at <= now {
                tracing::debug!("closing a connection: its sender took too long");
                progress.tell(Order::Close);
            } else {
                next = next.min(overdue_at);
            }
        }
        self.overdue_at = next;
    }

    /// Makes all connections close after their current response.
    pub(super) fn stop(&self) {
        self.tell(Order::Stop);
    }

    fn tell(&self, order: Order) {
        for progress in self.open() {
            progress.tell(order);
        }
    }

    pub(super) async fn all_ended(&mut self) {
        while self.count() > 0 {
            self.tend().await;
        }
    }

    fn forget_ended(&mut self) {
        for place in unpoisoned(&self.ended.places).drain(..) {
            self.slots[place] = None;
            self.free.push(place);
        }
    }

    /// Resolves when there is room for another connection, after closing one if necessary.
    pub(super) async fn make_room(&mut self) {
        self.forget_ended();
        while self.count() >= self.connections_max {
            self.close_one(Self::FULL_PAUSE).await;
        }
    }

    /// Closes the connection whose sender has kept the receiver waiting longest, if any, and waits
    /// until some connection has ended, for at most `pause`.
    pub(super) async fn close_one(&mut self, pause: Duration) {
        let waiting = self
            .open()
            .filter_map(|progress| Some((progress.waits_since()?, progress)));
        if let Some((_, progress)) = waiting.min_by_key(|(since, _)| *since) {
            tracing::debug!("closing a connection to make room: its sender took longest");
            progress.tell(Order::Close);
        }
        // Nothing signals when a connection starts to wait for its sender, so this polls with a
        // pause.
        let _ = tokio::time::timeout(pause, self.tend()).await;
    }
}

pin_project! {
    /// Runs a connection until it ends or is closed.
    struct Closable<F> {
        #[pin]
        connection: F,
        progress: Arc<Progress>,
        // Dropped last, after the connection.
        _slot: Slot,
    }
}

impl<F: Future<Output = ()>> Future for Closable<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let closable = self.project();
        match closable.progress.order(cx) {
            Order::Close => Poll::Ready(()),
            Order::GoOn | Order::Stop => closable.connection.poll(cx),
        }
    }
}

/// No code here leaves the data behind the lock half-written.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_not_taken_back() {
        let progress = Progress::new();
        let cx = Context::from_waker(Waker::noop());
        let told = [Order::GoOn, Order::Stop, Order::Close, Order::Stop].map(|order| {
            progress.tell(order);
            progress.order(&cx)
        });
        assert_eq!(told, [Order::GoOn, Order::Stop, Order::Close, Order::Close]);
    }

    #[test]
    fn a_connection_that_is_about_to_be_closed_is_not_chosen_again() {
        let progress = Progress::new();
        assert!(progress.waits_since().is_some());
        progress.tell(Order::Close);
        assert_eq!(progress.waits_since(), None);
    }
}
