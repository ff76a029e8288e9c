//! A store as one process sees it: operations fail, hang, are late or lose their answers.
//! Operations that are carried out are added to the history.

use std::future::{Future, pending};
use std::slice::from_ref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use suno_callback::*;
use suno_types::{Stage, TaskId};
use tokio::time::sleep;

use crate::history::{What, hash_of};
use crate::ids::{index_of, key_of, submit_id, task_id, task_of};
use crate::plan::{FaultKind, Key, Millis, StageName, millis};
use crate::world::node::Life;

/// The number of times that records are read until the checker does without them.
const FIND_TRIES_MAX: u32 = 10;

#[derive(Debug, Clone)]
pub(crate) struct Double {
    life: Arc<Life>,
    /// The number of the last claim request that was carried out.
    last_request: Arc<AtomicU64>,
}

impl Double {
    pub(crate) fn new(life: Arc<Life>) -> Self {
        let last_request = Arc::default();
        Self { life, last_request }
    }

    /// Carries out an operation, with its faults. It may outlive its caller.
    async fn around<T: Send + 'static>(
        &self,
        operation: &'static str,
        act: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (life, world) = (&self.life, &self.life.world);
        let number = life.operations.fetch_add(1, Ordering::Relaxed);
        let dice = |purpose| world.dice(purpose, life.node, number);
        pause(dice("delay") % (world.plan.knobs.op_delay_ms + 1)).await;
        let death = dice("death");
        let Some((fault, until)) = world.store_fault(life.node, dice(operation)) else {
            return self.answer(act.await, death).await;
        };
        life.record(What::OperationFails(operation, fault));
        match fault {
            FaultKind::StoreFull => Err(StoreError::new(StoreErrorKind::Full)),
            FaultKind::LosesAnswer => {
                world.sever(dice("sever"));
                let _ = self.answer(act.await, death).await;
                Err(StoreError::new(StoreErrorKind::Unavailable))
            }
            FaultKind::Delays(ms) => {
                pause(ms).await;
                let done = self.answer(act.await, death).await;
                pause(ms).await;
                done
            }
            FaultKind::CarriesOutLate(ms) => {
                let late = tokio::spawn(async move {
                    pause(ms).await;
                    act.await
                });
                match late.await {
                    Ok(done) => done,
                    Err(_) => pending().await,
                }
            }
            FaultKind::Hangs => {
                pause(until.saturating_sub(world.now())).await;
                self.answer(act.await, death).await
            }
            FaultKind::HangsForEver => pending().await,
            _ => Err(StoreError::new(StoreErrorKind::Unavailable)),
        }
    }

    /// Returns the answer, unless the process dies first.
    async fn answer<T>(&self, done: Result<T, StoreError>, death: u64) -> Result<T, StoreError> {
        let dies = self.life.dies_of_commit(death);
        if dies { pending().await } else { done }
    }

    /// Records the states of the events of tasks after an operation.
    async fn show(&self, tasks: impl IntoIterator<Item = usize>) {
        let mut tasks: Vec<_> = tasks.into_iter().collect();
        tasks.sort_unstable();
        tasks.dedup();
        for task in tasks {
            if let Some(records) = self.records(task).await {
                let now = self.life.world.now();
                let changes = self.life.world.checker().changes(now, task, &records);
                changes.into_iter().for_each(|what| self.life.record(what));
            }
        }
    }

    /// Reads the records of a task, also while connections are being ended.
    async fn records(&self, task: usize) -> Option<Vec<EventRecord>> {
        for _ in 0..FIND_TRIES_MAX {
            if let Ok(records) = self.life.store.find(&task_id(task)).await {
                return Some(records);
            }
        }
        None
    }

    fn task_of(&self, event: EventId) -> Option<usize> {
        self.life.world.checker().event(event).map(|(task, _)| task)
    }

    async fn accepted(&self, deliveries: &[Delivery], accepted: &[Acceptance]) {
        for (delivery, accepted) in deliveries.iter().zip(accepted) {
            let key = match &delivery.content {
                Content::Event { key, results, .. } => Some((key_of(key), *results)),
                _ => None,
            };
            let is_unconfirmed = self.life.world.plan.knobs.confirm
                && delivery.source == Source::Callback
                && !delivery.verified_by.record;
            let body = hash_of(&delivery.raw);
            let what = What::Accepted(key, body, is_unconfirmed, *accepted);
            self.life.record(what);
            // A callback that names its submit makes the task expected.
            if let Some(task) = delivery.task_id().map(index_of)
                && delivery.submit == Some(submit_id(task))
            {
                self.life.world.record(None, What::Expected(task));
            }
        }
        let tasks = deliveries.iter().filter_map(Delivery::task_id);
        self.show(tasks.map(index_of)).await;
    }

    async fn claimed(&self, request: &ClaimRequest, claims: &Claims) {
        for ((ticket, settlement), settled) in request.settlements.iter().zip(&claims.settled) {
            let what = What::Settled(*ticket, settlement.clone(), *settled);
            self.life.record(what);
        }
        let number = request.number;
        let last = self.last_request.fetch_max(number, Ordering::Relaxed);
        for claim in &claims.claims {
            let is_repeated = last >= number;
            self.life.record(What::Granted(claim.clone(), is_repeated));
        }
        let settled =
            (request.settlements.iter()).filter_map(|(ticket, _)| self.task_of(ticket.event));
        let granted = (claims.claims.iter()).map(|claim| index_of(claim.key.task_id()));
        self.show(settled.chain(granted)).await;
        if !claims.claims.is_empty() {
            self.life.record(What::Claimed);
        }
    }

    async fn redriven(&self, events: &[EventId], how: Redrive, redriven: &[RedriveResult]) {
        for (event, redriven) in events.iter().zip(redriven) {
            self.life.record(What::Redriven(*event, how, *redriven));
            let task = self.task_of(*event);
            self.show(task).await;
        }
    }
}

