//! The trait that users of this crate implement to act on each stage.

mod dead_letter;
mod error;
mod forward;
mod function;
mod timeout;

use async_trait::async_trait;
use suno_types::Stage;

pub use dead_letter::{DeadLetter, GivenUpTask};
pub(crate) use error::FailureAction;
pub use error::HandlerError;
pub use function::handler_fn;
pub use timeout::with_timeout;

use crate::event::Event;

/// Defines what to do at the stages of a task.
///
/// A handler runs at least once for each event: it runs again if it failed, or if the process died
/// before its success was recorded. Make the effect idempotent by [`Event::key`], for example with
/// a unique column for the task and the stage.
///
/// `on_complete` and `on_failed` are required, because a user would wait forever for a task whose
/// failure is not handled. The other stages are skipped by default.
///
/// A handler that writes into the same database as the store can record the end of the event in its
/// own transaction: see [`Event::ticket`] and [`Event::set_settled`].
///
/// A tuple of two to four handlers is a handler. It runs them one after the other and returns the
/// first failure; the handlers after it do not run. A retry runs **all** of them again, so each
/// must be idempotent on its own. `Arc<H>` and `Box<H>` are handlers too, also of
/// `dyn CallbackHandler`.
///
/// ```
/// use suno_callback::{CallbackHandler, Event, HandlerError, async_trait};
///
/// struct Library;
///
/// #[async_trait]
/// impl CallbackHandler for Library {
///     async fn on_complete(&self, event: &Event) -> Result<(), HandlerError> {
///         for track in event.tracks().iter().filter(|track| track.is_ready()) {
///             println!("{} is ready: track {}", event.task_id(), track.position + 1);
///         }
///         Ok(())
///     }
///
///     async fn on_failed(&self, event: &Event) -> Result<(), HandlerError> {
///         println!("{} failed with {}", event.task_id(), event.callback().code);
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a callback handler",
    note = "implement `CallbackHandler` with `#[async_trait]` on the impl block",
    note = "to use one closure for all stages, wrap it: `handler_fn(async |event: Event| Ok(()))`"
)]
#[async_trait]
pub trait CallbackHandler: Send + Sync + 'static {
    /// Handles an event of any kind: calls the method for its stage and product. A handler of
    /// everything, such as a forwarder, overrides this one and has the others call it.
    async fn on_event(&self, event: &Event) -> Result<(), HandlerError> {
        dispatch(self, event).await
    }

    /// Titles, tags and lyrics are available, but no audio yet.
    async fn on_text(&self, event: &Event) -> Result<(), HandlerError> {
        let _ = event;
        Ok(())
    }

    /// One track is ready; the others are not.
    async fn on_first(&self, event: &Event) -> Result<(), HandlerError> {
        let _ = event;
        Ok(())
    }

    /// Every track is ready.
    async fn on_complete(&self, event: &Event) -> Result<(), HandlerError>;

    /// The task failed. The credits were not refunded, unless the code's meaning says so.
    async fn on_failed(&self, event: &Event) -> Result<(), HandlerError>;

    /// A stage that this version does not know.
    async fn on_other(&self, event: &Event) -> Result<(), HandlerError> {
        let _ = event;
        Ok(())
    }

    /// An event is about to become a dead letter. Called at least once for each, before the store
    /// records it. By default, it logs at ERROR.
    async fn on_dead_letter(&self, letter: &DeadLetter) {
        let DeadLetter {
            id,
            key,
            cause,
            reason,
            ..
        } = letter;
        tracing::error!(event = %id, %key, %cause, reason, "dead letter: fix the cause, then redrive the event");
    }

    /// The [`Reconciler`](crate::Reconciler) gives up a task. Called at least once for each, before
    /// the store forgets the task. By default, it logs at ERROR.
    async fn on_given_up(&self, task: &GivenUpTask) {
        let GivenUpTask { task_id, age, .. } = task;
        tracing::error!(%task_id, ?age, "gave up on the task: the provider does not report that it ended");
    }
}

/// Calls the method for the stage of an event.
async fn dispatch<H: CallbackHandler + ?Sized>(
    handler: &H,
    event: &Event,
) -> Result<(), HandlerError> {
    match event.stage() {
        Stage::Text => handler.on_text(event).await,
        Stage::First => handler.on_first(event).await,
        Stage::Complete => handler.on_complete(event).await,
        Stage::Failed => handler.on_failed(event).await,
        _ => handler.on_other(event).await,
    }
}
