//! The main loop of a dispatcher: it settles finished events, claims new ones while there are free
//! slots, and waits for the next change.

mod exchange;
mod stop;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use suno_types::TaskId;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::lease::Leases;
use super::retry::after_failure;
use super::running::{HandlerOutcome, RunningEvent, Work, bury, event, run};
use super::{Dispatcher, Settings};
use crate::background::Pulse;
use crate::clock::after;
use crate::handler::{DeadLetter, HandlerError};
use crate::key::{EventId, EventKey};
use crate::observe::{HandledOutcome, HandledReport, Observer};
use crate::simulation::{Mutation, gated, mutated};
use crate::store::bounds::LAPSES_SUSPECT;
use crate::store::{Claim, DeadCause, IdempotencyStore, Settlement, StoreError, Ticket, WorkerId};

/// The wait after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// The maximum length of a wait for new events. The store reports when there is something to claim;
/// this only limits the delay if a store fails to.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// The maximum time until the loop begins a turn although nothing happens, so that others see that it
/// could. In a simulation of days, such turns would be most of the work.
const IDLE_TURN: Duration = match cfg!(feature = "simulation") {
    true => WAIT_MAX,
    false => Duration::from_secs(5),
};

type Finished = Result<(Id, (EventId, HandlerOutcome)), JoinError>;

pub(super) struct Worker {
    dispatcher: Dispatcher,
    store: Arc<dyn IdempotencyStore>,
    id: WorkerId,
    /// The number of the next request, or of the last one if it was not answered.
    number: u64,
    tasks: JoinSet<(EventId, HandlerOutcome)>,
    /// The event that each task works on: after a panic, this is the only record of it.
    event_of: HashMap<Id, EventId>,
    running: BTreeMap<EventId, RunningEvent>,
    /// The tasks that are running.
    busy_tasks: HashSet<TaskId>,
    /// The suspected event that is running, if any: no other event is claimed beside it.
    runs_alone: Option<EventId>,
    /// Claims of tasks for which a handler is still running here that cannot be cancelled.
    held_back: Vec<Claim>,
    /// Settlements that the store has not recorded yet.
    unsettled: Vec<(Ticket, Settlement)>,
    leases: Leases,
    heartbeat: JoinHandle<()>,
    /// Whether the last request got no answer.
    is_unanswered: bool,
    is_stopping: bool,
    may_have_more: bool,
    /// Whether an event is ready that must be claimed alone.
    is_suspected: bool,
    /// The time before which the store is not asked, because it failed.
    paused_until: Option<Instant>,
    full_since: Option<Instant>,
    pulse: Arc<Pulse>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

impl Worker {
    pub(super) fn new(dispatcher: Dispatcher, pulse: Arc<Pulse>) -> Self {
        let store = dispatcher.inbox.store().clone();
        let leases = Leases::default();
        let heartbeat = leases.heartbeat(store.clone(), dispatcher.settings.lease);
        Self {
            dispatcher,
            store,
            id: WorkerId(fastrand::u64(1..)),
            number: 1,
            tasks: JoinSet::new(),
            event_of: HashMap::new(),
            running: BTreeMap::new(),
            busy_tasks: HashSet::new(),
            runs_alone: None,
            held_back: Vec::new(),
            unsettled: Vec::new(),
            leases,
            heartbeat,
            is_unanswered: false,
            is_stopping: false,
            may_have_more: true,
            is_suspected: false,
            paused_until: None,
            full_since: None,
            pulse,
        }
    }

    pub(super) async fn run(mut self, mut stopped: watch::Receiver<()>) {
        let store = self.store.clone();
        let mut waiting = None;
        loop {
            self.pulse.beat();
            self.absorb();
            if self.has_to_ask() {
                waiting = None;
                let exchange = self.exchange(self.wanted());
                tokio::select! {
                    biased;
                    // The sender is never used, only dropped: any change means the end.
                    _ = stopped.changed() => break,
                    () = exchange => {}
                }
                continue;
            }
            let can_wait = self.wanted() > 0 && self.paused_until.is_none();
            if can_wait && waiting.is_none() {
                let third = self.settings().lease / 3;
                let sleeps = mutated(Mutation::OneClaimPerTurn) && !self.running.is_empty();
                waiting = Some(Box::pin(wait(&*store, sleeps.then_some(third))));
            }
            let alarm = self.alarm();
            tokio::select! {
                biased;
                Some(finished) = self.tasks.join_next_with_id() => self.finish(finished),
                _ = stopped.changed() => break,
                waited = woken(&mut waiting), if can_wait => {
                    waiting = None;
                    self.woken(waited);
                }
                () = sleep_until(alarm) => self.ring(),
            }
        }
        let grace = self.settings().stop_grace;
        self.wind_down(after(Instant::now(), grace)).await;
    }

    fn settings(&self) -> &Settings {
        &self.dispatcher.settings
    }

    /// Returns how many events may be claimed now.
    fn wanted(&self) -> usize {
        let isolates = self.is_suspected && !self.running.is_empty();
        if isolates || self.runs_alone.is_some() {
            return 0;
        }
        let busy = self.running.len() + self.held_back.len();
        self.settings().handlers_max.saturating_sub(busy)
    }

