//! How the provider answers a submit or a poll, and what happens before the answer.

use std::time::Duration;

use serde_json::Value;

use crate::task::attempt::AttemptInFlight;

/// What is to be done about a submit or a poll, in this order.
pub(crate) struct ReplyPlan {
    /// A callback to deliver before the answer.
    pub(crate) early: Option<AttemptInFlight>,
    /// How long to hold the answer back, in real time.
    pub(crate) delay: Duration,
    pub(crate) reply: Reply,
    /// The task that a submit created.
    pub(crate) task: Option<CreatedTask>,
}

/// What an observer of submits is told of the task.
pub(crate) struct CreatedTask {
    pub(crate) task_id: String,
    pub(crate) callback_url: String,
}

/// How a request of the API is answered.
pub(crate) enum Reply {
    /// An envelope, with this HTTP status.
    Envelope(u16, Value),
    /// The page of a content network that could not reach the provider.
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
