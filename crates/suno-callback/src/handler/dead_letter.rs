//! Notifications for handlers about events and tasks that ended without success.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use suno_types::TaskId;

use crate::event::Event;
use crate::key::{EventId, EventKey};
use crate::store::DeadCause;

/// An event that is not retried any more. It is kept, and can be redriven.
#[derive(Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The store's number of the event.
    pub id: EventId,
    /// The task and the stage.
    pub key: EventKey,
    /// What made it a dead letter.
    pub cause: DeadCause,
    /// The reason why the last attempt failed, for people.
    pub reason: String,
    /// The number of attempts.
    pub attempts: u32,
    pub(crate) event: Option<Arc<Event>>,
}

impl DeadLetter {
    /// The callback, if it can be decoded.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        self.event.as_deref()
    }
}

/// Leaves out the callback.
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

/// A submitted task that has not ended and about which the provider is not asked any more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GivenUpTask {
    /// The task.
    pub task_id: TaskId,
    /// The time for which its callbacks were expected.
    pub age: Duration,
    /// The number of times the provider answered that the task has not ended or is unknown.
    pub answers: u32,
}
