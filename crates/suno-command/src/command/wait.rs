//! `suno wait`: polls a task until it ends.

use std::path::PathBuf;

use anyhow::anyhow;
use suno_client::{Client, WaitError};
use suno_types::{TaskId, TaskRecord};

use crate::failure::Failure;
use crate::output::{self, Line};
use crate::progress::Progress;
use crate::shutdown::Shutdown;
use crate::span::Span;
use crate::{advice, provider, song};

/// Wait until a task ends, by polling, and print the result.
///
/// The exit code is 0 if the task completed, and 1 if it failed or was still running at the
/// deadline.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  export SUNO_API_KEY=…
  suno wait 5c79f0a3b1d24e6f8a9b0c1d2e3f4a5b --deadline 10m --download songs")]
pub(crate) struct Arguments {
    /// Task id
    #[arg(value_name = "TASK_ID")]
    task_id: TaskId,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    provider: provider::Arguments,
}

/// The options for waiting, and for what follows.
#[derive(Debug, clap::Args)]
pub(crate) struct Waiting {
    /// Maximum time to wait, such as 90s, 15m or 1h
    #[arg(long, value_name = "TIME", default_value = "15m")]
    deadline: Span,
    /// Time between polls; the provider recommends 30s
    #[arg(long, value_name = "TIME", default_value = "30s")]
    interval: Span,
    /// Download the finished tracks into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) download: Option<PathBuf>,
    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments {
        task_id,
        waiting,
        provider,
    } = arguments;
    let client = provider.client()?;
    song::make_folder(waiting.download.as_deref())?;
    let shutdown = Shutdown::listen(Shutdown::GRACE)?;
    finish(&client, &task_id, &waiting, &provider, shutdown).await
}

/// Returns the command that continues the wait.
pub(crate) fn again(task_id: &TaskId, provider: &provider::Arguments) -> String {
    format!("suno wait {task_id}{}", provider.words())
}

/// Waits for a task and prints its result.
pub(crate) async fn finish(
    client: &Client,
    task_id: &TaskId,
    waiting: &Waiting,
    provider: &provider::Arguments,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let again = again(task_id, provider);
    let progress = Progress::start();
    let all = async {
        let record = match watch(client, task_id, waiting, &progress).await? {
            Ok(record) => record,
            Err(err) => return Err(told(&err, client, waiting.json, &again)?),
        };
        let dir = waiting.download.as_deref();
        song::tell(client, &record, dir, waiting.json, &progress).await
    };
    tokio::select! {
        biased;
        done = all => done,
        _ = shutdown.requested() => {
            if waiting.json {
                tell_unfinished(task_id, "stopped").map_err(Failure::failed)?;
            }
            Err(Failure::failed(anyhow!("stopped before the task ended; go on with `{again}`")))
        }
    }
}

/// Polls a task until it ends, and reports each status.
async fn watch(
    client: &Client,
    task_id: &TaskId,
    waiting: &Waiting,
    progress: &Progress,
) -> Result<Result<TaskRecord, WaitError>, Failure> {
    progress.wait_for(&format!("waiting for {task_id}"));
    let wait = client.wait(task_id, waiting.deadline.0);
    let mut updates = wait.with_interval(waiting.interval.0).updates();
    loop {
        let record = match updates.next().await {
            Some(Ok(record)) => record,
            Some(Err(err)) => return Ok(Err(err)),
            None => return Err(Failure::failed(anyhow!("the wait ended too early"))),
        };
        let status = record.status.as_str();
        if waiting.json {
            let task_id = task_id.as_str();
            output::json(&Line::Progress { task_id, status }).map_err(Failure::failed)?;
        } else {
            progress.step(&format!("{task_id} {}", output::visible(status)));
        }
        if record.is_terminal() {
            return Ok(Ok(record));
        }
        progress.wait_for(&sentence(&record));
    }
}

/// Describes the current wait and the progress of the task.
fn sentence(record: &TaskRecord) -> String {
    let ready = record
        .tracks
        .iter()
        .filter(|track| track.is_ready())
        .count();
    let status = output::visible(record.status.as_str());
    let count = record.tracks.len();
    format!(
        "waiting for {}: {status}, {ready} of {count} tracks ready",
        record.task_id
    )
}

/// Reports a wait that ended without a finished task: as a line on stdout with `--json`, and as a
/// failure.
fn told(err: &WaitError, client: &Client, json: bool, again: &str) -> Result<Failure, Failure> {
    let failed = err.failure();
    if json {
        let told = match failed {
            Some(failure) => tell_failed(failure.record()),
            None => tell_unfinished(err.task_id(), advice::reason(err)),
        };
        told.map_err(Failure::failed)?;
    }
    Ok(match failed {
        Some(failure) => advice::task_failure(failure, client.provider()),
        None => advice::unfinished(err, again),
    })
}

fn tell_unfinished(task_id: &TaskId, reason: &str) -> std::io::Result<()> {
    let task_id = task_id.as_str();
    output::json(&Line::Unfinished { task_id, reason })
}

fn tell_failed(record: &TaskRecord) -> std::io::Result<()> {
    output::json(&Line::Finished {
        task_id: record.task_id.as_str(),
        stage: "failed",
        code: record.error_code.map(|code| code.0),
        tracks: Vec::new(),
    })
}
