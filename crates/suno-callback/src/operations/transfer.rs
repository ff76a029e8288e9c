//! Moves a store to another one: as lines of JSON that are exported from one and imported into the
//! other.
//!
//! What is exported: events with their bodies, states and conflicts; the quarantine; open intents; tasks
//! whose callbacks are expected, with their submits. Of other tasks, the submits are not exported: their
//! events carry the references.

mod line;

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use line::ExportLine;

use crate::content::Content;
use crate::delivery::Delivery;
use crate::key::{EventId, SubmitId};
use crate::reconcile::Reconciler;
use crate::store::{
    Acceptance, AdoptedEvent, Adoption, EventFilter, ExpectedTask, IdempotencyStore, Intent,
    ListRequest, OpenIntent, PollState, RecordedTask, StoreError,
};

/// The maximum number of records in one step of an export: each event is read with its body.
const STEP: u32 = 64;
/// The maximum number of events that are adopted together, and of bytes of their bodies, roughly.
const ADOPTED_MAX: usize = 64;
const ADOPTED_BYTES_MAX: usize = 8 << 20;

/// The place up to which a store was exported: an event, then an entry of the quarantine, then an
/// intent, then an expected task. As text it is a letter and a number, such as `e120`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ExportCursor {
    /// After this event.
    Event(EventId),
    /// After this entry of the quarantine.
    Quarantined(EventId),
    /// After this intent.
    Intent(u64),
    /// After this expected task. The latest one is the first.
    Expected(u64),
}

impl fmt::Display for ExportCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(id) => write!(f, "e{id}"),
            Self::Quarantined(id) => write!(f, "q{id}"),
            Self::Intent(number) => write!(f, "i{number}"),
            Self::Expected(number) => write!(f, "t{number}"),
        }
    }
}

/// An error: the text is not an [`ExportCursor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a place in an export is written like e120, q7, i3 or t9, as its lines have it")]
#[non_exhaustive]
pub struct InvalidCursor;

impl FromStr for ExportCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let number = text.get(1..).ok_or(InvalidCursor)?;
        let id = || number.parse().map(EventId).map_err(|_| InvalidCursor);
        match text.as_bytes().first() {
            Some(b'e') => Ok(Self::Event(id()?)),
            Some(b'q') => Ok(Self::Quarantined(id()?)),
            Some(b'i') => number.parse().map(Self::Intent).map_err(|_| InvalidCursor),
            Some(b't') => number
                .parse()
                .map(Self::Expected)
                .map_err(|_| InvalidCursor),
            _ => Err(InvalidCursor),
        }
    }
}

/// Returns the next lines of an export, and the place after them; `None` at the end. Without `after`, it
/// begins with the first event.
///
/// Events that are purged during the export are left out. One whose state changes appears once, with the
/// state that it had when it was read.
///
/// # Errors
///
/// Returns [`StoreError`] if the store cannot be read.
pub async fn export_page(
    store: &dyn IdempotencyStore,
    after: Option<ExportCursor>,
) -> Result<(Vec<ExportLine>, Option<ExportCursor>), StoreError> {
    match after {
        None => export_events(store, None).await,
        Some(ExportCursor::Event(id)) => export_events(store, Some(id)).await,
        Some(ExportCursor::Quarantined(id)) => export_quarantine(store, Some(id)).await,
        Some(ExportCursor::Intent(number)) => export_intents(store, number).await,
        Some(ExportCursor::Expected(number)) => export_expected(store, number).await,
    }
}

async fn export_events(
    store: &dyn IdempotencyStore,
    after: Option<EventId>,
) -> Result<(Vec<ExportLine>, Option<ExportCursor>), StoreError> {
    let mut request = ListRequest::first(STEP, EventFilter::default());
    request.after = after;
    let page = store.list(&request).await?;
    let mut lines = Vec::new();
    for listed in &page.records {
        let events = store.find(listed.key.task_id()).await?;
        let Some(record) = events.into_iter().find(|event| event.id == listed.id) else {
            continue;
        };
        let conflicts = match record.conflicts {
            0 => Vec::new(),
            _ => store.conflicts(record.id).await?,
        };
        lines.push(ExportLine::Event(Box::new(AdoptedEvent::new(
            record, conflicts,
        ))));
    }
    let next = match page.next {
        Some(next) => ExportCursor::Event(next),
        // Entries of the quarantine have numbers above this one.
        None => ExportCursor::Quarantined(EventId(i64::MIN)),
    };
    Ok((lines, Some(next)))
}

