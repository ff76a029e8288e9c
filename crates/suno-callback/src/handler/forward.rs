//! Implements handlers for pointers to handlers, and for several handlers in a row.

use std::sync::Arc;

use async_trait::async_trait;

use super::{CallbackHandler, DeadLetter, GivenUpTask, HandlerError};
use crate::event::Event;

/// Implements each method by calling the same method of other handlers, one after the other,
/// until one fails.
macro_rules! forward {
    ([$($generics:tt)*] $type:ty, $this:ident => $($handler:expr),+) => {
        forward!(
            @methods [$($generics)*] $type, $this => [$($handler),+]
            on_text on_first on_complete on_failed on_other
        );
    };
    (@methods [$($generics:tt)*] $type:ty, $this:ident => $handlers:tt $($method:ident)+) => {
        #[async_trait]
        impl<$($generics)*> CallbackHandler for $type {
            $(
                async fn $method(&self, event: &Event) -> Result<(), HandlerError> {
                    let $this = self;
                    forward!(@calls $method, event, $handlers)
                }
            )+

            async fn on_dead_letter(&self, letter: &DeadLetter) {
                let $this = self;
                forward!(@tells on_dead_letter, letter, $handlers)
            }

            async fn on_given_up(&self, task: &GivenUpTask) {
                let $this = self;
                forward!(@tells on_given_up, task, $handlers)
            }
        }
    };
    (@calls $method:ident, $event:ident, [$($handler:expr),+]) => {{
        $($handler.$method($event).await?;)+
        Ok(())
    }};
    (@tells $method:ident, $what:ident, [$($handler:expr),+]) => {{
        $($handler.$method($what).await;)+
    }};
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
