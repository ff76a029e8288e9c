//! One task of the list, made of its events.

use jiff::Timestamp;
use serde_json::{Value, json};
use suno_callback::{EventRecord, Reference, StateName, VerifiedBy};
use suno_types::{Callback, Output, Product};

use crate::content::verified_by;

/// The maximum number of characters of a title, and of the tags.
const TEXT_CHARS_MAX: usize = 200;
/// The maximum number of stages in a row. A task has few, but its sender decides how many.
const STAGES_MAX: usize = 16;
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
    /// The number of the first event. Rows are ordered by it.
    pub(super) first_id: i64,
    first_at: Timestamp,
    latest_at: Timestamp,
    title: Option<Box<str>>,
    tags: Option<Box<str>>,
    product: Product,
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
    /// Returns `None` if there are no events.
    pub(super) fn of(events: &[EventRecord]) -> Option<Self> {
        let (first, latest) = (events.first()?, events.last()?);
        let said = events.iter().rev().find_map(said);
        let Said { title, tags } = said.unwrap_or_default();
        Some(Self {
            task_id: first.key.task_id().as_str().into(),
            first_id: first.id.0,
            first_at: first.received_at,
            latest_at: latest.received_at,
            title,
            tags,
            product: latest.product.clone(),
            reference: events.iter().find_map(reference),
            stages: events.iter().take(STAGES_MAX).map(StageRow::of).collect(),
            attempts: events.iter().map(|event| event.attempts).max()?,
            conflicts: events
                .iter()
                .fold(0, |sum, event| sum.saturating_add(event.conflicts)),
        })
    }

    fn state(&self) -> StateName {
        let has = |state: &&StateName| self.stages.iter().any(|stage| stage.state == **state);
        RANKS.iter().find(has).copied().unwrap_or(StateName::Done)
    }

    pub(super) fn needs_person(&self) -> bool {
        self.state() == StateName::Dead
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
            && filter.state.is_none_or(has)
            && filter
                .product
                .as_ref()
                .is_none_or(|product| self.product.as_str() == product)
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
            "first_id": self.first_id.to_string(),
            "first_at": self.first_at.to_string(),
            "latest_at": self.latest_at.to_string(),
            "title": self.title,
            "tags": self.tags,
            "product": self.product.as_str(),
            "reference": self.reference,
            "state": self.state().as_str(),
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
    pub(in super::super) product: Option<String>,
    pub(in super::super) needs_person: bool,
}
