//! What a user of this crate implements: what to do at each stage.

mod error;
mod forward;
mod function;
mod timeout;

use async_trait::async_trait;
use suno_types::Stage;

pub use error::HandlerError;
pub(crate) use error::Verdict;
pub use function::handler_fn;
pub use timeout::with_timeout;

use crate::event::Event;

/// What to do at the stages of a task.
///
/// A handler runs at least once for each event: again if it failed, or if the process died before
/// its success was recorded. Make the effect idempotent by [`Event::key`], such as by a unique
/// column with the task and the stage.
///
/// `on_complete` and `on_failed` must be written, because a task whose failure nobody handles waits
/// for ever; the other stages are passed over unless they are written.
///
/// A tuple of two to four handlers is a handler: it runs them one after the other, and the first
/// failure is the result, so that those behind it are not run. A retry runs **all** of them again:
/// each must be idempotent by itself. `Arc<H>` and `Box<H>` are handlers too, also of
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
#[async_trait]
pub trait CallbackHandler: Send + Sync + 'static {
    /// Titles, tags and lyrics are there; no audio yet.
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

    /// The task failed. If the code's meaning is not that the credits were refunded, they were not.
    async fn on_failed(&self, event: &Event) -> Result<(), HandlerError>;

    /// A stage that this version does not know.
    async fn on_other(&self, event: &Event) -> Result<(), HandlerError> {
        let _ = event;
        Ok(())
    }
}

/// Hands an event to the method for its stage.
pub(crate) async fn handle(
    handler: &dyn CallbackHandler,
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
