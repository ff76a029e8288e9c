//! `suno wait`: polls a task until it ends.

use std::path::PathBuf;

use anyhow::anyhow;
use suno_client::{Client, WaitError};
use suno_types::{Output, Product, Route, TaskId, TaskKind, TaskRecord};

use crate::failure::Failure;
use crate::line::{self, FinishedLine, Line};
use crate::progress::Progress;
use crate::shutdown::Shutdown;
use crate::span::Span;
use crate::{advice, output, provider, song};

/// Wait until a task ends, by polling, and print the result.
///
/// The exit code is 0 if the task completed, and 1 if it failed, if it was still running at the
/// deadline, or if a file could not be downloaded. Run again, it downloads only what is missing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  export SUNO_API_KEY=…
  suno wait 5c79f0a3b1d24e6f8a9b0c1d2e3f4a5b --deadline 10m --download songs")]
pub(crate) struct Arguments {
    /// Task id
    #[arg(value_name = "TASK_ID")]
    task_id: TaskId,
    /// What the task makes, which decides where it is polled
    #[arg(long, value_name = "PRODUCT", default_value = "song", value_parser = PRODUCTS)]
    product: String,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    provider: provider::Arguments,
    #[command(flatten)]
    route: provider::RouteArgument,
}

/// The products that can be polled.
const PRODUCTS: [&str; 10] = [
    "song",
    "lyrics",
    "wav",
    "mp4",
    "stems",
    "midi",
    "cover",
    "voice",
    "voice-phrase",
    "recovery",
];

/// A task, and what must be known to poll it.
pub(crate) struct Polled {
    pub(crate) task_id: TaskId,
    pub(crate) kind: TaskKind,
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
    /// Download the files of the finished task into this folder; files that are there are kept
    #[arg(long, value_name = "DIR")]
    pub(crate) download: Option<PathBuf>,
    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments {
        task_id,
        product,
        waiting,
        provider,
        route,
    } = arguments;
    let route = route.route();
    let kind = TaskKind::new(route, Product::from(product));
    let client = provider.client(route)?;
    song::make_folder(waiting.download.as_deref())?;
    let shutdown = Shutdown::listen(Shutdown::GRACE)?;
    let polled = Polled { task_id, kind };
    finish(&client, &polled, &waiting, &provider, shutdown).await
}

/// Returns the command that continues the wait.
pub(crate) fn again(task_id: &TaskId, kind: &TaskKind, provider: &provider::Arguments) -> String {
    let product = match &kind.product {
        product if *product == Product::SONG => String::new(),
        product => format!(" --product {product}"),
    };
    let route = match kind.route {
        Route::Jobs => " --route jobs",
        _ => "",
    };
    format!("suno wait {task_id}{product}{route}{}", provider.words())
}

/// Waits for a task and prints its result.
pub(crate) async fn finish(
    client: &Client,
    polled: &Polled,
    waiting: &Waiting,
    provider: &provider::Arguments,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let task_id = &polled.task_id;
    let again = again(task_id, &polled.kind, provider);
    let progress = Progress::start();
    let all = async {
        let record = match watch(client, polled, waiting, &progress).await? {
            Ok(record) => record,
            Err(err) => return Err(told(&err, client, polled, waiting.json, &again)?),
        };
        let dir = waiting.download.as_deref();
        song::tell(
            client,
            &record,
            &polled.kind.product,
            dir,
            waiting.json,
            &progress,
        )
        .await
    };
    tokio::select! {
        biased;
        done = all => done,
        _ = shutdown.requested() => {
            if waiting.json {
                tell_unfinished(task_id, "stopped", None).map_err(Failure::failed)?;
            }
            Err(Failure::failed(anyhow!("stopped before the task ended; go on with `{again}`")))
        }
    }
}

/// Polls a task until it ends, and reports each status.
async fn watch(
    client: &Client,
    polled: &Polled,
    waiting: &Waiting,
    progress: &Progress,
) -> Result<Result<TaskRecord, WaitError>, Failure> {
    let task_id = &polled.task_id;
    progress.wait_for(&format!("waiting for {task_id}"));
    let wait = client.wait(task_id, waiting.deadline.0);
    let wait = wait.with_kind(polled.kind.clone());
    let mut updates = wait.with_interval(waiting.interval.0).updates();
    let mut last = None;
    while let Some(update) = updates.next().await {
        let record = match update {
            Ok(record) => record,
            Err(err) => return Ok(Err(err)),
        };
        let status = record.status.as_str();
        if waiting.json {
            let task_id = task_id.as_str();
            output::json(&Line::Progress { task_id, status }).map_err(Failure::failed)?;
        } else {
            progress.step(&format!("{task_id} {}", output::visible(status)));
        }
        progress.wait_for(&sentence(&record));
        last = Some(record);
    }
    // What ends the wait for a phrase does not end the task.
    last.map(Ok)
        .ok_or_else(|| Failure::failed(anyhow!("the wait ended too early")))
}

/// Describes the current wait and the progress of the task.
fn sentence(record: &TaskRecord) -> String {
    let status = output::visible(record.status.as_str());
    let so_far = match record.output() {
        Output::Songs(tracks) => {
            let ready = tracks.iter().filter(|track| track.is_ready()).count();
            format!("{ready} of {} tracks ready", tracks.len())
        }
        _ => format!("{} results", record.results().count()),
    };
    format!("waiting for {}: {status}, {so_far}", record.task_id)
}

/// Reports a wait that ended without a finished task: as a line on stdout with `--json`, and as a
/// failure.
fn told(
    err: &WaitError,
    client: &Client,
    polled: &Polled,
    json: bool,
    again: &str,
) -> Result<Failure, Failure> {
    let failed = err.failure();
    if json {
        let told = match failed {
            Some(failure) => tell_failed(failure.record(), &polled.kind.product),
            None => tell_unfinished(err.task_id(), advice::reason(err), record_of(err)),
        };
        told.map_err(Failure::failed)?;
    }
    Ok(match failed {
        Some(failure) => advice::task_failure(failure, client.provider()),
        None => advice::unfinished(err, again),
    })
}

fn tell_unfinished(
    task_id: &TaskId,
    reason: &str,
    record: Option<&TaskRecord>,
) -> std::io::Result<()> {
    output::json(&Line::Unfinished {
        task_id: task_id.as_str(),
        reason,
        record: record.map(line::record),
    })
}

/// The record of a task that succeeded without a result.
fn record_of(err: &WaitError) -> Option<&TaskRecord> {
    match err {
        WaitError::WithoutResult { record, .. } => Some(record),
        _ => None,
    }
}

fn tell_failed(record: &TaskRecord, asked: &Product) -> std::io::Result<()> {
    let line = FinishedLine::new(record, asked, "failed");
    output::json(&Line::Finished(Box::new(line)))
}
