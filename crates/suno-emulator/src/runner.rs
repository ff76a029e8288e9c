//! The runner of an emulator: it moves the provider through time and sends its callbacks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use crate::background::BackgroundTasks;
use crate::clock::{Clock, Moment};
use crate::observer::{Activity, Observer, SubmitActivity};
use crate::profile::Refusal;
use crate::provider::{Provider, Reply, ReplyPlan};
use crate::sender::Sender;
use crate::task::attempt::{AttemptInFlight, AttemptResult};
use crate::task::timing::millis;

/// A running emulator, as the server and the handle share it.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) clock: Clock,
    sender: Sender,
    pub(crate) tasks: BackgroundTasks,
    /// Permits for callbacks in flight.
    deliveries: Arc<Semaphore>,
    provider: Mutex<Provider>,
    observer: Option<Observer>,
    /// Signals that something may be due earlier than before.
    due_changed: Notify,
    /// Signals that the provider changed, for `idle`.
    changed: Notify,
    /// Locked while the driven clock is advanced.
    moving: tokio::sync::Mutex<()>,
}

impl Runner {
    pub(crate) fn new(
        provider: Provider,
        clock: Clock,
        sender: Sender,
        tasks: BackgroundTasks,
        deliveries_at_once_max: usize,
    ) -> Self {
        Self {
            clock,
            sender,
            tasks,
            deliveries: Arc::new(Semaphore::new(deliveries_at_once_max)),
            provider: Mutex::new(provider),
            observer: None,
            due_changed: Notify::new(),
            changed: Notify::new(),
            moving: tokio::sync::Mutex::new(()),
        }
    }

    pub(crate) fn with_observer(mut self, observer: Option<Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Locks the provider. A panic of another thread leaves it consistent enough to go on.
    pub(crate) fn provider(&self) -> MutexGuard<'_, Provider> {
        self.provider.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the runner and `idle` after a change by a request or by the handle.
    pub(crate) fn notify_changed(&self) {
        self.due_changed.notify_one();
        self.changed.notify_waiters();
    }

    /// Passes a submit and its answer to the observer.
    pub(crate) fn observe_submit(&self, now: Moment, reply_plan: &ReplyPlan) {
        let Some(observer) = &self.observer else {
            return;
        };
        let (status, envelope) = match &reply_plan.reply {
            Reply::Envelope(status, envelope) => (Some(*status), Some(envelope)),
            Reply::Html502 => (Some(502), None),
            Reply::Cut => (None, None),
        };
        let code = envelope.and_then(|envelope| envelope["code"].as_u64());
        let message = envelope.and_then(|envelope| envelope["msg"].as_str());
        let task = reply_plan.task.as_ref();
        observer.observe(&Activity::Submit(SubmitActivity {
            unix_ms: now.unix_ms,
            task_id: task.map(|task| task.task_id.clone()),
            callback_url: task.and_then(|task| task.callback_url.clone()),
            status,
            code: code.and_then(|code| u16::try_from(code).ok()),
            message: message.map(str::to_owned),
        }));
    }

    /// Passes a submit to the observer that was refused before it reached the provider.
    pub(crate) fn observe_refused_submit(&self, refusal: &Refusal) {
        if self.observer.is_some() {
            let reply_plan = self.provider().refusal(refusal);
            self.observe_submit(self.clock.now(), &reply_plan);
        }
    }

    /// Passes the attempts that were logged since the last call to the observer. The provider is
    /// not locked meanwhile, so the observer may call the emulator.
    fn observe_attempts(&self) {
        let Some(observer) = &self.observer else {
            return;
        };
        let attempts = self.provider().take_unobserved();
        for attempt in attempts {
            observer.observe(&Activity::Attempt(attempt));
        }
    }

    /// Waits until no task has anything left to do.
    pub(crate) async fn idle(&self) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.provider().is_idle() {
                return;
            }
            changed.await;
        }
    }

    /// Sends callbacks as they become due in real time. Never returns.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            let due_at = self.send_due();
            match due_at.and_then(|at_ms| self.clock.instant_of(at_ms)) {
                Some(instant) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(instant) => {}
                        () = self.due_changed.notified() => {}
                    }
                }
                None => self.due_changed.notified().await,
            }
        }
    }

    /// Starts all deliveries that are due and returns the time of the next one.
    fn send_due(self: &Arc<Self>) -> Option<u64> {
        loop {
            let now = self.clock.now();
            let mut provider = self.provider();
            let Some(attempt) = provider.next_attempt(now) else {
                let due_at = provider.due_at();
                drop(provider);
                self.observe_attempts();
                self.changed.notify_waiters();
                return due_at;
            };
            drop(provider);
            let runner = Arc::clone(self);
            self.tasks.spawn(async move {
                let _place = runner.deliveries.acquire().await;
                runner.deliver(attempt).await;
            });
        }
    }

    /// Makes one attempt and records its result.
    pub(crate) async fn deliver(&self, attempt: AttemptInFlight) {
        let began = Instant::now();
        let (outcome, answer) = self.sender.send(&attempt).await;
        let result = AttemptResult {
            outcome,
            answer,
            duration: self.clock.since(began),
        };
        let now = self.clock.now();
        self.provider().finish_attempt(now, &attempt, result);
        self.observe_attempts();
        self.notify_changed();
    }

    /// Advances the driven clock and executes everything that becomes due, one after the other.
    pub(crate) async fn advance(&self, by: Duration) {
        let _moving = self.moving.lock().await;
        let target_ms = self.clock.now().at_ms.saturating_add(millis(by));
        loop {
            let due_at = self.provider().due_at();
            let Some(at_ms) = due_at.filter(|at_ms| *at_ms <= target_ms) else {
                break;
            };
            self.clock.move_to(at_ms);
            let now = self.clock.now();
            let attempt = self.provider().next_attempt(now);
            if let Some(attempt) = attempt {
                self.deliver(attempt).await;
            }
            self.observe_attempts();
        }
        self.clock.move_to(target_ms);
        self.changed.notify_waiters();
    }
}
