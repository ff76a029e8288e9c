//! Waiting for the end of a task by polling. When to poll is decided in `course.rs`.

mod course;
mod error;
mod updates;

use std::future::IntoFuture;
use std::time::Duration;

use suno_types::{TaskId, TaskRecord};

use self::course::Plan;
pub use self::error::{TaskFailure, WaitError};
pub use self::updates::{Updates, Waiting};
use crate::Client;

impl Client {
    /// Waits until the task has ended, for at most `deadline`. Await what comes back, or take its
    /// [`updates`](Wait::updates).
    ///
    /// It polls at once and then about every 30 s. Another process can go on waiting: all that is
    /// needed is the task id. Dropping it stops polling and does nothing to the task.
    ///
    /// ```no_run
    /// # async fn example(client: suno_client::Client, task: suno_types::TaskId)
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
            plan: Plan {
                deadline,
                interval: Duration::from_secs(30),
                first_poll_after: Duration::ZERO,
                visible_within: Duration::from_secs(120),
                errors_max: 6,
            },
        }
    }
}

/// A wait that has not begun. Await it for the end alone.
#[derive(Debug, Clone)]
#[must_use = "a wait does nothing unless it is awaited"]
pub struct Wait {
    client: Client,
    task: TaskId,
    plan: Plan,
}

impl Wait {
    /// Sets the time between polls, to which up to a tenth is added at random. Default 30 s, which
    /// is what the provider advises (`PROTOCOL.md 4.13`).
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.plan.interval = interval;
        self
    }

    /// Sets when the first poll is made; default at once. Right after a submit there is nothing to
    /// hear for the first 20 s (`PROTOCOL.md 4.14`).
    pub fn with_first_poll_after(mut self, time: Duration) -> Self {
        self.plan.first_poll_after = time;
        self
    }

    /// Sets how long the provider may not know the task yet, from the start of the wait. Default
    /// 120 s.
    pub fn with_visible_within(mut self, time: Duration) -> Self {
        self.plan.visible_within = time;
        self
    }

    /// Sets how many polls in a row may fail before the wait ends. A poll fails when it was tried
    /// as often as [`Retry`](crate::Retry) says. Default 6.
    pub fn with_errors_max(mut self, polls: u32) -> Self {
        self.plan.errors_max = polls;
        self
    }

    /// What is heard of the task, as a stream: a record each time it has changed. The last item is
    /// the record of the finished task, or an error.
    pub fn updates(self) -> Updates {
        Updates::start(self.client, self.task, self.plan)
    }
}

impl IntoFuture for Wait {
    type Output = Result<TaskRecord, WaitError>;
    type IntoFuture = Waiting;

    fn into_future(self) -> Waiting {
        Waiting::from(self.updates())
    }
}
