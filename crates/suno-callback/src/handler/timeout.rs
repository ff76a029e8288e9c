//! Limits the time that a handler may take.

use std::time::Duration;

use async_trait::async_trait;

use super::{CallbackHandler, DeadLetter, GivenUpTask, HandlerError};
use crate::event::Event;

/// A handler that is cancelled if one event takes longer than `limit`. That counts as a failure,
/// which is retried with back-off.
///
/// To cancel means to drop the handler's future at an await point. Work that it started elsewhere,
/// such as a request to another service, may continue. A handler that never awaits cannot be
/// cancelled.
pub fn with_timeout(handler: impl CallbackHandler, limit: Duration) -> impl CallbackHandler {
    WithTimeout { handler, limit }
}

struct WithTimeout<H> {
    handler: H,
    limit: Duration,
}

#[async_trait]
impl<H: CallbackHandler> CallbackHandler for WithTimeout<H> {
    async fn on_event(&self, event: &Event) -> Result<(), HandlerError> {
        match tokio::time::timeout(self.limit, self.handler.on_event(event)).await {
            Ok(result) => result,
            Err(_) => Err(HandlerError::retry(format!(
                "the handler took longer than {:?}",
                self.limit
            ))),
        }
    }

    async fn on_complete(&self, event: &Event) -> Result<(), HandlerError> {
        self.on_event(event).await
    }

    async fn on_failed(&self, event: &Event) -> Result<(), HandlerError> {
        self.on_event(event).await
    }

    async fn on_dead_letter(&self, letter: &DeadLetter) {
        self.handler.on_dead_letter(letter).await;
    }

    async fn on_given_up(&self, task: &GivenUpTask) {
        self.handler.on_given_up(task).await;
    }
}
