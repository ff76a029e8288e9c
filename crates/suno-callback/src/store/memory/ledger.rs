//! The ledger of the store in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use jiff::Timestamp;
use suno_types::TaskId;

use super::{Inner, MemoryStore};
use crate::delivery::Delivery;
use crate::store::{
    Due, DueRequest, DueTicket, EventState, Expected, Held, Intent, StoreError, SubmitId,
    TaskLedger,
};

/// What was submitted.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    intents: HashMap<SubmitId, Intent>,
    tasks: BTreeMap<TaskId, Task>,
    /// The tasks in the order in which they are due.
    by_due: BTreeSet<(Timestamp, TaskId)>,
}

#[derive(Debug)]
struct Task {
    expected_at: Timestamp,
    due_at: Timestamp,
    epoch: u32,
}

impl Ledger {
    /// Closes the intent that a delivery names.
    pub(super) fn meet(&mut self, delivery: &Delivery) {
        let (Some(submit), Some(task_id)) = (delivery.submit, delivery.task_id()) else {
            return;
        };
        if let Some(intent) = self.intents.remove(&submit) {
            self.add(task_id.clone(), intent.intended_at, intent.due_at);
        }
    }

    pub(super) fn forget_intents(&mut self, before: Timestamp) {
        self.intents
            .retain(|_, intent| intent.intended_at >= before);
    }

    fn add(&mut self, task_id: TaskId, expected_at: Timestamp, due_at: Timestamp) {
        if self.tasks.contains_key(&task_id) {
            return;
        }
        self.by_due.insert((due_at, task_id.clone()));
        let task = Task {
            expected_at,
            due_at,
            epoch: 0,
        };
        self.tasks.insert(task_id, task);
    }

    fn remove(&mut self, task_id: &TaskId) {
        if let Some(task) = self.tasks.remove(task_id) {
            self.by_due.remove(&(task.due_at, task_id.clone()));
        }
    }

    /// Whether the ticket is the latest one of a task that is still expected.
    fn holds(&self, ticket: &DueTicket) -> bool {
        let task = self.tasks.get(&ticket.task_id);
        task.is_some_and(|task| task.epoch == ticket.epoch)
    }

    fn set_due(&mut self, task_id: &TaskId, due_at: Timestamp) {
        if let Some(task) = self.tasks.get_mut(task_id) {
            self.by_due.remove(&(task.due_at, task_id.clone()));
            task.due_at = due_at;
            self.by_due.insert((due_at, task_id.clone()));
        }
    }

    fn take(&mut self, task_id: TaskId, until: Timestamp) -> Option<Due> {
        self.set_due(&task_id, until);
        let task = self.tasks.get_mut(&task_id)?;
        task.epoch += 1;
        let ticket = DueTicket {
            task_id,
            epoch: task.epoch,
        };
        Some(Due::new(ticket, task.expected_at))
    }
}

impl Inner {
    /// Whether a task has all that can be learned of it by asking.
    fn is_decided(&self, task_id: &TaskId) -> bool {
        let ids = self.tasks.get(task_id).into_iter().flatten();
        let mut last = ids
            .filter_map(|id| self.events.get(id))
            .filter(|event| event.key.stage().is_terminal());
        match (last.next(), last.next()) {
            (Some(only), None) => only.state != EventState::Dead,
            _ => false,
        }
    }
}

#[async_trait]
impl TaskLedger for MemoryStore {
    async fn intend(&self, intent: Intent) -> Result<(), StoreError> {
        self.inner().ledger.intents.insert(intent.submit, intent);
        Ok(())
    }

    async fn withdraw(&self, submit: SubmitId) -> Result<(), StoreError> {
        self.inner().ledger.intents.remove(&submit);
        Ok(())
    }

    async fn open_intents(
        &self,
        before: Timestamp,
        intents_max: u32,
    ) -> Result<Vec<Intent>, StoreError> {
        let inner = self.inner();
        let open = inner.ledger.intents.values();
        let mut open: Vec<Intent> = open
            .filter(|intent| intent.intended_at < before)
            .copied()
            .collect();
        open.sort_by_key(|intent| (intent.intended_at, intent.submit));
        open.truncate(intents_max as usize);
        Ok(open)
    }

    async fn expect(&self, expected: Expected) -> Result<(), StoreError> {
        let ledger = &mut self.inner().ledger;
        if let Some(submit) = expected.submit {
            ledger.intents.remove(&submit);
        }
        ledger.add(expected.task_id, expected.expected_at, expected.due_at);
        Ok(())
    }

    async fn due(&self, request: DueRequest) -> Result<Vec<Due>, StoreError> {
        let inner = &mut *self.inner();
        let by_due = inner.ledger.by_due.iter();
        let due: Vec<TaskId> = by_due
            .take_while(|(due_at, _)| *due_at <= request.now)
            .map(|(_, task_id)| task_id.clone())
            .collect();
        let mut taken = Vec::new();
        for task_id in due {
            if taken.len() >= request.tasks_max {
                break;
            }
            if inner.is_decided(&task_id) {
                inner.ledger.remove(&task_id);
            } else {
                taken.extend(inner.ledger.take(task_id, request.until()));
            }
        }
        Ok(taken)
    }

    async fn postpone(&self, ticket: &DueTicket, until: Timestamp) -> Result<Held, StoreError> {
        let ledger = &mut self.inner().ledger;
        if !ledger.holds(ticket) {
            return Ok(Held::Lost);
        }
        ledger.set_due(&ticket.task_id, until);
        Ok(Held::Held)
    }

    async fn finish(&self, ticket: &DueTicket) -> Result<Held, StoreError> {
        let ledger = &mut self.inner().ledger;
        if !ledger.holds(ticket) {
            return Ok(Held::Lost);
        }
        ledger.remove(&ticket.task_id);
        Ok(Held::Held)
    }
}
