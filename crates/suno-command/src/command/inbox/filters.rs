//! The options that choose events.

use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use suno_callback::{EventFilter, Reference, Search, StateName};
use suno_types::{Code, Product, Stage, TaskId};

/// The options that choose events. Together they must all hold.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Filters")]
pub(super) struct Filters {
    /// Only events in this state: ready, claimed, waiting, done, dead or superseded
    #[arg(long, value_name = "STATE", value_parser = state)]
    pub(super) state: Option<StateName>,
    /// Only events of this stage, such as text, first, complete or failed
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,
    /// Only events of tasks that make this, such as song or lyrics
    #[arg(long, value_name = "PRODUCT")]
    product: Option<String>,
    /// Only events of this task
    #[arg(long, value_name = "TASK", value_parser = task)]
    task: Option<TaskId>,
    /// Only events with this code
    #[arg(long, value_name = "CODE", allow_negative_numbers = true)]
    code: Option<i64>,
    /// Only events of the submit with this name, such as an order number
    #[arg(long, value_name = "TEXT")]
    reference: Option<Reference>,
    /// Only events received since then: a time such as 2026-11-28T12:00:00Z or 2026-11-28, or how long
    /// ago, such as 2h or 3d
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only events received before then; times are written as for --since
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<Moment>,
}

impl Filters {
    /// Whether no option was given.
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            state,
            stage,
            product,
            task,
            code,
            reference,
            since,
            until,
        } = self;
        state.is_none()
            && stage.is_none()
            && product.is_none()
            && task.is_none()
            && code.is_none()
            && reference.is_none()
            && since.is_none()
            && until.is_none()
    }

    /// Returns the search. Times that were given as how long ago are counted from `now`.
    pub(super) fn search(&self, now: Timestamp) -> Search {
        let at = |moment: &Option<Moment>| moment.map(|moment| moment.at(now));
        let mut filter = EventFilter::default().with_received(at(&self.since), at(&self.until));
        filter.state = self.state;
        filter.stage = self.stage.as_deref().map(Stage::from);
        Search::new(filter)
            .with_product(self.product.as_deref().map(Product::from))
            .with_code(self.code.map(Code))
            .with_task(self.task.clone())
            .with_reference(self.reference.clone())
    }
}

fn state(text: &str) -> Result<StateName, &'static str> {
    let mut states = StateName::ALL.into_iter();
    let state = states.find(|state| state.as_str() == text);
    state.ok_or("a state is ready, claimed, waiting, done, dead or superseded")
}

pub(super) fn task(text: &str) -> Result<TaskId, String> {
    TaskId::new(text).map_err(|err| err.to_string())
}

/// A point in time, as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    At(Timestamp),
    Ago(SignedDuration),
}

impl Moment {
    pub(super) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now.saturating_sub(ago).unwrap_or(Timestamp::MIN),
        }
    }
}

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        let day = text.parse::<Date>();
        if let Ok(start) = day.and_then(|day| format!("{day}T00:00:00Z").parse()) {
            return Ok(Self::At(start));
        }
        let ago = age(text).and_then(|age| SignedDuration::try_from(age).ok());
        ago.map(Self::Ago).ok_or(
            "a time is written like 2026-11-28T12:00:00Z or 2026-11-28, or how long ago: 90s, 15m, 2h, 3d",
        )
    }
}

/// Parses a duration that may be in days.
pub(super) fn age(text: &str) -> Option<Duration> {
    if let Some(days) = text.strip_suffix('d')
        && let Ok(days) = days.parse::<u32>()
    {
        return Some(Duration::from_secs(u64::from(days) * 86_400));
    }
    let duration = text.parse::<SignedDuration>().ok()?;
    Duration::try_from(duration).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2h", "2026-11-28T10:00:00Z"),
            ("1h30m", "2026-11-28T10:30:00Z"),
            ("3d", "2026-11-25T12:00:00Z"),
            ("2026-11-27", "2026-11-27T00:00:00Z"),
            ("2026-11-27T23:59:59+01:00", "2026-11-27T22:59:59Z"),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.at(now).to_string(), expected, "{text}");
        }
        for wrong in ["", "2x", "yesterday", "-2h", "d", "2026-13-01"] {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong}");
        }
    }
}
