//! `suno wait`: waits for the end of a task by polling.

use std::path::PathBuf;

use futures_util::StreamExt;
use suno_client::{Client, WaitError};
use suno_types::{TaskId, TaskRecord};

use crate::failure::Failure;
use crate::output::{self, Line};
use crate::progress::Progress;
use crate::span::Span;
use crate::{provider, song};

/// Wait until a task has ended, by polling, and print what it made.
///
/// The exit code is 0 if the task is complete, and 1 if it failed or had not ended at the deadline.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  export SUNO_API_KEY=…
  suno wait 5c79f0a3b1d24e6f8a9b0c1d2e3f4a5b --deadline 10m --download songs")]
pub(crate) struct Arguments {
    /// The task
    #[arg(value_name = "TASK_ID")]
    task_id: TaskId,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    provider: provider::Arguments,
}

/// How to wait, and what to do then.
#[derive(Debug, clap::Args)]
pub(crate) struct Waiting {
    /// How long to wait at most, such as 90s, 15m or 1h
    #[arg(long, value_name = "TIME", default_value = "15m")]
    deadline: Span,
    /// How long to wait between polls; the provider advises 30s
    #[arg(long, value_name = "TIME", default_value = "30s")]
    interval: Span,
    /// Download the finished tracks into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) download: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let client = arguments.provider.client()?;
    finish(&client, &arguments.task_id, &arguments.waiting).await
}

/// Waits for a task and tells what became of it.
pub(crate) async fn finish(
    client: &Client,
    task_id: &TaskId,
    waiting: &Waiting,
) -> Result<(), Failure> {
    let progress = Progress::start();
    progress.wait_for(&format!("waiting for {task_id}"));
    let record = match watch(client, task_id, waiting, &progress).await? {
        Ok(record) => record,
        Err(err) => {
            if waiting.json
                && let Some(failure) = err.failure()
            {
                tell_failed(failure.record()).map_err(Failure::failed)?;
            }
            return Err(provider::wait_failure(err));
        }
    };
    let dir = waiting.download.as_deref();
    song::tell(client, &record, dir, waiting.json, &progress).await
}

/// Follows a task to its end, and tells each status on the way.
async fn watch(
    client: &Client,
    task_id: &TaskId,
    waiting: &Waiting,
    progress: &Progress,
) -> Result<Result<TaskRecord, WaitError>, Failure> {
    let wait = client.wait(task_id, waiting.deadline.0);
    let mut updates = wait.with_interval(waiting.interval.0).updates();
    loop {
        let record = match updates.next().await {
            Some(Ok(record)) => record,
            Some(Err(err)) => return Ok(Err(err)),
            None => return Err(Failure::failed(anyhow::anyhow!("the wait ended too early"))),
        };
        let (task_id, status) = (task_id.as_str(), record.status.as_str());
        if waiting.json {
            output::json(&Line::Progress { task_id, status }).map_err(Failure::failed)?;
        } else {
            progress.step(&format!("{task_id} {status}"));
        }
        if record.is_terminal() {
            return Ok(Ok(record));
        }
    }
}

fn tell_failed(record: &TaskRecord) -> std::io::Result<()> {
    output::json(&Line::Finished {
        task_id: record.task_id.as_str(),
        stage: "failed",
        code: record.error_code.map(|code| code.0),
        tracks: Vec::new(),
    })
}
