//! A store as one node sees it: operations fail, hang, are late or lose their answers; what is
//! carried out goes into the history.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use suno_callback::{
    Accepted, ClaimRequest, Claims, Content, Counts, Decision, Delivery, DueRequest, DueTasks,
    DueTicket, EventId, EventRecord, ExpectedTask, Extended, IdempotencyStore, Intent, ListRequest,
    OpenIntent, Page, Postponement, PurgeRequest, Purged, QuarantinedDelivery, Redrive, Redriven,
    Settlement, StoreError, StoreErrorKind, SubmitId, async_trait,
};
use suno_types::{Stage, TaskId};
use tokio::time::sleep;

use crate::history::{End, Grant, Ticket, What, hash_of};
use crate::mutant::Mutant;
use crate::node::{Life, lock};
use crate::plan::{FaultKind, Millis, StageName, StoreFault};
use crate::world::{index_of, task_id, task_of};

type Act<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// The store of a node.
#[derive(Debug, Clone)]
pub(crate) struct Double {
    life: Arc<Life>,
    /// The number of the last claim request that was carried out.
    last_request: Arc<Mutex<u64>>,
}

impl Double {
    pub(crate) fn new(life: Arc<Life>) -> Self {
        Self {
            life,
            last_request: Arc::default(),
        }
    }

    fn store(&self) -> &Arc<dyn IdempotencyStore> {
        &self.life.store
    }

    fn record(&self, what: What) {
        self.life.record(what);
    }

    /// Records how the events of a task stand.
    async fn show(&self, task: &TaskId) {
        if let Ok(records) = self.store().find(task).await {
            self.life
                .world
                .show(self.life.node, self.life.number, index_of(task), &records);
        }
    }

    fn fails<T>(
        &self,
        operation: &'static str,
        how: &'static str,
        kind: StoreErrorKind,
    ) -> Result<T, StoreError> {
        self.record(What::OperationFails { operation, how });
        Err(StoreError::new(kind).with_source(how))
    }

    /// Carries an operation out, with what goes wrong.
    async fn around<T: Send + 'static>(
        &self,
        operation: &'static str,
        act: Act<T>,
    ) -> Result<T, StoreError> {
        let (life, world) = (&self.life, &self.life.world);
        let dice = world
            .dice
            .of(operation)
            .at(life.node as u64)
            .at(life.next_operation());
        let delay = dice.of("delay").below(world.plan.knobs.op_delay_ms + 1);
        if delay > 0 {
            sleep(Duration::from_millis(delay)).await;
        }
        let Some((fault, until)) = world.store_fault(life.node, dice) else {
            return self.answer(act.await).await;
        };
        match fault {
            StoreFault::Refuses => {
                self.fails(operation, "an operation fails", StoreErrorKind::Unavailable)
            }
            StoreFault::Full => self.fails(operation, "the store is full", StoreErrorKind::Full),
            StoreFault::LosesAnswer => {
                let _ = self.answer(act.await).await;
                self.fails(operation, "an answer is lost", StoreErrorKind::Unavailable)
            }
            StoreFault::Delays(ms) => {
                self.record(What::OperationFails {
                    operation,
                    how: "an operation is delayed",
                });
                sleep(Duration::from_millis(ms)).await;
                let done = self.answer(act.await).await;
                sleep(Duration::from_millis(ms)).await;
                done
            }
            StoreFault::CarriesOutLate(ms) => {
                self.record(What::OperationFails {
                    operation,
                    how: "an operation is late",
                });
                let late = tokio::spawn(async move {
                    sleep(Duration::from_millis(ms)).await;
                    act.await
                });
                match late.await {
                    Ok(done) => done,
                    Err(_) => pending().await,
                }
            }
            StoreFault::Hangs => {
                self.record(What::OperationFails {
                    operation,
                    how: "an operation hangs",
                });
                sleep(Duration::from_millis(until.saturating_sub(world.now()))).await;
                self.answer(act.await).await
            }
            StoreFault::HangsForEver => {
                self.record(What::OperationFails {
                    operation,
                    how: "an operation hangs for ever",
                });
                pending().await
            }
        }
    }

    /// The answer, unless the process dies before it comes.
    async fn answer<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if self.life.commits() {
            pending().await
        }
        done
    }

    fn record_accepted(&self, delivery: &Delivery, accepted: Accepted) {
        let stage = match &delivery.content {
            Content::Event { key, .. } => Some(StageName::of(key.stage())),
            _ => None,
        };
        let task = delivery.task_id().map(index_of);
        let (body, unconfirmed) = (hash_of(&delivery.raw), delivery.unconfirmed);
        self.record(What::Accepted {
            task,
            stage,
            body,
            unconfirmed,
            accepted,
        });
    }

    fn record_claims(&self, request: &ClaimRequest, claims: &Claims) {
        for ((ticket, settlement), settled) in request.settlements.iter().zip(&claims.settled) {
            let (ticket, end) = (Ticket::of(ticket), end(settlement));
            self.record(What::Settled {
                ticket,
                end,
                settled: *settled,
            });
        }
        let is_repeated = {
            let mut last = lock(&self.last_request);
            let is_repeated = *last >= request.number;
            *last = request.number.max(*last);
            is_repeated
        };
        for claim in &claims.claims {
            self.record(What::Granted(Grant {
                ticket: Ticket::of(&claim.ticket),
                task: index_of(claim.key.task_id()),
                stage: StageName::of(claim.key.stage()),
                attempt: claim.attempt,
                lapses: claim.lapses,
                holds_for: millis(claim.holds_for),
                age: millis(claim.age),
                is_repeated,
            }));
        }
    }

    async fn accept_all(&self, deliveries: &[Delivery]) -> Result<Vec<Accepted>, StoreError> {
        if self.life.world.mutant != Some(Mutant::ForgedCounts) {
            return self.store().accept(deliveries).await;
        }
        let confirm = |delivery: &Delivery| delivery.clone().with_unconfirmed(false);
        let confirmed: Vec<_> = deliveries.iter().map(confirm).collect();
        self.store().accept(&confirmed).await
    }

    /// Settles and claims, as one step of the history.
    async fn exchange(&self, request: &ClaimRequest) -> Result<Claims, StoreError> {
        let claims = self.store().claim(request).await?;
        self.record_claims(request, &claims);
        let settled = request
            .settlements
            .iter()
            .map(|(ticket, _)| self.life.world.task_of(ticket.event.0));
        let granted = claims
            .claims
            .iter()
            .map(|claim| Some(index_of(claim.key.task_id())));
        let mut tasks: Vec<usize> = settled.chain(granted).flatten().collect();
        tasks.sort_unstable();
        tasks.dedup();
        for task in tasks {
            self.show(&task_id(task)).await;
        }
        if !claims.claims.is_empty() {
            self.record(What::Claimed {
                wanted: request.events_max,
                granted: claims.claims.len(),
                more: claims.more,
                suspected: claims.suspected,
            });
        }
        Ok(claims)
    }

    /// Forgets, as one step of the history.
    async fn forget(&self, request: &PurgeRequest) -> Result<Purged, StoreError> {
        let purged = self.store().purge(request).await?;
        if purged.keys + purged.dead + purged.quarantined > 0 {
            let keys_after = millis(request.keys_after);
            self.record(What::Purged {
                keys_after,
                keys: purged.keys,
                dead: purged.dead,
            });
            for task in 0..self.life.world.plan.tasks.len() {
                self.show(&task_id(task)).await;
            }
        }
        Ok(purged)
    }
}

