//! Intents and expected tasks: a ledger in memory, for stores that keep theirs in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use suno_types::{TaskId, TaskKind};

use super::PurgeStep;
use crate::delivery::Delivery;
use crate::key::{Reference, SubmitId};
use crate::store::bounds::{LEASE_MAX, OVERDUE_AFTER, POSTPONE_MAX};
use crate::store::ledger::KnownSubmit;
use crate::store::{
    Counts, DueRequest, DueTask, DueTasks, DueTicket, Expectation, ExpectedTask, Intent,
    OpenIntent, PollState, Postponement, RecordedSubmit, RecordedTask,
};

/// The maximum number of tasks that one request looks at.
const LOOKED_AT_MAX: usize = 1_024;
/// The minimum lease: no lease may end at the moment at which it begins.
const LEASE_MIN: Duration = Duration::from_nanos(1);

/// Intents and expected tasks in memory. A closed intent is kept until it is purged, so that later
/// deliveries that name it get its reference.
#[derive(Default)]
pub struct Ledger {
    /// In the order of recording.
    intents: BTreeMap<u64, StoredIntent>,
    numbers: BTreeMap<SubmitId, u64>,
    /// The closed intents of each task.
    closed: BTreeSet<(TaskId, u64)>,
    last_number: u64,
    tasks: BTreeMap<TaskId, StoredTask>,
    /// The expected tasks in the order in which they became expected.
    expected: BTreeMap<u64, TaskId>,
    /// The tasks in the order in which they are due.
    queue: BTreeSet<(Duration, TaskId)>,
    /// The epoch of the latest ticket of any task, so that a ticket becomes void when its task is
    /// forgotten.
    last_epoch: u32,
}

