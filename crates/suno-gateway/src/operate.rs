//! A destination as people see it who look at it or repair it.

use async_trait::async_trait;
use suno_callback::CallbackHandler;

use crate::body::Message;
use crate::breaker::BreakerState;
use crate::course::Delivered;
use crate::destination::DestinationName;

/// A running destination: a handler with a name and a state.
#[async_trait]
pub trait Destination: CallbackHandler {
    /// Returns its name.
    fn name(&self) -> &DestinationName;

    /// Returns whether it works, is down, or is paused.
    fn state(&self) -> BreakerState;

    /// Lets the next event go at once, if it is down or paused. Returns whether anything changed.
    fn resume(&self) -> bool;

    /// Sends a message once more, marked as a replay, whatever became of its event. `replay` counts
    /// the replays of the message, from 1.
    async fn replay(&self, message: &Message, replay: u32) -> Delivered;
}
