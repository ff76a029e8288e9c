//! Reports of attempts and of changes to a destination's state, beside the result of a handler.

use std::sync::Arc;

use suno_callback::EventKey;

use crate::attempt::Attempt;
use crate::breaker::Transition;
use crate::destination::DestinationName;
use crate::signing::MessageId;

/// Receives every attempt and every change of state: for a store, metrics or a page.
///
/// # Contract
///
/// * Both methods return at once. They are called on the task that handles the event.
/// * Neither may panic.
pub trait Observer: Send + Sync + 'static {
    /// An attempt has ended. `key` is the task, the stage and the revision of its event.
    fn on_attempt(&self, id: &MessageId, key: &EventKey, attempt: &Attempt);

    /// A destination went down, was paused, or works again.
    fn on_transition(&self, destination: &DestinationName, transition: Transition);
}

/// Several observers, which are told in their order.
impl Observer for Vec<Arc<dyn Observer>> {
    fn on_attempt(&self, id: &MessageId, key: &EventKey, attempt: &Attempt) {
        self.iter().for_each(|one| one.on_attempt(id, key, attempt));
    }

    fn on_transition(&self, destination: &DestinationName, transition: Transition) {
        self.iter()
            .for_each(|one| one.on_transition(destination, transition));
    }
}