/// Leaves out the submit ids: anyone who knows one can claim a task for it.
impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("intents", &self.intents.len())
            .field("tasks", &self.tasks.len())
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// Records an intent.
    pub fn intend(&mut self, intent: &Intent, now: Duration) {
        if let Some(former) = self.numbers.get(&intent.submit) {
            self.intents.remove(former);
            self.closed.retain(|(_, number)| number != former);
        }
        self.last_number += 1;
        self.numbers.insert(intent.submit, self.last_number);
        let stored = StoredIntent::new(self.last_number, intent, now);
        self.intents.insert(self.last_number, stored);
    }

    /// Removes an intent that is open.
    pub fn withdraw(&mut self, submit: SubmitId) {
        if self
            .intent(submit)
            .is_some_and(|intent| intent.task_id.is_none())
            && let Some(number) = self.numbers.remove(&submit)
        {
            self.intents.remove(&number);
        }
    }

    fn intent(&mut self, submit: SubmitId) -> Option<&mut StoredIntent> {
        let number = self.numbers.get(&submit)?;
        self.intents.get_mut(number)
    }

    /// Lists open intents, oldest first (L1).
    #[must_use]
    pub fn open_intents(
        &self,
        open_for: Duration,
        after: Option<u64>,
        intents_max: u32,
        now: Duration,
    ) -> Vec<OpenIntent> {
        self.intents
            .range(after.map_or(0, |after| after.saturating_add(1))..)
            .filter(|(_, intent)| intent.task_id.is_none())
            .map(|(_, intent)| intent.open(now))
            .filter(|intent| intent.open_for >= open_for)
            .take(intents_max as usize)
            .collect()
    }

    /// Lists the submits of a reference, oldest first (L9).
    #[must_use]
    pub fn submits(&self, reference: &Reference, submits_max: u32) -> Vec<RecordedSubmit> {
        let all = self.intents.values();
        all.filter(|intent| intent.reference.as_ref() == Some(reference))
            .map(|intent| RecordedSubmit {
                kind: intent.kind.clone(),
                task_id: intent.task_id.clone(),
                ..RecordedSubmit::new(intent.submit, intent.intended_at)
            })
            .take(submits_max as usize)
            .collect()
    }

    /// Purges old intents (L7).
    pub fn purge(&mut self, step: &PurgeStep<'_>) {
        self.intents
            .retain(|_, intent| step.keeps_intent(intent.stored_at));
        self.numbers
            .retain(|_, number| self.intents.contains_key(number));
        self.closed
            .retain(|(_, number)| self.intents.contains_key(number));
    }

    /// Lists expected tasks, the latest first (L10).
    #[must_use]
    pub fn expected_tasks(
        &self,
        before: Option<u64>,
        tasks_max: u32,
        now: Duration,
    ) -> Vec<RecordedTask> {
        let before = self.expected.range(..before.unwrap_or(u64::MAX)).rev();
        let tasks = before.take(tasks_max as usize);
        tasks
            .map(|(_, task_id)| self.recorded_task(task_id, now))
            .collect()
    }

    /// Returns what is recorded of a task (L11, L12).
    #[must_use]
    pub fn recorded_task(&self, task_id: &TaskId, now: Duration) -> RecordedTask {
        let mut recorded = RecordedTask::new(task_id.clone());
        if let Some(task) = self.tasks.get(task_id) {
            recorded.submit = task.submit;
            recorded.kind = Some(task.kind.clone());
            recorded.expectation = Some(task.expectation(now));
        }
        let mut closed = self.closed.range((task_id.clone(), 0)..);
        let first = closed.next().filter(|(of, _)| of == task_id);
        if let Some(intent) = first.and_then(|(_, number)| self.intents.get(number)) {
            recorded.submit = Some(intent.submit);
            recorded.intended_at = Some(intent.intended_at);
            recorded.reference = intent.reference.clone();
            recorded.kind.get_or_insert_with(|| intent.kind.clone());
        }
        recorded
    }

    /// Counts expected tasks and open intents (L13).
    pub fn count(&self, counts: &mut Counts, now: Duration) {
        let overdue = self.queue.iter();
        let overdue = overdue.take_while(|(due_at, _)| *due_at + OVERDUE_AFTER <= now);
        counts.overdue = overdue.count() as u64;
        counts.expected = self.tasks.len() as u64;
        let open = self.intents.values();
        counts.open_intents = open.filter(|intent| intent.task_id.is_none()).count() as u64;
    }

    /// Closes the intent that a delivery names, and expects its task (A12). Returns what is known of
    /// the submit, unless it made another task (A15).
    pub fn meet(&mut self, delivery: &Delivery) -> KnownSubmit {
        let (Some(submit), Some(task_id)) = (delivery.submit, delivery.task_id()) else {
            return KnownSubmit::default();
        };
        let Some(intent) = self.intent(submit) else {
            return KnownSubmit::default();
        };
        let was_open = intent.task_id.is_none();
        let closed_for = intent.task_id.get_or_insert_with(|| task_id.clone());
        if closed_for != task_id {
            return KnownSubmit::default();
        }
        let (number, task, known) = (intent.number, intent.to_task(task_id), intent.known());
        if was_open {
            self.closed.insert((task_id.clone(), number));
            self.add(task);
        }
        known
    }

    /// Registers an expected task, and closes its intent (L2).
    pub fn expect(&mut self, task: &ExpectedTask, now: Duration) {
        if let Some(intent) = task.submit.and_then(|submit| self.intent(submit))
            && intent.task_id.is_none()
        {
            intent.task_id = Some(task.task_id.clone());
            let closed = (task.task_id.clone(), intent.number);
            self.closed.insert(closed);
        }
        self.add(StoredTask::new(task, now));
    }

    fn add(&mut self, mut task: StoredTask) {
        if !self.tasks.contains_key(&task.task_id) {
            self.last_number += 1;
            task.number = self.last_number;
            self.expected.insert(task.number, task.task_id.clone());
            self.queue.insert((task.due_at, task.task_id.clone()));
            self.tasks.insert(task.task_id.clone(), task);
        }
    }

    fn remove(&mut self, task_id: &TaskId) {
        if let Some(task) = self.tasks.remove(task_id) {
            self.expected.remove(&task.number);
            self.queue.remove(&(task.due_at, task.task_id));
        }
    }

    /// Changes a task, and updates its position in the queue. Returns `None` if it is not expected.
    fn change<T>(
        &mut self,
        task_id: &TaskId,
        change: impl FnOnce(&mut StoredTask) -> T,
    ) -> Option<T> {
        let task = self.tasks.get_mut(task_id)?;
        self.queue.remove(&(task.due_at, task_id.clone()));
        let changed = change(task);
        self.queue.insert((task.due_at, task_id.clone()));
        Some(changed)
    }

    /// Makes a task due again after a pause. Returns false if the ticket is lost (L6).
    pub fn postpone(
        &mut self,
        ticket: &DueTicket,
        postponement: Postponement,
        now: Duration,
    ) -> bool {
        let postpone = |task: &mut StoredTask| task.postpone(ticket, postponement, now);
        self.change(&ticket.task_id, postpone).unwrap_or(false)
    }

    /// Removes a task. Returns false if the ticket is lost (L6).
    pub fn finish(&mut self, ticket: &DueTicket) -> bool {
        let task = self.tasks.get(&ticket.task_id);
        let is_held = task.is_some_and(|task| task.is_held_by(ticket));
        if is_held {
            self.remove(&ticket.task_id);
        }
        is_held
    }

    /// Takes due tasks in the order in which they became due (L3, L4), and removes those for which
    /// `is_decided` returns true (L5).
    pub fn due(
        &mut self,
        request: &DueRequest,
        now: Duration,
        is_decided: impl Fn(&TaskId) -> bool,
    ) -> DueTasks {
        let mut due = DueTasks::default();
        for _ in 0..LOOKED_AT_MAX {
            let Some((first, task_id)) = self.queue.first().cloned() else {
                return due;
            };
            if first > now {
                due.next_due = Some(first - now);
                return due;
            }
            if due.tasks.len() >= request.tasks_max {
                due.more = true;
                return due;
            }
            if is_decided(&task_id) {
                self.remove(&task_id);
                continue;
            }
            self.last_epoch += 1;
            let epoch = self.last_epoch;
            let take = |task: &mut StoredTask| task.take(epoch, request.lease, now);
            due.tasks.extend(self.change(&task_id, take));
        }
        due.more = true;
        due
    }
}

