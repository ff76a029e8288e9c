//! Searches events by more than a store can filter by, in steps of bounded work.

use suno_types::{Code, Product, TaskId};

use crate::key::{EventId, Reference};
use crate::store::{EventFilter, EventRecord, IdempotencyStore, ListRequest, Page, StoreError};

/// The maximum number of events that one step asks a store for.
const EVENTS_OF_STEP_MAX: u32 = 1_024;

/// The conditions for events. Without any, it matches all events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Search {
    /// What the store filters by.
    pub filter: EventFilter,
    /// Only events of tasks that make this.
    pub product: Option<Product>,
    /// Only events with this code.
    pub code: Option<Code>,
    /// Only events of this task.
    pub task: Option<TaskId>,
    /// Only events of the submit with this name.
    pub reference: Option<Reference>,
}

impl Search {
    /// Searches for events that match a filter.
    #[must_use]
    pub fn new(filter: EventFilter) -> Self {
        Self {
            filter,
            ..Self::default()
        }
    }

    /// Adds the condition that the task makes this.
    #[must_use]
    pub fn with_product(mut self, product: Option<Product>) -> Self {
        self.product = product;
        self
    }

    /// Adds the condition that events have this code.
    #[must_use]
    pub fn with_code(mut self, code: Option<Code>) -> Self {
        self.code = code;
        self
    }

    /// Adds the condition that events are of this task.
    #[must_use]
    pub fn with_task(mut self, task: Option<TaskId>) -> Self {
        self.task = task;
        self
    }

    /// Adds the condition that events belong to the submit with this name.
    #[must_use]
    pub fn with_reference(mut self, reference: Option<Reference>) -> Self {
        self.reference = reference;
        self
    }

    /// Whether an event matches.
    #[must_use]
    pub fn contains(&self, event: &EventRecord) -> bool {
        let (state, stage) = (event.state, event.key.stage());
        let is_of = |task: &TaskId| task == event.key.task_id();
        self.filter.contains(state, stage, event.received_at)
            && self.product.as_ref().is_none_or(|it| *it == event.product)
            && self.code.is_none_or(|code| code == event.code)
            && self.task.as_ref().is_none_or(is_of)
            && (self.reference.is_none() || self.reference == event.reference)
    }

    /// Returns the next events after `after`, in the order of arrival and without their bodies: at most
    /// `events_max`. One call does a bounded amount of work, so that a page may be short or empty
    /// although more follow: its cursor says so.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store cannot be read.
    pub async fn page(
        &self,
        store: &dyn IdempotencyStore,
        after: Option<EventId>,
        events_max: u32,
    ) -> Result<Page<EventRecord>, StoreError> {
        if let Some(task) = &self.task {
            // The events of a task are few.
            let events = store.find(task).await?.into_iter();
            let events = events.filter(|event| Some(event.id) > after && self.contains(event));
            let events = events.map(|mut event| {
                event.raw = None;
                event
            });
            return Ok(Page::first_of(events, events_max, |event| event.id));
        }
        let is_for_store = *self == Self::new(self.filter.clone());
        let step = match is_for_store {
            true => events_max,
            false => EVENTS_OF_STEP_MAX,
        };
        let mut request = ListRequest::first(step, self.filter.clone());
        request.after = after;
        let page = store.list(&request).await?;
        let mut events: Vec<_> = page.records;
        events.retain(|event| self.contains(event));
        let mut next = page.next;
        if events.len() > events_max as usize {
            events.truncate(events_max as usize);
            next = events.last().map(|event| event.id).or(after);
        }
        Ok(Page::new(events, next))
    }
}

/// Returns the event with a number, with its body, or `None` if there is none.
///
/// # Errors
///
/// Returns [`StoreError`] if the store cannot be read.
pub async fn find_event(
    store: &dyn IdempotencyStore,
    id: EventId,
) -> Result<Option<EventRecord>, StoreError> {
    let Some(before) = id.0.checked_sub(1) else {
        return Ok(None);
    };
    let request = ListRequest::first(1, EventFilter::default()).with_after(EventId(before));
    let page = store.list(&request).await?;
    let Some(listed) = page.records.first().filter(|listed| listed.id == id) else {
        return Ok(None);
    };
    let events = store.find(listed.key.task_id()).await?;
    Ok(events.into_iter().find(|event| event.id == id))
}