async fn pause(ms: Millis) {
    if ms > 0 {
        sleep(Duration::from_millis(ms)).await;
    }
}

/// Implements the store by operations that are carried out `around` their faults. What follows the
/// answer is done in the same step of the history. References are marked with `&`, and passed on as
/// copies, which an operation keeps that outlives its caller; values after them are marked with `*`.
macro_rules! operations {
    ($($name:ident(
        $($value:ident: $v:ty,)* $(&$reference:ident: $r:ty,)* $(*$last:ident: $l:ty,)?
    ) -> $out:ty $(, |$double:ident, $answer:ident| $then:expr)?;)*) => {
        #[async_trait]
        impl IdempotencyStore for Double {
            fn accepts_at_once(&self) -> usize {
                self.life.store.accepts_at_once()
            }

            $(
                async fn $name(
                    &self, $($value: $v,)* $($reference: &$r,)* $($last: $l,)?
                ) -> Result<$out, StoreError> {
                    let double = self.clone();
                    $(let $reference = $reference.to_owned();)*
                    let act = async move {
                        let store = &double.life.store;
                        let answer = store.$name($($value,)* $(&$reference,)* $($last,)?).await?;
                        $(let ($double, $answer) = (&double, &answer); $then;)?
                        Ok(answer)
                    };
                    self.around(stringify!($name), act).await
                }
            )*
        }
    };
}

operations! {
    accept(&deliveries: [Delivery],) -> Vec<Acceptance>,
        |double, accepted| double.accepted(&deliveries, accepted).await;
    claim(&request: ClaimRequest,) -> Claims,
        |double, claims| double.claimed(&request, claims).await;
    extend(&tickets: [Ticket], *lease: Duration,) -> Vec<ExtendResult>,
        |double, extended| for (ticket, extended) in tickets.iter().zip(extended) {
            let holds = *extended == ExtendResult::Extended;
            double.life.record(What::Extended(*ticket, millis(lease), holds));
        };
    wait(at_most: Duration,) -> ();
    find(&task_id: TaskId,) -> Vec<EventRecord>;
    list(&request: ListRequest,) -> Page<EventRecord>;
    conflicts(event: EventId,) -> Vec<ConflictRecord>;
    quarantine(after: Option<EventId>, entries_max: u32,) -> Page<QuarantinedDelivery>;
    counts() -> Counts;
    redrive(&events: [EventId], *how: Redrive,) -> Vec<RedriveResult>,
        |double, redriven| double.redriven(&events, how, redriven).await;
    adopt(&events: [AdoptedEvent],) -> Vec<Adoption>;
    requeue(entry: EventId, &delivery: Delivery,) -> Option<Acceptance>,
        |double, accepted| double.accepted(from_ref(&delivery), accepted.as_slice()).await;
    decide(&task: TaskId, &stage: Stage,) -> Decision,
        |double, decision| {
            let key = Key::first(index_of(&task), StageName::of(&stage));
            double.life.record(What::Decided(key, *decision));
            double.show([key.task]).await;
        };
    purge(&request: PurgeRequest,) -> PurgeReport,
        |double, purged| if purged.keys + purged.dead > 0 {
            double.life.record(What::Purged(purged.keys, purged.dead));
            double.show(0..double.life.world.plan.tasks.len()).await;
        };
    intend(&intent: Intent,) -> (),
        |double, _done| double.life.record(What::Intended(task_of(intent.submit)));
    withdraw(submit: SubmitId,) -> ();
    open_intents(open_for: Duration, after: Option<u64>, intents_max: u32,) -> Vec<OpenIntent>;
    submits(&reference: Reference, *submits_max: u32,) -> Vec<RecordedSubmit>;
    expect(&task: ExpectedTask,) -> (),
        |double, _done| double.life.record(What::Expected(index_of(&task.task_id)));
    expected_tasks(before: Option<u64>, tasks_max: u32,) -> Vec<RecordedTask>;
    recorded_tasks(&task_ids: [TaskId],) -> Vec<RecordedTask>;
    due(&request: DueRequest,) -> DueTasks;
    postpone(&ticket: DueTicket, *postponement: Postponement,) -> bool,
        |double, _held| {
            let (task, after) = (index_of(&ticket.task_id), millis(postponement.after));
            double.life.record(What::Postponed(task, after));
        };
    finish(&ticket: DueTicket,) -> bool;
}