    fn has_to_ask(&self) -> bool {
        let something = !self.unsettled.is_empty() || (self.may_have_more && self.wanted() > 0);
        something && self.paused_until.is_none()
    }

    /// Handles every spawned task that has ended.
    fn absorb(&mut self) {
        while let Some(finished) = self.tasks.try_join_next_with_id() {
            self.finish(finished);
        }
    }

    fn woken(&mut self, waited: Result<(), StoreError>) {
        match waited {
            Ok(()) => self.may_have_more = true,
            Err(err) => {
                report(
                    &err,
                    "the store cannot be watched for new events; trying again",
                );
                self.pause();
                self.may_have_more = true;
            }
        }
    }

    fn pause(&mut self) {
        self.paused_until = Some(after(Instant::now(), STORE_PAUSE));
    }

    /// Returns the time at which the loop must act even if nothing happens.
    fn alarm(&self) -> Instant {
        let full = self.full_since;
        let warning = full.map(|since| after(since, Dispatcher::FULL_WARNING));
        let alarms = self.paused_until.into_iter().chain(warning);
        alarms.fold(after(Instant::now(), IDLE_TURN), Instant::min)
    }

    fn ring(&mut self) {
        let now = Instant::now();
        self.paused_until = self.paused_until.filter(|until| *until > now);
        let is_due = |since: &Instant| after(*since, Dispatcher::FULL_WARNING) <= now;
        if self.full_since.as_ref().is_some_and(is_due) {
            let handlers = self.settings().handlers_max;
            let seconds = Dispatcher::FULL_WARNING.as_secs();
            tracing::warn!(
                handlers,
                "no handler has ended for {seconds} s and no slot is free: other events are waiting"
            );
            self.full_since = Some(now);
        }
    }

    fn note_whether_full(&mut self) {
        let since = self.full_since.unwrap_or_else(Instant::now);
        self.full_since = (self.wanted() == 0).then_some(since);
    }

    fn begin(&mut self, claim: Claim) {
        let is_busy = self.busy_tasks.contains(claim.key.task_id());
        if is_busy && !mutated(Mutation::RunsWithoutLease) {
            // A handler of this task blocks its thread and cannot be cancelled. An earlier claim of
            // the same event is void.
            let event = claim.ticket.event;
            self.held_back.retain(|held| held.ticket.event != event);
            return self.held_back.push(claim);
        }
        let event = match event(&claim) {
            Ok(event) => Arc::new(event),
            Err(err) => {
                let (cause, reason) = (
                    DeadCause::Unreadable,
                    format!("the body cannot be decoded: {err}"),
                );
                let running = RunningEvent::new(&claim, None);
                return self.bury(running, claim.key, Settlement::Dead { cause, reason });
            }
        };
        let running = RunningEvent::new(&claim, Some(event.clone()));
        if claim.lapses >= Dispatcher::LAPSES_MAX {
            let reason =
                "its claims lapsed while nothing else ran: handling it probably ends the process";
            let (cause, reason) = (DeadCause::Lapsed, reason.to_owned());
            return self.bury(running, claim.key, Settlement::Dead { cause, reason });
        }
        let lease = self.leases.watch(claim.ticket.event);
        let handler = self.dispatcher.handler.clone();
        let limit = self.settings().handler_timeout;
        self.spawn(running, run(handler, event, lease, limit));
    }

    /// Notifies the handler of a dead letter, which is settled after that.
    fn bury(&mut self, mut running: RunningEvent, key: EventKey, settlement: Settlement) {
        let Settlement::Dead { cause, reason } = &settlement else {
            return self.settle(running.ticket, settlement);
        };
        let letter = DeadLetter {
            id: running.ticket.event,
            key,
            cause: *cause,
            reason: reason.clone(),
            attempts: running.attempt,
            event: running.event.clone(),
        };
        self.observer().on_dead_letter(&letter);
        running.work = Work::Burying(settlement);
        let lease = self.leases.watch(letter.id);
        let handler = self.dispatcher.handler.clone();
        let limit = self.settings().handler_timeout;
        self.spawn(running, bury(handler, letter, lease, limit));
    }

    fn spawn<F>(&mut self, running: RunningEvent, work: F)
    where
        F: Future<Output = (EventId, HandlerOutcome)> + Send + 'static,
    {
        let event = running.ticket.event;
        if running.lapses >= LAPSES_SUSPECT && !mutated(Mutation::SuspectsTogether) {
            self.runs_alone = Some(event);
        }
        self.busy_tasks.insert(running.task_id.clone());
        let task = self.tasks.spawn(gated(work));
        self.event_of.insert(task.id(), event);
        self.running.insert(event, running);
    }

