//! The lines of an export: one JSON object each, which `docs/inbox.schema.json` describes.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use suno_types::{Code, Product, Stage, TaskId};

use super::{ExportCursor, ImportError};
use crate::key::{EventId, EventKey, Reference, SubmitId};
use crate::origin::{Source, VerifiedBy};
use crate::store::{
    AdoptedEvent, ConflictRecord, DeadCause, EventRecord, EventState, Expectation, OpenIntent,
    PollState, QuarantinedDelivery, RecordedTask, StateName,
};
use crate::url_suffix::UrlSuffix;

/// One line of an export.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ExportLine {
    /// An event with its body, its state and its conflicts.
    Event(Box<AdoptedEvent>),
    /// A delivery in quarantine.
    Quarantined(Box<QuarantinedDelivery>),
    /// An open intent.
    Intent(OpenIntent),
    /// An expected task with its submit.
    Expected(Box<RecordedTask>),
}

impl ExportLine {
    /// The version of the lines that this version writes.
    pub const SCHEMA: u64 = 1;

    /// Returns the place after this line, from which an export can be continued.
    #[must_use]
    pub fn cursor(&self) -> ExportCursor {
        match self {
            Self::Event(event) => ExportCursor::Event(event.record.id),
            Self::Quarantined(entry) => ExportCursor::Quarantined(entry.id),
            Self::Intent(intent) => ExportCursor::Intent(intent.number),
            Self::Expected(task) => ExportCursor::Expected(number(task)),
        }
    }

    /// Returns the line as JSON, without a line end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let line = Line {
            schema: Self::SCHEMA,
            cursor: self.cursor().to_string(),
            record: match self {
                Self::Event(event) => Record::Event(EventLine::of(event)),
                Self::Quarantined(entry) => Record::Quarantined(EntryLine::of(entry)),
                Self::Intent(intent) => Record::Intent(IntentLine::of(intent)),
                Self::Expected(task) => Record::Expected(ExpectedLine::of(task)),
            },
        };
        #[expect(clippy::expect_used, reason = "texts and numbers are always JSON")]
        serde_json::to_string(&line).expect("a line is JSON")
    }

    /// Parses a line.
    ///
    /// # Errors
    ///
    /// Returns [`ImportError`] if the text is not a whole line of an export, or one of a later version.
    pub fn parse(text: &str) -> Result<Self, ImportError> {
        #[derive(Deserialize)]
        struct Version {
            schema: u64,
        }
        let version: Version = serde_json::from_str(text).map_err(|err| invalid(&err))?;
        if version.schema > Self::SCHEMA {
            return Err(ImportError::NewerSchema(version.schema));
        }
        let line: Line = serde_json::from_str(text).map_err(|err| invalid(&err))?;
        let parsed = match line.record {
            Record::Event(event) => event.parse().map(Box::new).map(Self::Event),
            Record::Quarantined(entry) => entry.parse().map(Box::new).map(Self::Quarantined),
            Record::Intent(intent) => intent.parse().map(Self::Intent),
            Record::Expected(task) => task.parse().map(Box::new).map(Self::Expected),
        };
        parsed.ok_or_else(|| ImportError::InvalidLine("a member has a value that cannot be".into()))
    }
}

/// Leaves out the text of the error, which may contain a value.
fn invalid(err: &serde_json::Error) -> ImportError {
    let what = match err.classify() {
        serde_json::error::Category::Eof => "it is cut off",
        serde_json::error::Category::Syntax => "it is not JSON",
        _ => "a member is missing or has the wrong type",
    };
    ImportError::InvalidLine(format!("{what} at column {}", err.column()).into())
}

#[derive(Serialize, Deserialize)]
struct Line {
    schema: u64,
    cursor: String,
    #[serde(flatten)]
    record: Record,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Record {
    Event(EventLine),
    Quarantined(EntryLine),
    Intent(IntentLine),
    Expected(ExpectedLine),
}

/// A body: text where it is UTF-8, and base64 where it is not.
#[derive(Default, Serialize, Deserialize)]
struct Body {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl Body {
    fn of(raw: Option<&Bytes>) -> Self {
        let Some(raw) = raw else {
            return Self::default();
        };
        match std::str::from_utf8(raw) {
            Ok(text) => Self {
                body: Some(text.to_owned()),
                body_base64: None,
            },
            Err(_) => Self {
                body: None,
                body_base64: Some(STANDARD.encode(raw)),
            },
        }
    }

    /// Returns the outer `None` if the base64 is not valid.
    fn parse(self) -> Option<Option<Bytes>> {
        match (self.body, self.body_base64) {
            (Some(text), _) => Some(Some(text.into())),
            (None, Some(text)) => Some(Some(STANDARD.decode(text).ok()?.into())),
            (None, None) => Some(None),
        }
    }
}

/// Where something came from.
#[derive(Serialize, Deserialize)]
struct Origin {
    source: String,
    verified_by: Vec<String>,
}

impl Origin {
    fn of(source: Source, verified_by: VerifiedBy) -> Self {
        Self {
            source: source.as_str().to_owned(),
            verified_by: verified_by.words().map(str::to_owned).collect(),
        }
    }