fn end(settlement: &Settlement) -> End {
    match settlement {
        Settlement::Done => End::Done,
        Settlement::Retry { after, .. } => End::Retry(millis(*after)),
        Settlement::Dead { cause, .. } => End::Dead(*cause),
        _ => End::Release,
    }
}

pub(crate) fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl IdempotencyStore for Double {
    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Accepted>, StoreError> {
        let (double, deliveries) = (self.clone(), deliveries.to_vec());
        let act = async move {
            let accepted = double.accept_all(&deliveries).await?;
            for (delivery, accepted) in deliveries.iter().zip(&accepted) {
                double.record_accepted(delivery, *accepted);
                if let (Some(submit), Some(task)) = (delivery.submit, delivery.task_id()) {
                    double.life.world.met(submit, index_of(task));
                }
            }
            for task in deliveries.iter().filter_map(Delivery::task_id) {
                double.show(task).await;
            }
            Ok(accepted)
        };
        self.around("accept", Box::pin(act)).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claims, StoreError> {
        let (double, request) = (self.clone(), request.clone());
        let act = async move { double.exchange(&request).await };
        self.around("claim", Box::pin(act)).await
    }

    async fn extend(
        &self,
        tickets: &[suno_callback::Ticket],
        lease: Duration,
    ) -> Result<Vec<Extended>, StoreError> {
        let (double, tickets) = (self.clone(), tickets.to_vec());
        let act = async move {
            let extended = double.store().extend(&tickets, lease).await?;
            for (ticket, extended) in tickets.iter().zip(&extended) {
                let is_extended = *extended == Extended::Extended;
                let (ticket, lease) = (Ticket::of(ticket), millis(lease));
                double.record(What::Extended {
                    ticket,
                    lease,
                    is_extended,
                });
            }
            Ok(extended)
        };
        self.around("extend", Box::pin(act)).await
    }

    async fn wait(&self, at_most: Duration) -> Result<(), StoreError> {
        let store = self.store().clone();
        let act = async move { store.wait(at_most).await };
        self.around("wait", Box::pin(act)).await
    }

    async fn find(&self, task_id: &TaskId) -> Result<Vec<EventRecord>, StoreError> {
        self.store().find(task_id).await
    }

    async fn list(&self, request: &ListRequest) -> Result<Page<EventRecord>, StoreError> {
        self.store().list(request).await
    }

    async fn quarantine(
        &self,
        after: Option<EventId>,
        entries_max: u32,
    ) -> Result<Page<QuarantinedDelivery>, StoreError> {
        self.store().quarantine(after, entries_max).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.store().counts().await
    }

    async fn redrive(
        &self,
        events: &[EventId],
        redrive: Redrive,
    ) -> Result<Vec<Redriven>, StoreError> {
        let redriven = self.store().redrive(events, redrive).await?;
        for (event, redriven) in events.iter().zip(&redriven) {
            let even_if_superseded = redrive == Redrive::EvenIfSuperseded;
            let (event, redriven) = (event.0, *redriven);
            self.record(What::Redriven {
                event,
                even_if_superseded,
                redriven,
            });
            if let Some(task) = self.life.world.task_of(event) {
                self.show(&task_id(task)).await;
            }
        }
        Ok(redriven)
    }

    async fn requeue(
        &self,
        entry: EventId,
        delivery: &Delivery,
    ) -> Result<Option<Accepted>, StoreError> {
        self.store().requeue(entry, delivery).await
    }

    async fn decide(&self, task: &TaskId, stage: &Stage) -> Result<Decision, StoreError> {
        let (double, task, stage) = (self.clone(), task.clone(), stage.clone());
        let act = async move {
            let decision = double.store().decide(&task, &stage).await?;
            let (index, stage) = (index_of(&task), StageName::of(&stage));
            double.record(What::Decided {
                task: index,
                stage,
                decision,
            });
            double.show(&task).await;
            Ok(decision)
        };
        self.around("decide", Box::pin(act)).await
    }

    async fn purge(&self, request: &PurgeRequest) -> Result<Purged, StoreError> {
        let (double, request) = (self.clone(), *request);
        let act = async move { double.forget(&request).await };
        self.around("purge", Box::pin(act)).await
    }

    async fn intend(&self, intent: &Intent) -> Result<(), StoreError> {
        let (double, intent) = (self.clone(), intent.clone());
        let act = async move {
            double.store().intend(&intent).await?;
            let task = task_of(intent.submit);
            double.record(What::Intended { task });
            Ok(())
        };
        self.around("intend", Box::pin(act)).await
    }

    async fn withdraw(&self, submit: SubmitId) -> Result<(), StoreError> {
        self.store().withdraw(submit).await
    }

    async fn open_intents(
        &self,
        open_for: Duration,
        after: Option<u64>,
        intents_max: u32,
    ) -> Result<Vec<OpenIntent>, StoreError> {
        self.store()
            .open_intents(open_for, after, intents_max)
            .await
    }

    async fn expect(&self, task: &ExpectedTask) -> Result<(), StoreError> {
        let (double, task) = (self.clone(), task.clone());
        let act = async move {
            double.store().expect(&task).await?;
            double.record(What::Expected {
                task: index_of(&task.task_id),
            });
            Ok(())
        };
        self.around("expect", Box::pin(act)).await
    }

    async fn due(&self, request: &DueRequest) -> Result<DueTasks, StoreError> {
        let (double, request) = (self.clone(), *request);
        let act = async move {
            let due = double.store().due(&request).await?;
            for task in &due.tasks {
                let (epoch, answers) = (task.ticket.epoch, task.answers);
                let task = index_of(&task.ticket.task_id);
                double.record(What::Due {
                    task,
                    epoch,
                    answers,
                });
            }
            Ok(due)
        };
        self.around("due", Box::pin(act)).await
    }

    async fn postpone(
        &self,
        ticket: &DueTicket,
        postponement: Postponement,
    ) -> Result<bool, StoreError> {
        let (double, ticket) = (self.clone(), ticket.clone());
        let act = async move {
            let held = double.store().postpone(&ticket, postponement).await?;
            let (task, after) = (index_of(&ticket.task_id), millis(postponement.after));
            let is_answered = postponement.is_answered;
            double.record(What::Postponed {
                task,
                after,
                is_answered,
                held,
            });
            Ok(held)
        };
        self.around("postpone", Box::pin(act)).await
    }

    async fn finish(&self, ticket: &DueTicket) -> Result<bool, StoreError> {
        let (double, ticket) = (self.clone(), ticket.clone());
        let act = async move {
            let held = double.store().finish(&ticket).await?;
            double.record(What::Finished {
                task: index_of(&ticket.task_id),
                held,
            });
            Ok(held)
        };
        self.around("finish", Box::pin(act)).await
    }
}

impl FaultKind {
    /// The fault of the store, for an operation with these dice.
    pub(crate) fn of_store(self, dice: crate::dice::Dice) -> Option<StoreFault> {
        match self {
            Self::Store(fault, percent) if dice.of("fault").percent(percent) => Some(fault),
            Self::CutOff if dice.of("cut").percent(50) => Some(StoreFault::HangsForEver),
            Self::CutOff => Some(StoreFault::Refuses),
            _ => None,
        }
    }
}
