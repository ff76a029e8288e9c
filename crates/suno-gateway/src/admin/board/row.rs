//! One task of the list, made of its events and of what is recorded of its submit.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use suno_callback::{EventRecord, RecordedTask, Reference, StateName, VerifiedBy};
use suno_types::{Callback, Output, Product};

use super::super::expected::{due_at, is_ended, since};
use crate::content::verified_by;

/// The maximum number of characters of a title, and of the tags.
const TEXT_CHARS_MAX: usize = 200;
/// The maximum number of stages in a row. A task has few, but its sender decides how many.
const STAGES_MAX: usize = 16;
/// The state of a task without events, whose callbacks are expected.
pub(in super::super) const EXPECTED: &str = "expected";
/// The greatest order: one that a double holds, with room for ties.
const ORDER_MAX: i64 = (1 << 53) - (1 << 20);
/// A time that is computed from a duration of the store is new if it differs by more than this: two
/// clocks are never quite together.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(1);
/// The states of a task's events, the one that matters most first.
const RANKS: [StateName; 6] = [
    StateName::Dead,
    StateName::Waiting,
    StateName::Claimed,
    StateName::Ready,
    StateName::Done,
    StateName::Superseded,
];

/// A task as the list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    task_id: Box<str>,
    /// The time at which the task first became known, in microseconds. Rows are ordered by it; the index
    /// makes it unique, and keeps it.
    pub(super) order: i64,
    submitted_at: Option<Timestamp>,
    /// The time of the next poll, if one is due.
    pub(super) due_at: Option<Timestamp>,
    /// Whether the events say how the task has ended.
    is_ended: bool,
    first_at: Timestamp,
    latest_at: Timestamp,
    title: Option<Box<str>>,
    tags: Option<Box<str>>,
    product: Option<Product>,
    reference: Option<Box<str>>,
    stages: Vec<StageRow>,
    attempts: u32,
    conflicts: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct StageRow {
    stage: Box<str>,
    revision: u32,
    state: StateName,
    received_at: Timestamp,
    source: &'static str,
    verified_by: VerifiedBy,
}

impl Row {
    /// Returns `None` if there are no events and none are expected.
    pub(super) fn of(
        events: &[EventRecord],
        recorded: &RecordedTask,
        now: Timestamp,
    ) -> Option<Self> {
        let since = recorded
            .expectation
            .map(|expectation| since(&expectation, now));
        let submitted_at = recorded.intended_at;
        let first = events.first().map(|event| event.received_at);
        let first_at = first.or_else(|| since.map(|since| submitted_at.unwrap_or(since)))?;
        let known_at =
            submitted_at.unwrap_or_else(|| since.map_or(first_at, |at| at.min(first_at)));
        let latest = events.last();
        let said = events.iter().rev().find_map(said);
        let Said { title, tags } = said.unwrap_or_default();
        let is_ended = is_ended(events);
        let made = recorded.kind.as_ref().map(|kind| &kind.product);
        let named = recorded.reference.as_ref().map(Reference::as_str);
        Some(Self {
            task_id: recorded.task_id.as_str().into(),
            order: known_at.as_microsecond().clamp(0, ORDER_MAX),
            submitted_at,
            due_at: due_at(recorded, is_ended, now),
            is_ended,
            first_at,
            latest_at: latest.map_or(first_at, |latest| latest.received_at),
            title,
            tags,
            product: latest.map(|latest| &latest.product).or(made).cloned(),
            reference: events
                .iter()
                .find_map(reference)
                .or_else(|| named.map(Box::from)),
            stages: events.iter().take(STAGES_MAX).map(StageRow::of).collect(),
            attempts: events.iter().map(|event| event.attempts).max().unwrap_or(0),
            conflicts: events
                .iter()
                .fold(0, |sum, event| sum.saturating_add(event.conflicts)),
        })
    }

    /// Returns the row with what is recorded of the task now.
    pub(super) fn with_recorded(&self, recorded: &RecordedTask, now: Timestamp) -> Self {
        Self {
            submitted_at: recorded.intended_at,
            due_at: due_at(recorded, self.is_ended, now),
            ..self.clone()
        }
    }

    /// Keeps the order of an earlier row of the task, and times that are the same but for the clocks.
    pub(super) fn continue_from(&mut self, former: &Self) {
        self.order = former.order;
        let is_same =
            |one: Timestamp, other: Timestamp| one.duration_since(other).abs() <= TOLERANCE;
        if let (Some(due), Some(former)) = (self.due_at, former.due_at)
            && is_same(due, former)
        {
            self.due_at = Some(former);
        }
        if !self.has_events() && is_same(self.first_at, former.first_at) {
            (self.first_at, self.latest_at) = (former.first_at, former.latest_at);
        }
    }

