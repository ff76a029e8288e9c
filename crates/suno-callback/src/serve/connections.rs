//! The connections that are open, on whom each of them waits, and which of them is closed when
//! there is no room.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::sync::Notify;
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

/// What a connection is told to do. What was said is not taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    GoOn,
    /// End after what it is answering.
    Stop,
    /// End at once.
    Close,
}

/// How far a connection is, and whether it is to end. Shared between the connection and those who
/// may end it.
#[derive(Debug)]
pub(super) struct Progress {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    turn: Turn,
    order: Order,
    /// Whom to tell of another order.
    waker: Option<Waker>,
}

impl Progress {
    fn new() -> Self {
        Self {
            state: Mutex::new(State {
                turn: Turn::Head(Instant::now()),
                order: Order::GoOn,
                waker: None,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        unpoisoned(&self.state)
    }

    pub(super) fn set(&self, turn: Turn) {
        self.state().turn = turn;
    }

    /// Since when the sender has kept the receiver waiting. Of a connection that is about to be
    /// closed nothing is to be waited for.
    fn waits_since(&self) -> Option<Instant> {
        let state = self.state();
        match state.turn {
            _ if state.order == Order::Close => None,
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

    fn tell(&self, order: Order) {
        let mut state = self.state();
        state.order = state.order.max(order);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// What the connection is to do; its task is woken when that changes, also from stop to close.
    fn order(&self, cx: &Context<'_>) -> Order {
        let mut state = self.state();
        let known = state.waker.as_ref();
        if state.order != Order::Close && known.is_none_or(|known| !known.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        state.order
    }

    /// True once the connection is to end; until then its task is woken when it is.
    pub(super) fn is_stopping(&self, cx: &Context<'_>) -> bool {
        self.order(cx) != Order::GoOn
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

/// The connections that are open. Dropping it closes them.
#[derive(Debug)]
pub(super) struct Connections {
    connections_max: usize,
    /// How long a sender may take for a head.
    header_timeout: Duration,
    /// Each has a slot; most are idle, so that there is as little as possible for each of them.
    slots: Vec<Option<Arc<Progress>>>,
    /// The places of the slots that are empty.
    free: Vec<usize>,
    ended: Arc<Ended>,
    /// No sender has taken too long before then. One timer for all of them.
    overdue_at: Instant,
}

/// The places of the slots whose connections have ended.
#[derive(Debug, Default)]
struct Ended {
    places: Mutex<Vec<usize>>,
    /// Told of each.
    told: Notify,
}

/// Belongs to a connection, and frees its slot in the end, however that comes.
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
    /// How long to wait before looking again for a connection to close, while every one of them
    /// waits for the receiver.
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

    /// Closes those whose senders take too long; resolves when one has ended or may have been
    /// closed, and never while there is none.
    pub(super) async fn tend(&mut self) {
        if self.count() == 0 {
            return std::future::pending().await;
        }
        tokio::select! {
            biased;
            // First, so that it comes to its turn however many connections end.
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
                tracing::debug!("a connection is closed: its sender took too long");
                progress.tell(Order::Close);
            } else {
                next = next.min(overdue_at);
            }
        }
        self.overdue_at = next;
    }

    /// Has all of them end after what they are answering.
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

    /// Resolves when there is room for one more, if need be after closing one.
    pub(super) async fn make_room(&mut self) {
        self.forget_ended();
        while self.count() >= self.connections_max {
            self.close_one(Self::FULL_PAUSE).await;
        }
    }

    /// Closes the connection whose sender has kept the receiver waiting longest, if there is one,
    /// and waits until some connection has ended, for at most `pause`.
    pub(super) async fn close_one(&mut self, pause: Duration) {
        let waiting = self
            .open()
            .filter_map(|progress| Some((progress.waits_since()?, progress)));
        if let Some((_, progress)) = waiting.min_by_key(|(since, _)| *since) {
            tracing::debug!("a connection is closed to make room: its sender took longest");
            progress.tell(Order::Close);
        }
        // Nobody says when a connection begins to wait for its sender: hence the pause.
        let _ = tokio::time::timeout(pause, self.tend()).await;
    }
}

pin_project! {
    /// A connection, until it ends by itself or is closed.
    struct Closable<F> {
        #[pin]
        connection: F,
        progress: Arc<Progress>,
        // Freed last, when the connection is gone.
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

/// What is behind the lock, which nothing here leaves half-written.
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
