//! `suno inbox redrive`: makes settled events ready again.

use anyhow::anyhow;
use serde_json::json;
use suno_callback::history::{History, HistoryEntry, HistoryKind};
use suno_callback::{
    EventId, EventRecord, EventState, Redrive, RedriveOptions, RedriveResult, StateName,
    find_event, redrive_where,
};

use super::fields::SCHEMA;
use super::filters::Filters;
use super::place::Place;
use super::{event_id, nothing_matched, store_failed, unprinted};
use crate::failure::Failure;
use crate::{log, output, store};

/// The maximum number of events that can be named.
const IDS_MAX: usize = 1_000;
/// The default number of events in a second.
const RATE: u32 = 100;
/// The maximum number of events that are read at a time.
const PAGE: u32 = 256;

/// Handle settled events again
///
/// Each is handled once more with the same id, so that a consumer that has done the work can skip it. With
/// filters, only dead letters unless --state says otherwise. An event that is claimed or waits is left
/// alone: it is handled anyway, and naming it is a failure.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Events to redrive
    #[arg(value_name = "ID", value_parser = event_id)]
    ids: Vec<EventId>,
    #[command(flatten)]
    filters: Filters,
    /// Only count the events that match
    #[arg(long)]
    dry_run: bool,
    /// Also redrive events although a later stage of their task is done
    #[arg(long)]
    even_if_superseded: bool,
    /// Maximum number of events in a second, with filters
    #[arg(long, value_name = "COUNT", default_value_t = RATE, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Print a JSON line for each event
    #[arg(long)]
    json: bool,
    /// Exit with 3 if nothing matches
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    store: Place,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let wrong = match (arguments.ids.len(), arguments.filters.is_empty()) {
        (0, true) => {
            Some("name the events to redrive, or choose them with filters such as --state dead")
        }
        (1.., false) => Some("name the events to redrive or choose them with filters, not both"),
        (count, _) if count > IDS_MAX => {
            Some("name at most 1,000 events; choose more with filters")
        }
        _ => None,
    };
    if let Some(wrong) = wrong {
        return Err(Failure::usage(anyhow!(wrong)));
    }
    let inbox = arguments.store.open().await?;
    match arguments.ids.is_empty() {
        true => by_filters(&arguments, &inbox).await,
        false => by_ids(&arguments, &inbox).await,
    }
}

fn redrive(arguments: &Arguments) -> Redrive {
    match arguments.even_if_superseded {
        true => Redrive::EvenIfSuperseded,
        false => Redrive::Current,
    }
}

async fn by_ids(arguments: &Arguments, inbox: &store::WithHistory) -> Result<(), Failure> {
    let (store, mut refused) = (&*inbox.store, 0);
    for id in &arguments.ids {
        let event = find_event(store, *id).await.map_err(store_failed)?;
        let Some(event) = event else {
            refused += 1;
            log::line(&format!("suno: event {id} does not exist"));
            continue;
        };
        if arguments.dry_run {
            tell(arguments, &event, would(event.state))?;
            continue;
        }
        let redriven = store.redrive(&[*id], redrive(arguments)).await;
        let result = redriven.map_err(store_failed)?.first().copied();
        let result = result.unwrap_or(RedriveResult::Gone);
        tell(arguments, &event, word(result))?;
        record(&*inbox.history, &[(event.clone(), result)]).await;
        if result != RedriveResult::Ready {
            refused += 1;
            log::line(&format!(
                "suno: event {id} was not redriven: {}",
                why(&event, result)
            ));
        }
    }
    match refused {
        0 => Ok(()),
        count => Err(Failure::failed(anyhow!(
            "{count} of {} events were not redriven",
            arguments.ids.len()
        ))),
    }
}