    pub(super) fn has_events(&self) -> bool {
        !self.stages.is_empty()
    }

    /// Returns `None` if there are no events.
    fn state(&self) -> Option<StateName> {
        let has = |state: &&StateName| self.stages.iter().any(|stage| stage.state == **state);
        RANKS.iter().find(has).copied()
    }

    pub(super) fn needs_person(&self) -> bool {
        self.state() == Some(StateName::Dead)
    }

    /// Whether an event of the task can change its state by itself.
    pub(super) fn is_settled(&self) -> bool {
        let is_open = |stage: &StageRow| {
            matches!(
                stage.state,
                StateName::Ready | StateName::Claimed | StateName::Waiting
            )
        };
        !self.stages.iter().any(is_open)
    }

    pub(super) fn matches(&self, filter: &Filter) -> bool {
        let has = |state: StateName| self.stages.iter().any(|stage| stage.state == state);
        (!filter.needs_person || self.needs_person())
            && (!filter.is_expected || !self.has_events())
            && filter.state.is_none_or(has)
            && filter.product.as_ref().is_none_or(|wanted| {
                let product = self.product.as_ref();
                product.is_some_and(|product| product.as_str() == wanted)
            })
            && filter.text.as_ref().is_none_or(|text| self.contains(text))
    }

    /// Whether a text, in lower case, is in what people know a task by.
    fn contains(&self, text: &str) -> bool {
        let texts = [&self.title, &self.tags, &self.reference];
        let mut texts = texts.into_iter().flatten().chain([&self.task_id]);
        texts.any(|known| known.to_lowercase().contains(text))
    }

    pub(super) fn json(&self) -> Value {
        let stages: Vec<Value> = self.stages.iter().map(StageRow::json).collect();
        json!({
            "task_id": self.task_id,
            "order": self.order.to_string(),
            "submitted_at": self.submitted_at.map(|at| at.to_string()),
            "due_at": self.due_at.map(|at| at.to_string()),
            "first_at": self.first_at.to_string(),
            "latest_at": self.latest_at.to_string(),
            "title": self.title,
            "tags": self.tags,
            "product": self.product.as_ref().map(Product::as_str),
            "reference": self.reference,
            "state": self.state().map_or(EXPECTED, StateName::as_str),
            "needs_person": self.needs_person(),
            "stages": stages,
            "attempts": self.attempts,
            "conflicts": self.conflicts,
        })
    }
}

impl StageRow {
    fn of(event: &EventRecord) -> Self {
        Self {
            stage: event.key.stage().as_str().into(),
            revision: event.key.revision(),
            state: event.state.into(),
            received_at: event.received_at,
            source: event.source.as_str(),
            verified_by: event.verified_by,
        }
    }

    fn json(&self) -> Value {
        json!({
            "stage": self.stage,
            "revision": self.revision,
            "state": self.state.as_str(),
            "received_at": self.received_at.to_string(),
            "source": self.source,
            "verified_by": verified_by(self.verified_by),
        })
    }
}

fn reference(event: &EventRecord) -> Option<Box<str>> {
    event
        .reference
        .as_ref()
        .map(Reference::as_str)
        .map(Box::from)
}

/// What the body of an event says of its task.
#[derive(Default)]
struct Said {
    title: Option<Box<str>>,
    tags: Option<Box<str>>,
}

/// Returns `None` if the body says no title.
fn said(event: &EventRecord) -> Option<Said> {
    let callback = Callback::decode(event.raw.as_ref()?).ok()?;
    if let Some(track) = callback.tracks.iter().find(|track| track.title.is_some()) {
        return Some(Said {
            title: short(track.title.as_deref()),
            tags: short(track.tags.as_deref()),
        });
    }
    match callback.output() {
        Output::Lyrics(all) => {
            let title = all.iter().find_map(|lyrics| lyrics.title.as_deref())?;
            Some(Said {
                title: short(Some(title)),
                tags: None,
            })
        }
        _ => None,
    }
}

fn short(text: Option<&str>) -> Option<Box<str>> {
    let text = text.filter(|text| !text.is_empty())?;
    let end = text.char_indices().nth(TEXT_CHARS_MAX);
    Some(end.map_or(text, |(end, _)| &text[..end]).into())
}

/// The conditions for the tasks of a list. All of them must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in super::super) struct Filter {
    /// In lower case: in the title, the tags, the reference or the id.
    pub(in super::super) text: Option<String>,
    /// An event of the task is in this state.
    pub(in super::super) state: Option<StateName>,
    /// The task has no event yet.
    pub(in super::super) is_expected: bool,
    pub(in super::super) product: Option<String>,
    pub(in super::super) needs_person: bool,
}
