//! The trait that users of this crate implement to act on each stage.

mod dead_letter;
mod error;
mod forward;
mod function;
mod timeout;

use async_trait::async_trait;
use suno_types::{Output, Stage};

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
/// failure is not handled. Songs that are not finished are skipped by default; for other products
/// there is a method each, which by default logs that nobody handles them. Later versions may add
/// such methods.
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

    /// Every song is ready, or some of them are and no more will come. Called only if at least one
    /// is ready. The songs of a [recovery](suno_types::Product::RECOVERY) come here too.
    async fn on_complete(&self, event: &Event) -> Result<(), HandlerError>;

    /// The task failed, whatever it was to make. The credits were not refunded, unless the code's
    /// meaning says so.
    async fn on_failed(&self, event: &Event) -> Result<(), HandlerError>;

    /// Lyrics without music ([`Output::Lyrics`]). By default, logs at WARN that they were not
    /// handled, as the next methods do for other products.
    async fn on_lyrics(&self, event: &Event) -> Result<(), HandlerError> {
        unhandled(event, "on_lyrics")
    }

    /// The WAV file of a song ([`Output::Wav`]).
    async fn on_wav(&self, event: &Event) -> Result<(), HandlerError> {
        unhandled(event, "on_wav")
    }

    /// The music video of a song ([`Output::Mp4`]).
    async fn on_mp4(&self, event: &Event) -> Result<(), HandlerError> {
        unhandled(event, "on_mp4")
    }

    /// The stems of a song ([`Output::Stems`]).
    async fn on_stems(&self, event: &Event) -> Result<(), HandlerError> {
        unhandled(event, "on_stems")
    }

    /// The notes of a song ([`Output::Midi`]).
    async fn on_midi(&self, event: &Event) -> Result<(), HandlerError> {
        unhandled(event, "on_midi")
    }

    /// Cover images of a song ([`Output::Covers`]).
    async fn on_cover(&self, event: &Event) -> Result<(), HandlerError> {
        unhandled(event, "on_cover")
    }

    /// A step on the way to a voice ([`Output::Voice`]), at any stage.
    async fn on_voice(&self, event: &Event) -> Result<(), HandlerError> {
        unhandled(event, "on_voice")
    }

    /// Anything else: a stage or a product that this version does not know, or a success in which
    /// no result was found. [`Event::raw`] is the body as it was sent. By default, logs at WARN.
    async fn on_other(&self, event: &Event) -> Result<(), HandlerError> {
        unhandled(event, "on_other")
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

/// Calls the method for the stage and the product of an event.
async fn dispatch<H: CallbackHandler + ?Sized>(
    handler: &H,
    event: &Event,
) -> Result<(), HandlerError> {
    match (event.callback().output(), event.stage()) {
        (_, Stage::Failed) => handler.on_failed(event).await,
        _ if is_empty_success(event) => handler.on_other(event).await,
        (Output::Songs(_), Stage::Text) => handler.on_text(event).await,
        (Output::Songs(_), Stage::First) => handler.on_first(event).await,
        (Output::Songs(_), Stage::Complete) => handler.on_complete(event).await,
        (Output::Lyrics(_), Stage::Complete) => handler.on_lyrics(event).await,
        (Output::Wav(_), Stage::Complete) => handler.on_wav(event).await,
        (Output::Mp4(_), Stage::Complete) => handler.on_mp4(event).await,
        (Output::Stems(_), Stage::Complete) => handler.on_stems(event).await,
        (Output::Midi(_), Stage::Complete) => handler.on_midi(event).await,
        (Output::Covers(_), Stage::Complete) => handler.on_cover(event).await,
        // A voice has steps before its end, with words of its own.
        (Output::Voice(_), _) => handler.on_voice(event).await,
        _ => handler.on_other(event).await,
    }
}

/// Whether the task succeeded, but nothing that it made was found. Without a word for the stage, it
/// cannot even be known that it succeeded.
pub(crate) fn is_empty_success(event: &Event) -> bool {
    let callback = event.callback();
    let may_be_the_end = match event.stage() {
        Stage::Complete => true,
        Stage::Other(_) => !callback.has_stage_word(),
        _ => false,
    };
    may_be_the_end && callback.results().next().is_none()
}

/// Logs a success without a result, whoever handles it: it may be a paid result that this version
/// does not understand.
pub(crate) fn warn_of_empty_success(event: &Event) {
    if is_empty_success(event) {
        let (key, product) = (event.key(), event.callback().product());
        tracing::warn!(%key, %product, "the task succeeded, but no result was found in the callback; its body is passed on as it came");
    }
}

/// Logs that nobody handles a product.
fn unhandled(event: &Event, method: &'static str) -> Result<(), HandlerError> {
    let (key, product) = (event.key(), event.callback().product());
    tracing::warn!(%key, %product, "not handled: CallbackHandler::{method} is not implemented");
    Ok(())
}
