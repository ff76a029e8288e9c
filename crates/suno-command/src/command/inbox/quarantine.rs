//! `suno inbox quarantine`: deliveries that could not be decoded.

use anyhow::anyhow;
use clap::Subcommand;
use jiff::Timestamp;
use serde_json::json;
use suno_callback::{
    Acceptance, Delivery, EventId, ExportLine, IdempotencyStore, QuarantinedDelivery,
    requeue_quarantine,
};
use suno_types::TaskId;

use super::cells::{cut, line_cells, padded};
use super::fields::SCHEMA;
use super::filters::{Moment, task};
use super::paging::Paging;
use super::place::Place;
use super::{event_id, nothing_matched, store_failed, transfer, unprinted};
use crate::failure::Failure;
use crate::log;
use crate::output::{self, visible};

/// The maximum number of entries that are read at a time.
const PAGE: u32 = 64;

/// Look at deliveries that could not be decoded, and decode them again
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(ListArguments),
    Show(ShowArguments),
    Retry(RetryArguments),
    Export(ExportArguments),
}

/// List quarantined deliveries, in the order of their arrival
#[derive(Debug, clap::Args)]
struct ListArguments {
    /// Only deliveries of this task
    #[arg(long, value_name = "TASK", value_parser = task)]
    task: Option<TaskId>,
    /// Only deliveries received since then, such as 2h or 2026-11-28
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only deliveries received before then
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    store: Place,
}

/// Show a quarantined delivery with its body
#[derive(Debug, clap::Args)]
struct ShowArguments {
    /// The entry
    #[arg(value_name = "ID", value_parser = event_id)]
    id: EventId,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: Place,
}

/// Decode quarantined deliveries again, and accept what this version can read
#[derive(Debug, clap::Args)]
struct RetryArguments {
    /// Only these entries
    #[arg(value_name = "ID", value_parser = event_id)]
    ids: Vec<EventId>,
    /// What is accepted must be confirmed by the provider's record
    #[arg(long)]
    must_confirm: bool,
    #[command(flatten)]
    store: Place,
}

/// Write quarantined deliveries as JSON lines, as suno inbox export does
#[derive(Debug, clap::Args)]
struct ExportArguments {
    #[command(flatten)]
    store: Place,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::List(arguments) => list(arguments).await,
        Verb::Show(arguments) => show(arguments).await,
        Verb::Retry(arguments) => retry(arguments).await,
        Verb::Export(arguments) => export(arguments).await,
    }
}

impl ListArguments {
    /// Whether an entry matches.
    fn contains(&self, entry: &QuarantinedDelivery, now: Timestamp) -> bool {
        let at = entry.received_at;
        let task = self.task.as_ref();
        task.is_none_or(|task| entry.task_id.as_ref() == Some(task))
            && self.since.is_none_or(|since| at >= since.at(now))
            && self.until.is_none_or(|until| at < until.at(now))
    }
}

