//! Turns a function into a handler.

use std::future::Future;

use async_trait::async_trait;

use super::{CallbackHandler, HandlerError};
use crate::event::Event;

/// A handler that calls one function for every event.
pub fn handler_fn<F, R>(function: F) -> impl CallbackHandler
where
    F: Fn(Event) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    HandlerFn(function)
}

struct HandlerFn<F>(F);

#[async_trait]
impl<F, R> CallbackHandler for HandlerFn<F>
where
    F: Fn(Event) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    async fn on_event(&self, event: &Event) -> Result<(), HandlerError> {
        self.0(event.clone()).await
    }

    async fn on_complete(&self, event: &Event) -> Result<(), HandlerError> {
        self.on_event(event).await
    }

    async fn on_failed(&self, event: &Event) -> Result<(), HandlerError> {
        self.on_event(event).await
    }
}