    fn parse(&self) -> Option<(Source, VerifiedBy)> {
        let source = [Source::Callback, Source::Poll]
            .into_iter()
            .find(|source| source.as_str() == self.source)?;
        let has = |word: &str| self.verified_by.iter().any(|known| known == word);
        let verified_by = VerifiedBy {
            signature: has("signature"),
            token: has("token"),
            record: has("record"),
        };
        Some((source, verified_by))
    }
}

/// The submit that a callback URL named, and the rest of that URL.
#[derive(Serialize, Deserialize)]
struct Address {
    suffix: Option<String>,
    submit: Option<String>,
}

impl Address {
    fn of(suffix: Option<&UrlSuffix>, submit: Option<SubmitId>) -> Self {
        Self {
            suffix: suffix.map(ToString::to_string),
            submit: submit.map(|submit| submit.to_string()),
        }
    }

    fn parse(&self) -> Option<(Option<UrlSuffix>, Option<SubmitId>)> {
        let submit = self
            .submit
            .as_ref()
            .map(|submit| submit.parse())
            .transpose();
        let suffix = self.suffix.as_deref().map(UrlSuffix::from_text);
        Some((suffix, submit.ok()?))
    }
}

#[derive(Serialize, Deserialize)]
struct EventLine {
    id: i64,
    task_id: String,
    stage: String,
    revision: u32,
    state: String,
    code: i64,
    product: String,
    results: u16,
    attempts: u32,
    lapses: u32,
    reason: Option<String>,
    dead_cause: Option<String>,
    unconfirmed: bool,
    received_at: String,
    #[serde(flatten)]
    origin: Origin,
    #[serde(flatten)]
    address: Address,
    reference: Option<String>,
    task_kind: Option<String>,
    #[serde(flatten)]
    body: Body,
    conflicts: Vec<ConflictLine>,
}

impl EventLine {
    fn of(event: &AdoptedEvent) -> Self {
        let record = &event.record;
        Self {
            id: record.id.0,
            task_id: record.key.task_id().as_str().to_owned(),
            stage: record.key.stage().as_str().to_owned(),
            revision: record.key.revision(),
            state: StateName::from(record.state).as_str().to_owned(),
            code: record.code.0,
            product: record.product.as_str().to_owned(),
            results: record.results,
            attempts: record.attempts,
            lapses: record.lapses,
            reason: record.reason.clone(),
            dead_cause: record.dead_cause.map(|cause| cause.as_str().to_owned()),
            unconfirmed: record.unconfirmed,
            received_at: record.received_at.to_string(),
            origin: Origin::of(record.source, record.verified_by),
            address: Address::of(record.suffix.as_ref(), record.submit),
            reference: record.reference.as_ref().map(ToString::to_string),
            task_kind: record.kind.as_ref().map(ToString::to_string),
            body: Body::of(record.raw.as_ref()),
            conflicts: event.conflicts.iter().map(ConflictLine::of).collect(),
        }
    }

    fn parse(self) -> Option<AdoptedEvent> {
        let key = EventKey::new(TaskId::new(self.task_id).ok()?, Stage::from(&*self.stage));
        let key = key.with_revision(self.revision);
        let received_at = self.received_at.parse().ok()?;
        let mut record = EventRecord::new(EventId(self.id), key, Code(self.code), received_at);
        let state = StateName::ALL
            .into_iter()
            .find(|state| state.as_str() == self.state)?;
        record.state = match state {
            StateName::Done => EventState::Done,
            StateName::Dead => EventState::Dead,
            StateName::Superseded => EventState::Superseded,
            // The leases and waits of the other store do not hold here.
            StateName::Ready | StateName::Claimed | StateName::Waiting => EventState::Ready,
        };
        record.product = Product::from(&*self.product);
        record.results = self.results;
        record.attempts = self.attempts;
        record.lapses = self.lapses;
        record.reason = self.reason;
        record.dead_cause = self.dead_cause.as_deref().and_then(DeadCause::from_word);
        record.unconfirmed = self.unconfirmed;
        (record.source, record.verified_by) = self.origin.parse()?;
        (record.suffix, record.submit) = self.address.parse()?;
        record.reference = self.reference.map(Reference::new).transpose().ok()?;
        let kind = self.task_kind.map(|kind| kind.parse()).transpose();
        record.kind = kind.ok()?;
        record.raw = self.body.parse()?;
        let conflicts = self.conflicts.into_iter().map(ConflictLine::parse);
        let conflicts = conflicts.collect::<Option<_>>()?;
        Some(AdoptedEvent::new(record, conflicts))
    }
}

#[derive(Serialize, Deserialize)]
struct ConflictLine {
    received_at: Option<String>,
    source: Option<String>,
    verified_by: Vec<String>,
    #[serde(flatten)]
    body: Body,
}

impl ConflictLine {
    fn of(conflict: &ConflictRecord) -> Self {
        Self {
            received_at: conflict.received_at.map(|at| at.to_string()),
            source: conflict.source.map(|source| source.as_str().to_owned()),
            verified_by: conflict.verified_by.words().map(str::to_owned).collect(),
            body: Body::of(conflict.raw.as_ref()),
        }
    }