async fn list(arguments: ListArguments) -> Result<(), Failure> {
    let now = super::now();
    let inbox = arguments.store.open().await?;
    let (mut after, mut printed) = (arguments.paging.after, 0_u64);
    let limit = arguments.paging.lines_max();
    while printed < limit {
        let wanted = u32::try_from(limit - printed).unwrap_or(PAGE).min(PAGE);
        let page = inbox.store.quarantine(after, wanted).await;
        let page = page.map_err(store_failed)?;
        let records = page.records.iter();
        for entry in records.filter(|entry| arguments.contains(entry, now)) {
            let told = match arguments.json {
                true => output::json(&object(entry, false)),
                false => output::line(&row(entry)),
            };
            told.map_err(unprinted)?;
            printed += 1;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if let Some(after) = after {
        log::line(&format!("there are more: --after {after}"));
    }
    match printed {
        0 => nothing_matched(arguments.paging.exit_code),
        _ => Ok(()),
    }
}

fn row(entry: &QuarantinedDelivery) -> String {
    let task = entry.task_id.as_ref().map_or("-", |task| task.as_str());
    let task: String = task.chars().take(8).collect();
    let time = entry.received_at.strftime("%m-%d %H:%M:%S").to_string();
    let line = format!(
        "{:>5} {} {} {}",
        entry.id,
        padded(&time, 14),
        padded(&task, 8),
        visible(&entry.reason)
    );
    cut(&line, line_cells())
}

fn object(entry: &QuarantinedDelivery, has_body: bool) -> serde_json::Value {
    let mut object = json!({
        "schema": SCHEMA,
        "id": entry.id.0,
        "task_id": entry.task_id.as_ref().map(|task| task.as_str()),
        "reason": entry.reason,
        "received_at": entry.received_at.to_string(),
        "source": entry.source.as_str(),
        "verified_by": entry.verified_by.words().collect::<Vec<_>>(),
        "body_bytes": entry.raw.len(),
    });
    if has_body {
        object["body"] = json!(String::from_utf8_lossy(&entry.raw));
    }
    object
}

/// Returns an entry.
async fn find(
    store: &dyn IdempotencyStore,
    id: EventId,
) -> Result<Option<QuarantinedDelivery>, Failure> {
    let Some(before) = id.0.checked_sub(1) else {
        return Ok(None);
    };
    let page = store.quarantine(Some(EventId(before)), 1).await;
    let mut records = page.map_err(store_failed)?.records.into_iter();
    Ok(records.next().filter(|entry| entry.id == id))
}

fn missing(id: EventId) -> Failure {
    Failure::failed(anyhow!("there is no entry {id} in quarantine"))
}

async fn show(arguments: ShowArguments) -> Result<(), Failure> {
    let inbox = arguments.store.open().await?;
    let entry = find(&*inbox.store, arguments.id).await?;
    let entry = entry.ok_or_else(|| missing(arguments.id))?;
    if arguments.json {
        return output::json(&object(&entry, true)).map_err(unprinted);
    }
    let verified_by: Vec<_> = entry.verified_by.words().collect();
    let task = entry
        .task_id
        .as_ref()
        .map_or("unknown", |task| task.as_str());
    for line in [
        format!("entry {} of task {task}", entry.id),
        format!("  received {} by {}", entry.received_at, entry.source),
        format!("  verified by {}", super::show::or_nothing(&verified_by)),
        format!("  reason   {}", visible(&entry.reason)),
        format!("  body     {} bytes", entry.raw.len()),
        visible(&String::from_utf8_lossy(&entry.raw)),
    ] {
        output::line(&line).map_err(unprinted)?;
    }
    Ok(())
}

async fn retry(arguments: RetryArguments) -> Result<(), Failure> {
    let inbox = arguments.store.open().await?;
    let store = &*inbox.store;
    if arguments.ids.is_empty() {
        let report = requeue_quarantine(store, arguments.must_confirm).await;
        let report = report.map_err(store_failed)?;
        let told = format!(
            "{} accepted, {} still in quarantine",
            report.accepted, report.kept
        );
        return output::line(&told).map_err(unprinted);
    }
    let mut kept = 0;
    for id in &arguments.ids {
        let entry = find(store, *id).await?.ok_or_else(|| missing(*id))?;
        let accepted = match Delivery::from_quarantine(&entry) {
            Some(delivery) => {
                let delivery = delivery.with_unconfirmed(arguments.must_confirm);
                let accepted = store.requeue(*id, &delivery).await;
                accepted.map_err(store_failed)?
            }
            None => Some(Acceptance::Quarantined),
        };
        let word = accepted.map_or("gone", Acceptance::as_str);
        kept += usize::from(matches!(accepted, Some(Acceptance::Quarantined) | None));
        output::line(&format!("{id:>5} {word}")).map_err(unprinted)?;
    }
    match kept {
        0 => Ok(()),
        count => Err(Failure::failed(anyhow!(
            "{count} of {} entries are still in quarantine",
            arguments.ids.len()
        ))),
    }
}

async fn export(arguments: ExportArguments) -> Result<(), Failure> {
    let inbox = arguments.store.open().await?;
    let mut after = None;
    loop {
        let page = inbox.store.quarantine(after, PAGE).await;
        let page = page.map_err(store_failed)?;
        let lines = page.records.into_iter().map(Box::new);
        let lines: Vec<_> = lines.map(ExportLine::Quarantined).collect();
        transfer::write(&lines).map_err(unprinted)?;
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}
