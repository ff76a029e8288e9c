//! Implements handlers for pointers to handlers, and for several handlers in a row.

use std::sync::Arc;

use async_trait::async_trait;

use super::{CallbackHandler, DeadLetter, GivenUpTask, HandlerError};
use crate::event::Event;

/// Implements each method by calling it of other handlers, one after the other, until one fails.
macro_rules! forward {
    ([$($generics:tt)*] $type:ty, $this:ident => $($handler:expr),+) => {
        #[async_trait]
        impl<$($generics)*> CallbackHandler for $type {
            async fn on_event(&self, event: &Event) -> Result<(), HandlerError> {
                let $this = self;
                $(CallbackHandler::on_event(&$handler, event).await?;)+
                Ok(())
            }

            async fn on_complete(&self, event: &Event) -> Result<(), HandlerError> {
                self.on_event(event).await
            }

            async fn on_failed(&self, event: &Event) -> Result<(), HandlerError> {
                self.on_event(event).await
            }

            async fn on_dead_letter(&self, letter: &DeadLetter) {
                let $this = self;
                $(CallbackHandler::on_dead_letter(&$handler, letter).await;)+
            }

            async fn on_given_up(&self, task: &GivenUpTask) {
                let $this = self;
                $(CallbackHandler::on_given_up(&$handler, task).await;)+
            }
        }
    };
}

forward!([H: CallbackHandler + ?Sized] Arc<H>, this => **this);
forward!([H: CallbackHandler + ?Sized] Box<H>, this => **this);
forward!([A: CallbackHandler, B: CallbackHandler] (A, B), this => this.0, this.1);
forward!(
    [A: CallbackHandler, B: CallbackHandler, C: CallbackHandler] (A, B, C),
    this => this.0, this.1, this.2
);
forward!(
    [A: CallbackHandler, B: CallbackHandler, C: CallbackHandler, D: CallbackHandler] (A, B, C, D),
    this => this.0, this.1, this.2, this.3
);