/// An intent.
struct StoredIntent {
    /// The store's number of the intent.
    number: u64,
    /// The id of the submit.
    submit: SubmitId,
    /// The time at which it was recorded, by the caller's clock.
    intended_at: Timestamp,
    /// The time at which it was stored, by the store's clock.
    stored_at: Duration,
    /// The delay from then until its task is due.
    due_after: Duration,
    /// The application's name for it.
    reference: Option<Reference>,
    /// The kind of its task.
    kind: TaskKind,
    /// Its task, once that is known. The intent is closed then.
    task_id: Option<TaskId>,
}

impl StoredIntent {
    /// Creates an intent that is recorded now.
    fn new(number: u64, intent: &Intent, now: Duration) -> Self {
        Self {
            number,
            submit: intent.submit,
            intended_at: intent.intended_at,
            stored_at: now,
            due_after: intent.due_after.min(POSTPONE_MAX),
            reference: intent.reference.clone(),
            kind: intent.kind.clone(),
            task_id: None,
        }
    }

    /// Returns the intent for lists.
    fn open(&self, now: Duration) -> OpenIntent {
        let open_for = now.saturating_sub(self.stored_at);
        OpenIntent {
            reference: self.reference.clone(),
            kind: self.kind.clone(),
            ..OpenIntent::new(self.number, self.submit, self.intended_at, open_for)
        }
    }

    /// Returns what a delivery that names the intent carries (A15).
    fn known(&self) -> KnownSubmit {
        KnownSubmit {
            reference: self.reference.clone(),
            kind: Some(self.kind.clone()),
        }
    }

    /// Returns the task for a delivery that names the intent (A12).
    fn to_task(&self, task_id: &TaskId) -> StoredTask {
        StoredTask {
            number: 0,
            task_id: task_id.clone(),
            submit: Some(self.submit),
            kind: self.kind.clone(),
            expected_since: self.stored_at,
            due_at: self.stored_at + self.due_after,
            is_asked: false,
            answers: 0,
            epoch: 0,
        }
    }
}

/// A task whose callbacks are expected.
struct StoredTask {
    /// The store's number, which it gives when it adds the task.
    number: u64,
    /// The task.
    task_id: TaskId,
    /// The submit that created it.
    submit: Option<SubmitId>,
    /// Its kind.
    kind: TaskKind,
    /// The time since which it is expected.
    expected_since: Duration,
    /// The time at which it is due. Requests for due tasks are ordered by it (L3).
    due_at: Duration,
    /// Whether `due_at` is the end of a lease.
    is_asked: bool,
    /// The number of answers from the provider about it.
    answers: u32,
    /// The epoch of the latest ticket; zero before the first.
    epoch: u32,
}

impl StoredTask {
    /// Creates a task that is expected from now on.
    fn new(task: &ExpectedTask, now: Duration) -> Self {
        Self {
            number: 0,
            task_id: task.task_id.clone(),
            submit: task.submit,
            kind: task.kind.clone(),
            expected_since: now,
            due_at: now + task.due_after.min(POSTPONE_MAX),
            is_asked: false,
            answers: 0,
            epoch: 0,
        }
    }

    /// Returns the task for lists (L11).
    fn expectation(&self, now: Duration) -> Expectation {
        let age = now.saturating_sub(self.expected_since);
        let poll = match self.due_at.checked_sub(now).filter(|left| !left.is_zero()) {
            Some(holds_for) if self.is_asked => PollState::Asked { holds_for },
            Some(due_in) => PollState::Waiting { due_in },
            None => PollState::Due {
                due_for: now.saturating_sub(self.due_at),
            },
        };
        Expectation {
            answers: self.answers,
            ..Expectation::new(self.number, age, poll)
        }
    }

    /// Takes the task. The epoch must be greater than that of any earlier ticket of the task,
    /// including those from before it was forgotten (L6).
    fn take(&mut self, epoch: u32, lease: Duration, now: Duration) -> DueTask {
        self.epoch = epoch;
        self.is_asked = true;
        self.due_at = now + lease.clamp(LEASE_MIN, LEASE_MAX);
        let task_id = self.task_id.clone();
        let age = now.saturating_sub(self.expected_since);
        DueTask {
            submit: self.submit,
            kind: self.kind.clone(),
            ..DueTask::new(DueTicket { task_id, epoch }, age, self.answers)
        }
    }

    /// Whether this is the ticket of the latest lease.
    fn is_held_by(&self, ticket: &DueTicket) -> bool {
        self.task_id == ticket.task_id && self.epoch == ticket.epoch && self.epoch > 0
    }

    /// Makes the task due again after a pause. Returns false if the ticket is lost.
    fn postpone(&mut self, ticket: &DueTicket, postponement: Postponement, now: Duration) -> bool {
        let is_held = self.is_held_by(ticket);
        if is_held {
            self.due_at = now + postponement.after.min(POSTPONE_MAX);
            self.is_asked = false;
            self.answers += u32::from(postponement.is_answered);
        }
        is_held
    }
}
