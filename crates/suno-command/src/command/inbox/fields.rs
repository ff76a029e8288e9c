//! The members of an event in JSON, and how some of them are chosen.

use anyhow::anyhow;
use serde_json::{Map, Value, json};
use suno_callback::{EventState, StateName};
use suno_gateway::signing::MessageId;

use super::row::Row;
use crate::failure::Failure;

/// The version of the JSON that `suno inbox` prints.
pub(super) const SCHEMA: u64 = 1;

/// A member of an event: its name and its value.
type Field = (&'static str, fn(&Row) -> Value);

/// The name of the only member for which the body is read.
const TITLE: &str = "title";

const FIELDS: &[Field] = &[
    ("id", |row| json!(row.record.id.0)),
    ("webhook_id", |row| {
        json!(MessageId::of(&row.record.key).as_str())
    }),
    ("task_id", |row| json!(row.record.key.task_id().as_str())),
    ("stage", |row| json!(row.record.key.stage().as_str())),
    ("revision", |row| json!(row.record.key.revision())),
    ("state", |row| {
        json!(StateName::from(row.record.state).as_str())
    }),
    ("holds_for_ms", |row| match row.record.state {
        EventState::Claimed { holds_for } => json!(holds_for.as_millis() as u64),
        _ => Value::Null,
    }),
    ("ready_in_ms", |row| match row.record.state {
        EventState::Waiting { ready_in } => json!(ready_in.as_millis() as u64),
        _ => Value::Null,
    }),
    ("code", |row| json!(row.record.code.0)),
    ("product", |row| json!(row.record.product.as_str())),
    ("results", |row| json!(row.record.results)),
    (TITLE, |row| json!(row.title)),
    ("attempts", |row| json!(row.record.attempts)),
    ("lapses", |row| json!(row.record.lapses)),
    ("reason", |row| json!(row.record.reason)),
    ("dead_cause", |row| {
        json!(row.record.dead_cause.map(|cause| cause.as_str()))
    }),
    ("source", |row| json!(row.record.source.as_str())),
    ("verified_by", |row| {
        json!(row.record.verified_by.words().collect::<Vec<_>>())
    }),
    ("unconfirmed", |row| json!(row.record.unconfirmed)),
    ("received_at", |row| {
        json!(row.record.received_at.to_string())
    }),
    ("path", |row| {
        json!(
            row.record
                .suffix
                .as_ref()
                .map_or("", |suffix| suffix.path())
        )
    }),
    ("query", |row| {
        json!(
            row.record
                .suffix
                .as_ref()
                .map_or("", |suffix| suffix.query())
        )
    }),
    ("submit", |row| {
        json!(row.record.submit.map(|submit| submit.to_string()))
    }),
    ("reference", |row| {
        json!(row.record.reference.as_ref().map(|it| it.as_str()))
    }),
    ("conflicts", |row| json!(row.record.conflicts)),
];

/// The members that are printed.
#[derive(Debug)]
pub(super) struct Selection(Vec<&'static Field>);

impl Selection {
    /// Parses the value of `--json`: nothing for all members, or names with commas between them.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        if text.is_empty() {
            return Ok(Self(FIELDS.iter().collect()));
        }
        let find = |name: &str| {
            let field = FIELDS.iter().find(|(known, _)| *known == name);
            field.ok_or_else(|| {
                let names: Vec<_> = FIELDS.iter().map(|(name, _)| *name).collect();
                Failure::usage(anyhow!(
                    "there is no member `{name}`; --json takes {}",
                    names.join(", ")
                ))
            })
        };
        text.split(',')
            .map(str::trim)
            .map(find)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether the bodies must be read.
    pub(super) fn needs_body(&self) -> bool {
        self.0.iter().any(|(name, _)| *name == TITLE)
    }

    /// Returns the members of an event.
    pub(super) fn object(&self, row: &Row) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("schema".to_owned(), json!(SCHEMA));
        for (name, value) in &self.0 {
            object.insert((*name).to_owned(), value(row));
        }
        object
    }
}