    /// Handles the end of a spawned task.
    fn finish(&mut self, finished: Finished) {
        let (id, outcome) = match finished {
            Ok((id, (_, outcome))) => (id, Some(outcome)),
            Err(err) if err.is_cancelled() => (err.id(), None),
            Err(err) => {
                let panicked = HandlerError::retry("the handler panicked");
                (err.id(), Some(HandlerOutcome::Handled(Err(panicked))))
            }
        };
        let event = self.event_of.remove(&id);
        let Some(running) = event.and_then(|event| self.running.remove(&event)) else {
            return;
        };
        self.full_since = None;
        self.busy_tasks.remove(&running.task_id);
        self.runs_alone = self
            .runs_alone
            .filter(|alone| *alone != running.ticket.event);
        match outcome {
            // A stop is not a failure of the event, so it does not count as an attempt.
            None => {
                self.report_handled(&running, HandledOutcome::Cancelled);
                self.settle(running.ticket, Settlement::Release);
            }
            Some(outcome) => self.conclude(running, outcome),
        }
        self.begin_held_back();
    }

    fn conclude(&mut self, mut running: RunningEvent, outcome: HandlerOutcome) {
        let ticket = running.ticket;
        if running
            .event
            .as_ref()
            .is_some_and(|event| event.is_settled())
        {
            self.report_handled(&running, HandledOutcome::Done);
            return self.leases.remove(ticket.event);
        }
        let work = std::mem::replace(&mut running.work, Work::Handling);
        match (work, outcome) {
            (_, HandlerOutcome::Lapsed) => {
                self.report_handled(&running, HandledOutcome::Cancelled);
                self.observer().on_claim_lost(ticket.event);
                self.give_back(ticket, running.attempt);
            }
            (Work::Burying(settlement), _) => self.settle(ticket, settlement),
            (Work::Handling, HandlerOutcome::Handled(Err(err))) => self.fail(running, &err),
            (Work::Handling, HandlerOutcome::Handled(Ok(())) | HandlerOutcome::Told) => {
                self.report_handled(&running, HandledOutcome::Done);
                self.settle(ticket, Settlement::Done);
            }
        }
    }

    /// The claim could not be extended in time, so the handler was cancelled. Unless another worker
    /// has claimed the event, it is retried.
    fn give_back(&mut self, ticket: Ticket, attempt: u32) {
        if self.leases.is_lost(ticket.event) {
            return self.leases.remove(ticket.event);
        }
        tracing::warn!(event = %ticket.event, attempt, "the lease ended and could not be extended; the handler was cancelled");
        let reason = "the lease ended before the handler did".to_owned();
        let after = Duration::ZERO;
        self.settle(ticket, Settlement::Retry { after, reason });
    }

    fn fail(&mut self, running: RunningEvent, err: &HandlerError) {
        let (ticket, attempt, age) = (running.ticket, running.attempt, running.age());
        let settlement = after_failure(self.settings(), attempt, age, err, fastrand::f64());
        match &settlement {
            Settlement::Retry { after, reason } => {
                tracing::warn!(event = %ticket.event, attempt, reason, wait = ?after, "handling failed; the event is retried");
                self.report_handled(&running, HandledOutcome::Retried);
            }
            Settlement::Release => {
                let reason = err.reason();
                tracing::debug!(event = %ticket.event, reason, "the handler takes nothing now; the event waits");
                self.report_handled(&running, HandledOutcome::NotNow);
            }
            _ => self.report_handled(&running, HandledOutcome::Dead),
        }
        match running.event.as_ref().map(|event| event.key().clone()) {
            Some(key) => self.bury(running, key, settlement),
            None => self.settle(ticket, settlement),
        }
    }

    fn observer(&self) -> &Arc<dyn Observer> {
        self.dispatcher.inbox.observer()
    }

    fn report_handled(&self, running: &RunningEvent, outcome: HandledOutcome) {
        let Some(event) = &running.event else {
            return;
        };
        self.observer().on_handled(&HandledReport {
            id: running.ticket.event,
            key: event.key(),
            event,
            took: running.took(),
            outcome,
        });
    }

    fn settle(&mut self, ticket: Ticket, settlement: Settlement) {
        self.unsettled.push((ticket, settlement));
    }

    /// Starts the claims that were held back, because a handler has ended.
    fn begin_held_back(&mut self) {
        for claim in std::mem::take(&mut self.held_back) {
            self.begin(claim);
        }
    }
}

/// Waits until there may be something to claim. A store that does not answer in time is treated as
/// failed: it may hang and never answer.
async fn wait(store: &dyn IdempotencyStore, sleeps: Option<Duration>) -> Result<(), StoreError> {
    if let Some(pause) = sleeps {
        sleep(pause).await;
        return Ok(());
    }
    let limit = WAIT_MAX + Dispatcher::STORE_TIMEOUT;
    match timeout(limit, store.wait(WAIT_MAX)).await {
        Ok(waited) => waited,
        Err(_) => Err(StoreError::unanswered()),
    }
}

/// Waits on an optional timer; never resolves without one.
async fn woken<F>(waiting: &mut Option<F>) -> F::Output
where
    F: Future + Unpin,
{
    match waiting {
        Some(waiting) => waiting.await,
        None => pending().await,
    }
}

fn report(err: &StoreError, what: &str) {
    tracing::error!(err = err as &dyn std::error::Error, "{what}");
}
