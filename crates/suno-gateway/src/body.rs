//! The JSON body that is sent for an event: `{"type", "timestamp", "data"}`.
//!
//! The body is a function of the event as it is stored, so it has the same bytes on every attempt.
//! `docs/webhook.schema.json` describes it.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use suno_callback::{Event, EventKey, Reference, Source, SubmitId, UrlSuffix, VerifiedBy};
use suno_types::{Callback, Code, Product};

use crate::content::{self, CallbackContent};
use crate::signing::MessageId;

/// The amount of detail in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum BodyForm {
    /// Everything that the event says, with its lyrics. It can be larger than the 20 kB that
    /// Standard Webhooks recommends.
    #[default]
    Full,
    /// Ids only: the task, the stage, the code and the tracks. The consumer asks for the rest.
    Thin,
}

/// The input of a body.
///
/// An [`Event`] has all of it. So has a record of the store, after its body was decoded.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct EventParts<'a> {
    /// The task, the stage and the revision.
    pub key: &'a EventKey,
    /// The decoded callback.
    pub callback: &'a Callback,
    /// The way in which the event became known.
    pub source: Source,
    /// The methods by which the sender was verified.
    pub verified_by: VerifiedBy,
    /// The time at which the first delivery was received.
    pub received_at: Timestamp,
    /// The part of the callback URL that the application chose.
    pub suffix: Option<&'a UrlSuffix>,
    /// The submit that the callback URL named.
    pub submit: Option<SubmitId>,
    /// The application's own name for that submit.
    pub reference: Option<&'a Reference>,
}

impl<'a> EventParts<'a> {
    /// Creates the parts of an event that arrived by a callback, with nothing known about its submit.
    #[must_use]
    pub fn new(key: &'a EventKey, callback: &'a Callback, received_at: Timestamp) -> Self {
        Self {
            key,
            callback,
            source: Source::Callback,
            verified_by: VerifiedBy::default(),
            received_at,
            suffix: None,
            submit: None,
            reference: None,
        }
    }
}

impl<'a> From<&'a Event> for EventParts<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            key: event.key(),
            callback: event.callback(),
            source: event.source(),
            verified_by: event.verified_by(),
            received_at: event.received_at(),
            suffix: Some(event.suffix()),
            submit: event.submit(),
            reference: event.reference(),
        }
    }
}

/// An event as it is sent.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The id of the event, the same on every attempt.
    pub id: MessageId,
    /// The task, the stage and the revision.
    pub key: EventKey,
    /// The type of the event, such as `suno.songs.complete`.
    pub kind: Box<str>,
    /// The JSON body, in UTF-8.
    pub body: Bytes,
}

impl Message {
    /// Makes the message of an event.
    #[must_use]
    pub fn new<'a>(event: impl Into<EventParts<'a>>, form: BodyForm) -> Self {
        let parts = event.into();
        Self::with_id(parts, form, MessageId::of(parts.key))
    }

    /// Makes the message of a copy of an event, with an id of its own.
    #[must_use]
    pub fn with_id<'a>(event: impl Into<EventParts<'a>>, form: BodyForm, id: MessageId) -> Self {
        let parts = event.into();
        let kind = kind(&parts.callback.product(), parts.key.stage().as_str());
        let (id_text, kind_text) = (id.as_str(), &*kind);
        let body = match form {
            BodyForm::Full => envelope(kind_text, &parts, FullData::new(id_text, &parts)),
            BodyForm::Thin => envelope(kind_text, &parts, ThinData::new(id_text, &parts)),
        };
        Self {
            id,
            key: parts.key.clone(),
            kind,
            body,
        }
    }
}

/// Leaves out the body: titles and lyrics belong to users.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The type of an event: words of letters, digits and `_`, with points between them.
fn kind(product: &Product, stage: &str) -> Box<str> {
    let product = match product {
        song if *song == Product::SONG => "songs",
        cover if *cover == Product::COVER => "covers",
        other => other.as_str(),
    };
    format!("suno.{}.{}", word(product), word(stage)).into()
}

/// A word in the characters that a type may have.
fn word(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    text.chars().map(plain).collect()
}

fn envelope(kind: &str, parts: &EventParts<'_>, data: impl Serialize) -> Bytes {
    #[derive(Serialize)]
    struct Envelope<'a, D> {
        r#type: &'a str,
        timestamp: String,
        data: D,
    }
    let envelope = Envelope {
        r#type: kind,
        timestamp: parts.received_at.to_string(),
        data,
    };
    #[expect(
        clippy::expect_used,
        reason = "text, numbers and members that were parsed are always JSON"
    )]
    let body = serde_json::to_vec(&envelope).expect("the parts of a message are JSON");
    body.into()
}

/// The `data` of the full form.
#[derive(Serialize)]
struct FullData<'a> {
    id: &'a str,
    task_id: &'a str,
    stage: &'a str,
    revision: u32,
    source: &'static str,
    verified_by: Vec<&'static str>,
    received_at: String,
    path: &'a str,
    query: &'a str,
    submit: Option<String>,
    reference: Option<&'a str>,
    #[serde(flatten)]
    content: CallbackContent<'a>,
}

impl<'a> FullData<'a> {
    fn new(id: &'a str, parts: &EventParts<'a>) -> Self {
        Self {
            id,
            task_id: parts.key.task_id().as_str(),
            stage: parts.key.stage().as_str(),
            revision: parts.key.revision(),
            source: parts.source.as_str(),
            verified_by: content::verified_by(parts.verified_by),
            received_at: parts.received_at.to_string(),
            path: parts.suffix.map_or("", UrlSuffix::path),
            query: parts.suffix.map_or("", UrlSuffix::query),
            submit: parts.submit.map(|submit| submit.to_string()),
            reference: parts.reference.map(Reference::as_str),
            content: parts.callback.into(),
        }
    }
}

/// The `data` of the thin form.
#[derive(Serialize)]
struct ThinData<'a> {
    id: &'a str,
    task_id: &'a str,
    stage: &'a str,
    revision: u32,
    product: Product,
    #[serde(serialize_with = "content::code")]
    code: Code,
    submit: Option<String>,
    reference: Option<&'a str>,
    track_ids: Vec<Option<&'a str>>,
}

impl<'a> ThinData<'a> {
    fn new(id: &'a str, parts: &EventParts<'a>) -> Self {
        let tracks = parts.callback.tracks.iter();
        Self {
            id,
            task_id: parts.key.task_id().as_str(),
            stage: parts.key.stage().as_str(),
            revision: parts.key.revision(),
            product: parts.callback.product(),
            code: parts.callback.code,
            submit: parts.submit.map(|submit| submit.to_string()),
            reference: parts.reference.map(Reference::as_str),
            track_ids: tracks
                .map(|track| track.id.as_ref().map(|id| id.as_str()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_words_of_letters_digits_and_underscores() {
        for (product, stage, expected) in [
            (Product::SONG, "complete", "suno.songs.complete"),
            (Product::COVER, "complete", "suno.covers.complete"),
            (
                Product::VOICE_PHRASE,
                "wait_validating",
                "suno.voice_phrase.wait_validating",
            ),
            (
                Product::from("Neues/Ding"),
                "half done.",
                "suno.Neues_Ding.half_done_",
            ),
        ] {
            assert_eq!(&*kind(&product, stage), expected);
        }
    }
}
