//! What an observer is told: submits, and attempts to deliver callbacks.

use std::fmt;
use std::sync::Arc;

use crate::task::attempt::Attempt;

/// One thing that an emulator did, as [`Config::with_observer`](crate::Config::with_observer) passes it
/// on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// A submit was taken or refused. Its answer follows.
    Submit(SubmitActivity),
    /// An attempt to deliver a callback has ended.
    Attempt(Attempt),
}

/// A submit, and how it is answered.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubmitActivity {
    /// When it was received, in milliseconds since 1970.
    pub unix_ms: u64,
    /// The id of the task; `None` if none was created.
    pub task_id: Option<String>,
    /// Where the callbacks of the task will be sent; `None` if none was created.
    pub callback_url: Option<String>,
    /// The HTTP status of the answer; `None` if the connection is closed without one.
    pub status: Option<u16>,
    /// The provider's code in the answer, which refuses a submit with HTTP 200; `None` if the answer
    /// has none.
    pub code: Option<u16>,
    /// The provider's message in the answer. It may repeat what was submitted.
    pub message: Option<String>,
}

/// No callback URL, which may carry a token, and no message, which may repeat what was submitted.
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

/// The function that is called with every activity.
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
