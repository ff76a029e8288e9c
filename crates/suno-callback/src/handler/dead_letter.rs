//! What a handler is told when something ends without success.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use suno_types::TaskId;

use crate::event::Event;
use crate::key::{EventId, EventKey};
use crate::store::DeadCause;

/// An event that is not retried any more. It is kept, and a person can redrive it.
#[derive(Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The store's number of the event.
    pub id: EventId,
    /// The task and the stage.
    pub key: EventKey,
    /// What made it a dead letter.
    pub cause: DeadCause,
    /// Why the last attempt failed, for people.
    pub reason: String,
    /// How often it was attempted.
    pub attempts: u32,
    pub(crate) event: Option<Arc<Event>>,
}

impl DeadLetter {
    /// What the provider said, if it can be decoded.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        self.event.as_deref()
    }
}

/// Without what the provider said.
impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("id", &self.id)
            .field("key", &self.key)
            .field("cause", &self.cause)
            .field("reason", &self.reason)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

/// A submitted task about which the provider is not asked any more, although it has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GivenUpTask {
    /// The task.
    pub task_id: TaskId,
    /// How long its callbacks were expected.
    pub age: Duration,
    /// How often the provider has answered that it has not ended, or that it does not know the task.
    pub answers: u32,
}