async fn by_filters(arguments: &Arguments, inbox: &store::WithHistory) -> Result<(), Failure> {
    let mut search = arguments.filters.search(super::now());
    search.filter.state = search.filter.state.or(Some(StateName::Dead));
    if arguments.dry_run {
        return count(arguments, inbox, &search).await;
    }
    let options =
        RedriveOptions::new(redrive(arguments)).with_events_per_second(Some(arguments.rate));
    let (mut told, mut pending) = (Ok(()), Vec::new());
    let redriven = redrive_where(&*inbox.store, &search, options, |event, result| {
        if told.is_ok() {
            told = tell(arguments, event, word(result));
        }
        pending.push((event.clone(), result));
        // The trace of a few thousand events; more would not be read by anyone.
        if pending.len() > TRACED_MAX {
            pending.pop();
        }
    });
    let report = redriven.await.map_err(store_failed);
    record(&*inbox.history, &pending).await;
    let report = report?;
    told?;
    let total = report.ready + report.not_settled + report.superseded + report.gone;
    log::line(&format!(
        "{} redriven, {} not settled, {} superseded, {} without a body",
        report.ready, report.not_settled, report.superseded, report.gone
    ));
    match total {
        0 => nothing_matched(arguments.exit_code),
        _ => Ok(()),
    }
}

/// The maximum number of events whose redrive by filters is written to the history.
const TRACED_MAX: usize = 10_000;

async fn count(
    arguments: &Arguments,
    inbox: &store::WithHistory,
    search: &suno_callback::Search,
) -> Result<(), Failure> {
    let (mut count, mut after) = (0_u64, None);
    loop {
        let page = search.page(&*inbox.store, after, PAGE).await;
        let page = page.map_err(store_failed)?;
        count += page.records.len() as u64;
        for event in &page.records {
            tell(arguments, event, would(event.state))?;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    log::line(&format!("{count} events match; nothing was changed"));
    match count {
        0 => nothing_matched(arguments.exit_code),
        _ => Ok(()),
    }
}

fn tell(arguments: &Arguments, event: &EventRecord, result: &str) -> Result<(), Failure> {
    let printed = match arguments.json {
        true => output::json(&json!({
            "schema": SCHEMA,
            "id": event.id.0,
            "task_id": event.key.task_id().as_str(),
            "stage": event.key.stage().as_str(),
            "revision": event.key.revision(),
            "result": result,
        })),
        false => output::line(&format!(
            "{:>5} {} {result}",
            event.id,
            output::visible(&event.key.to_string())
        )),
    };
    printed.map_err(unprinted)
}

fn word(result: RedriveResult) -> &'static str {
    match result {
        RedriveResult::Ready => "ready",
        RedriveResult::NotSettled => "not_settled",
        RedriveResult::Superseded => "superseded",
        RedriveResult::Gone => "gone",
        _ => "other",
    }
}

fn would(state: EventState) -> &'static str {
    match state.is_settled() {
        true => "would_be_ready",
        false => "not_settled",
    }
}

fn why(event: &EventRecord, result: RedriveResult) -> String {
    match result {
        RedriveResult::NotSettled => format!(
            "conflict (409): it is {} and is handled anyway; redrive it when it is settled",
            StateName::from(event.state)
        ),
        RedriveResult::Superseded => {
            "a later stage of its task is done; --even-if-superseded redrives it anyway".to_owned()
        }
        _ => "its body was purged".to_owned(),
    }
}

/// Writes to the history who redrove what. A failure is only logged: the events are redriven.
async fn record(history: &dyn History, redriven: &[(EventRecord, RedriveResult)]) {
    let now = super::now();
    let ready = redriven
        .iter()
        .filter(|(_, result)| *result == RedriveResult::Ready);
    let entries: Vec<_> = ready
        .map(|(event, _)| {
            let (task, stage) = (event.key.task_id().clone(), event.key.stage().clone());
            HistoryEntry::new(task, HistoryKind::REDRIVE, now)
                .with_stage(stage, event.key.revision())
                .with_detail(&json!({
                    "id": event.id.0,
                    "by": "suno inbox redrive",
                    "was": StateName::from(event.state).as_str(),
                }))
        })
        .collect();
    for some in entries.chunks(PAGE as usize) {
        if let Err(err) = history.record(some).await {
            tracing::warn!(%err, "the redrive is not in the history");
            return;
        }
    }
}
