//! `suno inbox purge`: removes old data now instead of when a gateway would.

use std::time::Duration;

use anyhow::anyhow;
use jiff::SignedDuration;
use serde_json::json;
use suno_callback::history::PURGED_MAX;
use suno_callback::{EventFilter, PurgeRequest, Search, StateName};

use super::fields::SCHEMA;
use super::filters::age;
use super::place::Place;
use super::{store_failed, unprinted};
use crate::failure::Failure;
use crate::output;

/// The minimum age of a key: the provider repeats a callback for some minutes, and one whose key is
/// unknown would be handled again.
const KEYS_AFTER_MIN: Duration = Duration::from_secs(86_400);
/// The maximum number of steps.
const STEPS_MAX: u64 = 1_000_000;
/// The maximum number of events that are read at a time.
const PAGE: u32 = 1_024;

/// Remove old events, dead letters, quarantined deliveries and history
///
/// Events that still have to be handled are never removed. Keys are kept for at least a day: they are what
/// tells a repeated callback from a new one. Ages are counted from when the store got something.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Minimum age of what is removed, such as 30d or 12h
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    older_than: Duration,
    /// Only count; by the time of receipt, so about what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: Place,
}

fn parse_age(text: &str) -> Result<Duration, &'static str> {
    age(text).ok_or("an age is written like 90s, 15m, 2h or 30d")
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let inbox = arguments.store.open().await?;
    let store = &*inbox.store;
    let ago = SignedDuration::try_from(arguments.older_than);
    let before = ago.ok().and_then(|ago| super::now().checked_sub(ago).ok());
    let before = before.ok_or_else(|| Failure::usage(anyhow!("--older-than is too long ago")))?;
    if arguments.dry_run {
        let mut counts = Vec::new();
        for state in [StateName::Done, StateName::Superseded, StateName::Dead] {
            let mut filter = EventFilter::in_state(state);
            filter.received_before = Some(before);
            let (search, mut count, mut after) = (Search::new(filter), 0_u64, None);
            loop {
                let page = search
                    .page(store, after, PAGE)
                    .await
                    .map_err(store_failed)?;
                count += page.records.len() as u64;
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            counts.push((state.as_str(), count));
        }
        return tell(arguments.json, true, &counts);
    }
    let mut request = PurgeRequest::default();
    request.bodies_after = arguments.older_than;
    request.keys_after = arguments.older_than.max(KEYS_AFTER_MIN);
    request.dead_after = arguments.older_than;
    request.quarantined_after = arguments.older_than;
    let (mut bodies, mut keys, mut dead, mut quarantined) = (0, 0, 0, 0);
    for _ in 0..STEPS_MAX {
        let step = store.purge(&request).await.map_err(store_failed)?;
        bodies += step.bodies;
        keys += step.keys;
        dead += step.dead;
        quarantined += step.quarantined;
        if !step.more {
            break;
        }
    }
    let mut history = 0;
    for _ in 0..STEPS_MAX {
        let purged = inbox.history.purge(before).await.map_err(store_failed)?;
        history += purged;
        if purged < u64::from(PURGED_MAX) {
            break;
        }
    }
    let counts = [
        ("bodies", bodies),
        ("keys", keys),
        ("dead", dead),
        ("quarantined", quarantined),
        ("history", history),
    ];
    tell(arguments.json, false, &counts)
}

fn tell(json: bool, is_dry_run: bool, counts: &[(&str, u64)]) -> Result<(), Failure> {
    if json {
        let mut object = json!({"schema": SCHEMA, "dry_run": is_dry_run});
        for (name, count) in counts {
            object[*name] = json!(count);
        }
        return output::json(&object).map_err(unprinted);
    }
    let what = if is_dry_run { "old" } else { "removed" };
    for (name, count) in counts {
        output::line(&format!("{what} {name:<12} {count}")).map_err(unprinted)?;
    }
    Ok(())
}
