//! The answer to a submit or a poll, and what happens before it is sent.

use std::time::Duration;

use serde_json::Value;

use crate::task::attempt::AttemptInFlight;

/// The steps that answer a submit or a poll, in this order.
pub(crate) struct ReplyPlan {
    /// A callback to deliver before the answer.
    pub(crate) early: Option<AttemptInFlight>,
    /// The delay before the answer, in real time.
    pub(crate) delay: Duration,
    pub(crate) reply: Reply,
    /// The task that a submit created.
    pub(crate) task: Option<CreatedTask>,
}

/// The parts of a created task that an observer of submits receives.
pub(crate) struct CreatedTask {
    pub(crate) task_id: String,
    pub(crate) callback_url: Option<String>,
}

/// An answer of the API.
pub(crate) enum Reply {
    /// An envelope with this HTTP status.
    Envelope(u16, Value),
    /// The HTML page of a proxy that cannot reach the provider.
    Html502,
    /// The connection is closed without an answer.
    Cut,
}

impl From<Reply> for ReplyPlan {
    fn from(reply: Reply) -> Self {
        Self {
            early: None,
            delay: Duration::ZERO,
            reply,
            task: None,
        }
    }
}