    fn parse(self) -> Option<ConflictRecord> {
        let record = ConflictRecord::new(self.body.parse()?);
        let (Some(at), Some(source)) = (self.received_at, self.source) else {
            return Some(record);
        };
        let verified_by = self.verified_by;
        let origin = Origin {
            source,
            verified_by,
        };
        let (source, verified_by) = origin.parse()?;
        Some(record.with_origin(at.parse().ok()?, source, verified_by))
    }
}

#[derive(Serialize, Deserialize)]
struct EntryLine {
    id: i64,
    task_id: Option<String>,
    reason: String,
    received_at: String,
    #[serde(flatten)]
    origin: Origin,
    #[serde(flatten)]
    address: Address,
    #[serde(flatten)]
    body: Body,
}

impl EntryLine {
    fn of(entry: &QuarantinedDelivery) -> Self {
        Self {
            id: entry.id.0,
            task_id: entry.task_id.as_ref().map(ToString::to_string),
            reason: entry.reason.clone(),
            received_at: entry.received_at.to_string(),
            origin: Origin::of(entry.source, entry.verified_by),
            address: Address::of(entry.suffix.as_ref(), entry.submit),
            body: Body::of(Some(&entry.raw)),
        }
    }

    fn parse(self) -> Option<QuarantinedDelivery> {
        let task_id = self.task_id.map(TaskId::new).transpose().ok()?;
        let received_at: Timestamp = self.received_at.parse().ok()?;
        let raw = self.body.parse()??;
        let id = EventId(self.id);
        let mut entry = QuarantinedDelivery::new(id, task_id, self.reason, received_at, raw);
        (entry.source, entry.verified_by) = self.origin.parse()?;
        (entry.suffix, entry.submit) = self.address.parse()?;
        Some(entry)
    }
}

#[derive(Serialize, Deserialize)]
struct IntentLine {
    number: u64,
    submit: String,
    intended_at: String,
    open_seconds: u64,
    reference: Option<String>,
    task_kind: String,
}

impl IntentLine {
    fn of(intent: &OpenIntent) -> Self {
        Self {
            number: intent.number,
            submit: intent.submit.to_string(),
            intended_at: intent.intended_at.to_string(),
            open_seconds: intent.open_for.as_secs(),
            reference: intent.reference.as_ref().map(ToString::to_string),
            task_kind: intent.kind.to_string(),
        }
    }

    fn parse(self) -> Option<OpenIntent> {
        let submit = self.submit.parse().ok()?;
        let intended_at = self.intended_at.parse().ok()?;
        let open_for = Duration::from_secs(self.open_seconds);
        let mut intent = OpenIntent::new(self.number, submit, intended_at, open_for);
        intent.reference = self.reference.map(Reference::new).transpose().ok()?;
        intent.kind = self.task_kind.parse().ok()?;
        Some(intent)
    }
}

#[derive(Serialize, Deserialize)]
struct ExpectedLine {
    number: u64,
    task_id: String,
    task_kind: Option<String>,
    expected_seconds: u64,
    /// Zero if the task is due, or is being asked about.
    due_in_seconds: u64,
    answers: u32,
    submit: Option<String>,
    intended_at: Option<String>,
    reference: Option<String>,
}

/// The store's number of an expected task.
fn number(task: &RecordedTask) -> u64 {
    task.expectation.map_or(0, |expectation| expectation.number)
}

impl ExpectedLine {
    fn of(task: &RecordedTask) -> Self {
        let expectation = task.expectation;
        let due_in = match expectation.map(|expectation| expectation.poll) {
            Some(PollState::Waiting { due_in }) => due_in,
            _ => Duration::ZERO,
        };
        Self {
            number: number(task),
            task_id: task.task_id.to_string(),
            task_kind: task.kind.as_ref().map(ToString::to_string),
            expected_seconds: expectation.map_or(0, |expectation| expectation.age.as_secs()),
            due_in_seconds: due_in.as_secs(),
            answers: expectation.map_or(0, |expectation| expectation.answers),
            submit: task.submit.map(|submit| submit.to_string()),
            intended_at: task.intended_at.map(|at| at.to_string()),
            reference: task.reference.as_ref().map(ToString::to_string),
        }
    }

    fn parse(self) -> Option<RecordedTask> {
        let mut task = RecordedTask::new(TaskId::new(self.task_id).ok()?);
        let due_in = Duration::from_secs(self.due_in_seconds);
        let age = Duration::from_secs(self.expected_seconds);
        let poll = PollState::Waiting { due_in };
        let mut expectation = Expectation::new(self.number, age, poll);
        expectation.answers = self.answers;
        task.expectation = Some(expectation);
        task.kind = self.task_kind.map(|kind| kind.parse()).transpose().ok()?;
        task.submit = self.submit.map(|submit| submit.parse()).transpose().ok()?;
        task.intended_at = self.intended_at.map(|at| at.parse()).transpose().ok()?;
        task.reference = self.reference.map(Reference::new).transpose().ok()?;
        Some(task)
    }
}
