//! A wait under way. It sleeps, polls, and yields records that have changed.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use suno_types::{TaskId, TaskKind, TaskRecord, TaskStatus};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use super::course::{Course, Heard, Plan, Step};
use super::{TaskFailure, WaitError};
use crate::time::after;
use crate::{Client, ClientError, ErrorKind};

/// The future of a [`Wait`](crate::Wait): the record of the finished task, or a [`WaitError`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct WaitFuture(Updates);

impl From<Updates> for WaitFuture {
    fn from(updates: Updates) -> Self {
        Self(updates)
    }
}

impl Future for WaitFuture {
    type Output = Result<TaskRecord, WaitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if let News::End(end) = ready!(self.0.poll_news(cx)) {
                return Poll::Ready(end);
            }
        }
    }
}

/// The stream of a task's records, from [`Wait::updates`](crate::Wait::updates).
#[must_use = "streams do nothing unless polled"]
pub struct Updates {
    client: Client,
    task: TaskId,
    kind: TaskKind,
    course: Course,
    started: Instant,
    state: State,
    /// The last record that was yielded, to detect a change.
    seen: Option<LastUpdate>,
}

type Asking = Pin<Box<dyn Future<Output = Result<Option<TaskRecord>, ClientError>> + Send>>;

enum State {
    Asleep(Pin<Box<Sleep>>),
    /// Boxed, because it is much larger and most waits are asleep.
    Asking(Asking),
    Ended,
}

/// The parts of a record that are kept to detect a change. Whole records of thousands of waits
/// would need much memory.
#[derive(Debug, PartialEq)]
struct LastUpdate {
    status: TaskStatus,
    tracks: usize,
    results_ready: usize,
}

impl LastUpdate {
    fn of(record: &TaskRecord) -> Self {
        Self {
            status: record.status.clone(),
            tracks: record.tracks.len(),
            results_ready: record.results().count(),
        }
    }
}

enum News {
    Running(TaskRecord),
    End(Result<TaskRecord, WaitError>),
}

impl Updates {
    /// Starts a wait now.
    pub(super) fn start(client: Client, task: TaskId, kind: TaskKind, plan: Plan) -> Self {
        let course = Course::new(plan);
        let started = Instant::now();
        Self {
            state: State::Asleep(Box::pin(sleep_until(after(started, course.first())))),
            client,
            task,
            kind,
            course,
            started,
            seen: None,
        }
    }

    /// Waits for the next update; `None` after the last one. It is what `StreamExt::next` does, for
    /// programs that use no crate for streams.
    ///
    /// Dropping the future loses no update.
    ///
    /// ```no_run
    /// # async fn example(client: suno_client::Client, task: suno_client::suno_types::TaskId)
    /// #     -> Result<(), suno_client::WaitError> {
    /// use std::time::Duration;
    ///
    /// let mut updates = client.wait(&task, Duration::from_secs(15 * 60)).updates();
    /// while let Some(record) = updates.next().await {
    ///     println!("{}", record?.status);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next(&mut self) -> Option<Result<TaskRecord, WaitError>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The next change, or the end. It must not be polled after the end.
    fn poll_news(&mut self, cx: &mut Context<'_>) -> Poll<News> {
        loop {
            match &mut self.state {
                State::Asleep(sleep) => {
                    ready!(sleep.as_mut().poll(cx));
                    self.state = State::Asking(self.ask());
                }
                State::Asking(asking) => {
                    let polled = ready!(asking.as_mut().poll(cx));
                    if let Some(news) = self.take_in(polled) {
                        return Poll::Ready(news);
                    }
                }
                State::Ended => return Poll::Pending,
            }
        }
    }

    /// A poll that ends at the deadline at the latest.
    fn ask(&self) -> Asking {
        let (client, task, kind) = (self.client.clone(), self.task.clone(), self.kind.clone());
        let until = after(self.started, self.course.deadline());
        Box::pin(async move {
            let late = ClientError::new(ErrorKind::TimedOut, "the poll did not end in time");
            timeout_at(until, client.record_of(&task, &kind))
                .await
                .unwrap_or_else(|_| Err(late.with_outlook(true, false)))
        })
    }

    fn take_in(&mut self, polled: Result<Option<TaskRecord>, ClientError>) -> Option<News> {
        let now = self.started.elapsed();
        let step = self
            .course
            .hear(now, Heard::of(&polled, &self.kind), fastrand::f64());
        if let Err(err) = &polled {
            tracing::debug!(task = %self.task, kind = err.kind().as_str(), "a poll failed");
        }
        if let Step::PollAt(time) = step {
            self.state = State::Asleep(Box::pin(sleep_until(after(self.started, time))));
            let record = polled.ok().flatten()?;
            let seen = Some(LastUpdate::of(&record));
            let is_news = seen != self.seen;
            self.seen = seen;
            return is_news.then_some(News::Running(record));
        }
        self.state = State::Ended;
        Some(News::End(self.end(step, polled)))
    }

    fn end(
        &mut self,
        step: Step,
        polled: Result<Option<TaskRecord>, ClientError>,
    ) -> Result<TaskRecord, WaitError> {
        let task_id = self.task.clone();
        match (step, polled) {
            (Step::Succeeded, Ok(Some(record))) => Ok(record),
            (Step::Failed, Ok(Some(record))) => Err(WaitError::Failed(TaskFailure::new(record))),
            (Step::WithoutResult, Ok(Some(record))) => Err(WaitError::WithoutResult {
                record: Box::new(record),
            }),
            (Step::NotVisible, _) => Err(WaitError::NotVisible { task_id }),
            (Step::CouldNotAsk, Err(source)) => Err(WaitError::CouldNotAsk { task_id, source }),
            (_, polled) => {
                let (record, source) = match polled {
                    Ok(record) => (record, None),
                    Err(err) => (None, Some(err)),
                };
                let seen = record.as_ref().map(LastUpdate::of).or(self.seen.take());
                Err(WaitError::Deadline {
                    task_id,
                    last_status: seen.map(|seen| seen.status),
                    source,
                })
            }
        }
    }
}

impl Stream for Updates {
    type Item = Result<TaskRecord, WaitError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if matches!(self.state, State::Ended) {
            return Poll::Ready(None);
        }
        self.poll_news(cx).map(|news| match news {
            News::Running(record) => Some(Ok(record)),
            News::End(end) => Some(end),
        })
    }
}

impl fmt::Debug for Updates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Updates")
            .field("task", &self.task)
            .field("course", &self.course)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use suno_types::Provider;

    use super::*;
    use crate::ApiKey;

    /// With these, 10,000 waits that are all asking take 30 MB.
    #[tokio::test]
    async fn a_wait_is_small_enough_for_ten_thousand_of_them() {
        let key = ApiKey::new("sk-canary").expect("a key");
        let client = Client::new(Provider::Kie, key).expect("a client");
        let task = TaskId::new("b36e1365439a3fa0741b1aa0fa6a34da").expect("an id");
        let updates = client.wait(&task, Duration::from_secs(1)).updates();
        assert!(
            size_of::<WaitFuture>() <= 256,
            "{}",
            size_of::<WaitFuture>()
        );
        let asking = size_of_val(&*updates.ask());
        assert!(asking <= 2560, "{asking}");
    }
}
