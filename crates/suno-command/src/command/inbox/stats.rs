//! `suno inbox stats`: counts, and the oldest event that waits.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, json};
use suno_callback::{EventFilter, IdempotencyStore, ListRequest, StateName};

use super::fields::SCHEMA;
use super::place::Place;
use super::{store_failed, unprinted};
use crate::failure::Failure;
use crate::output;

/// The maximum number of open intents that are counted.
const INTENTS_MAX: u32 = 10_000;
/// The maximum number of pages in which the oldest event of a state is looked for.
const PAGES_MAX: u32 = 1_000;

/// Count events by state, and show what waits for longest
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: Place,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let inbox = arguments.store.open().await?;
    let store = &*inbox.store;
    let mut counts = store.counts().await.map_err(store_failed)?;
    let oldest = oldest_pending(store).await?;
    let intents = store.open_intents(Duration::ZERO, None, INTENTS_MAX).await;
    let intents = intents.map_err(store_failed)?;
    let pending_seconds = oldest.map(|at| super::now().duration_since(at).as_secs().max(0));
    if arguments.json {
        let mut object = Map::new();
        object.insert("schema".to_owned(), json!(SCHEMA));
        for state in StateName::ALL {
            object.insert(state.as_str().to_owned(), json!(*counts.of(state)));
        }
        for (name, value) in [
            ("quarantined", json!(counts.quarantined)),
            ("dropped", json!(counts.dropped)),
            ("open_intents", json!(intents.len())),
            (
                "oldest_intent_seconds",
                json!(intents.first().map(|it| it.open_for.as_secs())),
            ),
            ("oldest_pending_at", json!(oldest.map(|at| at.to_string()))),
            ("oldest_pending_seconds", json!(pending_seconds)),
        ] {
            object.insert(name.to_owned(), value);
        }
        return output::json(&object).map_err(unprinted);
    }
    let mut lines: Vec<(&str, String)> = Vec::new();
    for state in StateName::ALL {
        lines.push((state.as_str(), counts.of(state).to_string()));
    }
    lines.push(("quarantined", counts.quarantined.to_string()));
    lines.push(("dropped", counts.dropped.to_string()));
    lines.push(("open intents", intents.len().to_string()));
    if let (Some(at), Some(seconds)) = (oldest, pending_seconds) {
        let ago = output::duration(Duration::from_secs(seconds.unsigned_abs()));
        lines.push(("oldest pending", format!("{ago} (received {at})")));
    }
    for (name, value) in lines {
        output::line(&format!("{name:<16} {value}")).map_err(unprinted)?;
    }
    Ok(())
}

/// Returns when the first event that still has to be handled was received.
async fn oldest_pending(store: &dyn IdempotencyStore) -> Result<Option<Timestamp>, Failure> {
    let mut oldest = None;
    for state in [StateName::Ready, StateName::Claimed, StateName::Waiting] {
        let mut request = ListRequest::first(1, EventFilter::in_state(state));
        for _ in 0..PAGES_MAX {
            let page = store.list(&request).await.map_err(store_failed)?;
            if let Some(event) = page.records.first() {
                let at = event.received_at;
                oldest = Some(oldest.map_or(at, |oldest: Timestamp| oldest.min(at)));
                break;
            }
            let Some(next) = page.next else { break };
            request = request.with_after(next);
        }
    }
    Ok(oldest)
}
