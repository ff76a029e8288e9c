//! Waiting for the end of a task by polling; `course.rs` decides when to poll.

mod course;
mod error;
mod updates;

use std::future::IntoFuture;
use std::time::Duration;

use suno_types::{TaskId, TaskKind, TaskRecord};

use self::course::Plan;
pub use self::error::{TaskFailure, WaitError};
pub use self::updates::{Updates, WaitFuture};
use crate::Client;

impl Client {
    /// Returns a wait for the end of a task, for at most `deadline`. Await it to get the last
    /// record, or read its [`updates`](Wait::updates).
    ///
    /// The wait polls at once and then about every [`INTERVAL`](Wait::INTERVAL). Dropping it stops
    /// the polls and does not affect the task. Another process can wait for the same task: it needs
    /// the task id only.
    ///
    /// ```no_run
    /// # async fn example(client: suno_client::Client, task: suno_client::suno_types::TaskId)
    /// #     -> Result<(), suno_client::WaitError> {
    /// use std::time::Duration;
    ///
    /// let record = client.wait(&task, Duration::from_secs(15 * 60)).await?;
    /// println!("{} tracks", record.tracks.len());
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait(&self, task: &TaskId, deadline: Duration) -> Wait {
        Wait {
            client: self.clone(),
            task: task.clone(),
            kind: TaskKind::default(),
            plan: Plan {
                deadline,
                interval: Wait::INTERVAL,
                first_poll_after: Wait::FIRST_POLL_AFTER,
                visible_within: Wait::VISIBLE_WITHIN,
                errors_max: Wait::ERRORS_MAX,
            },
        }
    }
}

/// A wait that starts when it is awaited or its updates are taken; see [`Client::wait`].
#[derive(Debug, Clone)]
#[must_use = "a wait does nothing unless it is awaited"]
pub struct Wait {
    client: Client,
    task: TaskId,
    kind: TaskKind,
    plan: Plan,
}

impl Wait {
    /// The default of [`with_interval`](Self::with_interval): 30 s, as the provider advises
    /// (`PROTOCOL.md 4.13`).
    pub const INTERVAL: Duration = Duration::from_secs(30);
    /// The default of [`with_first_poll_after`](Self::with_first_poll_after): the first poll is
    /// made at once.
    pub const FIRST_POLL_AFTER: Duration = Duration::ZERO;
    /// The default of [`with_visible_within`](Self::with_visible_within): 120 s.
    pub const VISIBLE_WITHIN: Duration = Duration::from_secs(120);
    /// The default of [`with_errors_max`](Self::with_errors_max): 6.
    pub const ERRORS_MAX: u32 = 6;

    /// Sets the kind of the task, which says where it is polled; the request of the task has a
    /// method of this name. Without it, the task makes songs by the direct route.
    pub fn with_kind(mut self, kind: TaskKind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets the time between polls, to which up to a tenth is added at random. The default is
    /// [`INTERVAL`](Self::INTERVAL).
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.plan.interval = interval;
        self
    }

    /// Sets the time before the first poll. A poll in the first 20 s after a submit brings nothing
    /// new (`PROTOCOL.md 4.14`). The default is [`FIRST_POLL_AFTER`](Self::FIRST_POLL_AFTER).
    pub fn with_first_poll_after(mut self, time: Duration) -> Self {
        self.plan.first_poll_after = time;
        self
    }

    /// Sets the time from the start of the wait in which the provider may not know the task yet.
    /// The default is [`VISIBLE_WITHIN`](Self::VISIBLE_WITHIN).
    pub fn with_visible_within(mut self, time: Duration) -> Self {
        self.plan.visible_within = time;
        self
    }

    /// Sets the number of polls in a row that end the wait if all of them fail. A poll fails after
    /// all attempts that [`Retry`](crate::Retry) allows. The default is
    /// [`ERRORS_MAX`](Self::ERRORS_MAX).
    pub fn with_errors_max(mut self, polls: u32) -> Self {
        self.plan.errors_max = polls;
        self
    }

    /// Starts the wait and returns the task's record each time it has changed, as a stream. The
    /// last item is the record of the finished task, or an error.
    pub fn updates(self) -> Updates {
        Updates::start(self.client, self.task, self.kind, self.plan)
    }
}

impl IntoFuture for Wait {
    type Output = Result<TaskRecord, WaitError>;
    type IntoFuture = WaitFuture;

    fn into_future(self) -> WaitFuture {
        WaitFuture::from(self.updates())
    }
}
