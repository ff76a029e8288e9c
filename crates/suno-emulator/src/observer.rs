//! The activities that an observer receives: submits, and attempts to deliver callbacks.

use std::fmt;
use std::sync::Arc;

use crate::task::attempt::Attempt;

/// One activity of an emulator, as it is passed to
/// [`Config::with_observer`](crate::Config::with_observer).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// A submit was accepted or refused. The answer is sent after the observer returns.
    Submit(SubmitActivity),
    /// An attempt to deliver a callback ended.
    Attempt(Attempt),
}

/// A submit and its answer.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubmitActivity {
    /// When it was received, in milliseconds since 1970.
    pub unix_ms: u64,
    /// The id of the task, or `None` if none was created.
    pub task_id: Option<String>,
    /// The callback URL of the task, or `None` if none was created.
    pub callback_url: Option<String>,
    /// The HTTP status of the answer, or `None` if the connection is closed without one.
    pub status: Option<u16>,
    /// The provider's code in the answer, which can refuse a submit with HTTP 200. `None` if the
    /// answer has no code.
    pub code: Option<u16>,
    /// The provider's message in the answer. It may repeat parts of the submit.
    pub message: Option<String>,
}

/// Omits the callback URL, which may carry a token, and the message, which may repeat the submit.
impl fmt::Debug for SubmitActivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmitActivity")
            .field("unix_ms", &self.unix_ms)
            .field("task_id", &self.task_id)
            .field("status", &self.status)
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

/// The function that receives every activity.
#[derive(Clone)]
pub(crate) struct Observer(Arc<dyn Fn(&Activity) + Send + Sync>);

impl Observer {
    pub(crate) fn new(observe: impl Fn(&Activity) + Send + Sync + 'static) -> Self {
        Self(Arc::new(observe))
    }

    pub(crate) fn observe(&self, activity: &Activity) {
        (self.0)(activity);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer(…)")
    }
}