async fn export_quarantine(
    store: &dyn IdempotencyStore,
    after: Option<EventId>,
) -> Result<(Vec<ExportLine>, Option<ExportCursor>), StoreError> {
    let page = store.quarantine(after, STEP).await?;
    let lines = page.records.into_iter().map(Box::new);
    let next = page.next.map(ExportCursor::Quarantined);
    Ok((
        lines.map(ExportLine::Quarantined).collect(),
        next.or(Some(ExportCursor::Intent(0))),
    ))
}

async fn export_intents(
    store: &dyn IdempotencyStore,
    after: u64,
) -> Result<(Vec<ExportLine>, Option<ExportCursor>), StoreError> {
    let after = Some(after).filter(|after| *after > 0);
    let intents = store.open_intents(Duration::ZERO, after, STEP).await?;
    let next = match intents.len() >= STEP as usize {
        true => intents.last().map(|last| ExportCursor::Intent(last.number)),
        false => Some(ExportCursor::Expected(u64::MAX)),
    };
    Ok((intents.into_iter().map(ExportLine::Intent).collect(), next))
}

async fn export_expected(
    store: &dyn IdempotencyStore,
    before: u64,
) -> Result<(Vec<ExportLine>, Option<ExportCursor>), StoreError> {
    let before = Some(before).filter(|before| *before < u64::MAX);
    let tasks = store.expected_tasks(before, STEP).await?;
    let last = tasks.last().and_then(|last| last.expectation);
    let last = last.filter(|_| tasks.len() >= STEP as usize);
    let lines = tasks.into_iter().map(Box::new).map(ExportLine::Expected);
    Ok((
        lines.collect(),
        last.map(|last| ExportCursor::Expected(last.number)),
    ))
}

/// What an import has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ImportReport {
    /// Events that were stored.
    pub adopted: u64,
    /// Events that the store had already.
    pub known: u64,
    /// Deliveries that are in quarantine now, or were before.
    pub quarantined: u64,
    /// Quarantined deliveries that this version can decode, and that were accepted.
    pub accepted: u64,
    /// Deliveries that exceed the bound of the quarantine.
    pub dropped: u64,
    /// Open intents that were recorded.
    pub intents: u64,
    /// Tasks that the import made expected. The store did not know them before.
    pub expected: u64,
}

/// The reason why an import cannot go on. What was imported before stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A line is not one of an export. The text never shows its content.
    #[error("it is not a line of an export: {0}")]
    InvalidLine(Box<str>),
    /// A line was written by a later version.
    #[error("it has schema {0}, and this program reads up to {max}; upgrade this program", max = ExportLine::SCHEMA)]
    NewerSchema(u64),
    /// The store failed. It is safe to import the same lines again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Imports the lines of an export into a store.
///
/// Importing is idempotent: twice is the same as once. What was handled is not handled again.
#[derive(Debug)]
pub struct Importer<'a> {
    store: &'a dyn IdempotencyStore,
    must_confirm: bool,
    events: Vec<AdoptedEvent>,
    events_bytes: usize,
    /// The submits that are open, after the first intent.
    open: Option<HashSet<SubmitId>>,
    report: ImportReport,
}

impl<'a> Importer<'a> {
    /// Creates an importer. With `must_confirm`, quarantined deliveries that this version can decode are
    /// unconfirmed.
    #[must_use]
    pub fn new(store: &'a dyn IdempotencyStore, must_confirm: bool) -> Self {
        Self {
            store,
            must_confirm,
            events: Vec::new(),
            events_bytes: 0,
            open: None,
            report: ImportReport::default(),
        }
    }

    /// Imports a line. Events are stored in batches: call [`finish`](Self::finish) after the last line.
    ///
    /// # Errors
    ///
    /// Returns [`ImportError`] if the line is not valid, or if the store failed.
    pub async fn line(&mut self, line: &str) -> Result<(), ImportError> {
        match ExportLine::parse(line)? {
            ExportLine::Event(event) => {
                self.events_bytes += event.record.raw.as_ref().map_or(0, bytes::Bytes::len);
                self.events.push(*event);
                if self.events.len() >= ADOPTED_MAX || self.events_bytes >= ADOPTED_BYTES_MAX {
                    self.adopt().await?;
                }
                Ok(())
            }
            ExportLine::Quarantined(entry) => {
                let delivery = Delivery::of_entry(&entry).with_unconfirmed(self.must_confirm);
                let is_decoded = matches!(delivery.content, Content::Event { .. });
                for accepted in self.store.accept(&[delivery]).await? {
                    *match accepted {
                        Acceptance::Dropped => &mut self.report.dropped,
                        Acceptance::Quarantined => &mut self.report.quarantined,
                        _ if is_decoded => &mut self.report.accepted,
                        _ => &mut self.report.quarantined,
                    } += 1;
                }
                Ok(())
            }
            ExportLine::Intent(intent) => {
                if self.intend(intent).await? {
                    self.report.intents += 1;
                }
                Ok(())
            }
            ExportLine::Expected(task) => self.expect(*task).await,
        }
    }

    /// Expects a task, with its submit, unless the store knows of it. Its time begins anew; the provider
    /// is asked when it would have been asked there.
    async fn expect(&mut self, task: RecordedTask) -> Result<(), ImportError> {
        let known = self
            .store
            .recorded_tasks(std::slice::from_ref(&task.task_id))
            .await?;
        let is_known = |known: &RecordedTask| known.submit.is_some() || known.expectation.is_some();
        if known.iter().any(is_known) {
            return Ok(());
        }
        let kind = task.kind.unwrap_or_default();
        let due_after = match task.expectation.map(|expectation| expectation.poll) {
            Some(PollState::Waiting { due_in }) => due_in,
            _ => Duration::ZERO,
        };
        if let (Some(submit), Some(intended_at)) = (task.submit, task.intended_at) {
            let mut intent = OpenIntent::new(0, submit, intended_at, Duration::ZERO);
            intent.reference = task.reference;
            intent.kind = kind.clone();
            self.intend(intent).await?;
        }
        let mut expected = ExpectedTask::new(task.task_id, due_after).with_kind(kind);
        expected.submit = task.submit;
        self.store.expect(&expected).await?;
        self.report.expected += 1;
        Ok(())
    }

    /// Records an intent, unless it is open already: recording it again would begin its time anew. Returns
    /// whether it was recorded.
    async fn intend(&mut self, intent: OpenIntent) -> Result<bool, ImportError> {
        if self.open.is_none() {
            let open = self
                .store
                .open_intents(Duration::ZERO, None, u32::MAX)
                .await?;
            self.open = Some(open.iter().map(|intent| intent.submit).collect());
        }
        let open = self.open.get_or_insert_default();
        if !open.insert(intent.submit) {
            return Ok(false);
        }
        let due_after = Reconciler::DUE_AFTER;
        let record = Intent::new(intent.submit, intent.intended_at, due_after)
            .with_reference(intent.reference)
            .with_kind(intent.kind);
        self.store.intend(&record).await?;
        Ok(true)
    }

    /// Stores what is left, and returns what was done.
    ///
    /// # Errors
    ///
    /// Returns [`ImportError`] if the store failed.
    pub async fn finish(mut self) -> Result<ImportReport, ImportError> {
        self.adopt().await?;
        Ok(self.report)
    }

    async fn adopt(&mut self) -> Result<(), ImportError> {
        let adoptions = self.store.adopt(&self.events).await?;
        self.events.clear();
        self.events_bytes = 0;
        for adoption in adoptions {
            match adoption {
                Adoption::Adopted => self.report.adopted += 1,
                Adoption::Known => self.report.known += 1,
            }
        }
        Ok(())
    }
}
