//! The lines of `--json`. `docs/lines.schema.json` describes them, and the tests check every line
//! that they see against it.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use suno_callback::{Content, Delivery, Event, EventKey, UrlSuffix, VerifiedBy};
use suno_gateway::attempt::Attempt;
use suno_gateway::signing::MessageId;
use suno_types::{
    Callback, Envelope, Extra, Lyrics, MediaFile, Output, Product, Stem, TaskId, TaskRecord, Track,
};

/// One line; its member `event` names the kind.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Line<'a> {
    Listening {
        url: &'a str,
        /// The URL of the admin service, if there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        admin: Option<&'a str>,
    },
    /// A destination of events, at the start.
    Destination {
        name: &'a str,
        /// `forward`, `exec` or `download`.
        kind: &'a str,
        /// The host of the URL, the program, or the folder.
        target: &'a str,
        /// Whether it took a connection; null if it is not a service.
        is_reachable: Option<bool>,
    },
    /// An attempt to hand an event to a destination.
    Attempt(Box<AttemptLine<'a>>),
    /// A destination went down, was paused, or works again.
    DestinationState {
        name: &'a str,
        state: &'a str,
    },
    Handled(Box<HandledLine<'a>>),
    /// A delivery whose content differs from that of the known event.
    Conflict(Box<UnhandledLine<'a>>),
    /// Both complete and failed were delivered for one task.
    Contradiction(Box<UnhandledLine<'a>>),
    /// An earlier stage that was delivered after a later one.
    Late(Box<UnhandledLine<'a>>),
    /// A delivery that could not be decoded, or that exceeds a limit of its task.
    Quarantined(Box<UnhandledLine<'a>>),
    /// A local file that the provider now has.
    Uploaded {
        path: &'a str,
        url: &'a str,
    },
    Submitted {
        task_id: &'a str,
        product: &'a str,
        /// The application's own name for the submit.
        reference: Option<&'a str>,
    },
    /// The provider did nothing, and nothing was paid.
    Refused {
        kind: &'a str,
        code: Option<i64>,
        http_status: Option<u16>,
        msg: Option<&'a str>,
        /// The task that exists already, if the submit was refused because of it.
        task_id: Option<&'a str>,
    },
    /// It is unknown whether the provider created a task.
    Unknown {
        may_have_been_paid: bool,
        kind: &'a str,
        code: Option<i64>,
        http_status: Option<u16>,
        /// The id under which the submit was recorded in the store.
        submit: Option<String>,
        reference: Option<&'a str>,
    },
    Progress {
        task_id: &'a str,
        status: &'a str,
    },
    Finished(Box<FinishedLine<'a>>),
    /// A wait that ended before the task: `deadline`, `not_visible`, `without_result`, `could_not_ask`,
    /// `stopped`.
    Unfinished {
        task_id: &'a str,
        reason: &'a str,
        /// What the provider says of a task `without_result`.
        #[serde(skip_serializing_if = "Option::is_none")]
        record: Option<Value>,
    },
    Downloaded {
        task_id: &'a str,
        /// The position of the track or file, from 0.
        track: usize,
        path: &'a str,
    },
    NotDownloaded {
        task_id: &'a str,
        track: usize,
        reason: &'a str,
    },
    Credits {
        credits: f64,
    },
}

/// An attempt to hand an event to a destination.
#[derive(Debug, Serialize)]
pub(crate) struct AttemptLine<'a> {
    /// The id of the event, which every attempt sends as `webhook-id`.
    id: &'a str,
    task_id: &'a str,
    stage: &'a str,
    revision: u32,
    #[serde(flatten)]
    attempt: &'a Attempt,
}

impl<'a> AttemptLine<'a> {
    pub(crate) fn new(id: &'a MessageId, key: &'a EventKey, attempt: &'a Attempt) -> Self {
        Self {
            id: id.as_str(),
            task_id: key.task_id().as_str(),
            stage: key.stage().as_str(),
            revision: key.revision(),
            attempt,
        }
    }
}

/// An event that is handled by printing it.
#[derive(Debug, Serialize)]
pub(crate) struct HandledLine<'a> {
    /// The id that an acknowledgement must name.
    id: i64,
    task_id: &'a str,
    stage: &'a str,
    revision: u32,
    source: &'a str,
    verified_by: Vec<&'a str>,
    received_at: String,
    attempt: u32,
    /// What the callback URL had after the path of the receiver, without the token.
    path: &'a str,
    query: &'a str,
    submit: Option<String>,
    reference: Option<&'a str>,
    #[serde(flatten)]
    content: ContentLine<'a>,
}

impl<'a> HandledLine<'a> {
    pub(crate) fn new(event: &'a Event) -> Self {
        let suffix = event.suffix();
        Self {
            id: event.id().0,
            task_id: event.task_id().as_str(),
            stage: event.stage().as_str(),
            revision: event.revision(),
            source: event.source().as_str(),
            verified_by: verified_by(event.verified_by()),
            received_at: event.received_at().to_string(),
            attempt: event.attempt(),
            path: suffix.path(),
            query: suffix.query(),
            submit: event.submit().map(|submit| submit.to_string()),
            reference: event.reference().map(|reference| reference.as_str()),
            content: ContentLine::from(event.callback()),
        }
    }
}

/// What a callback says.
#[derive(Debug, Serialize)]
struct ContentLine<'a> {
    product: String,
    code: i64,
    msg: &'a str,
    error: Option<&'a str>,
    fail_code: Option<&'a str>,
    tracks: Vec<TrackLine<'a>>,
    output: Option<OutputLine<'a>>,
    /// The members of `data` and of the body that have no place above, as they were sent.
    data: Members<'a>,
    extra: Members<'a>,
}

impl<'a> From<&'a Callback> for ContentLine<'a> {
    fn from(callback: &'a Callback) -> Self {
        Self {
            product: callback.product().to_string(),
            code: callback.code.0,
            msg: &callback.msg,
            error: callback.error.as_deref(),
            fail_code: callback.fail_code.as_deref(),
            tracks: TrackLine::all(&callback.tracks),
            output: OutputLine::of(callback.output()),
            data: Members(&callback.data_extra),
            extra: Members(&callback.extra),
        }
    }
}

/// A delivery that is not handled.
#[derive(Debug, Serialize)]
pub(crate) struct UnhandledLine<'a> {
    task_id: Option<&'a str>,
    stage: Option<&'a str>,
    source: &'a str,
    verified_by: Vec<&'a str>,
    received_at: String,
    path: &'a str,
    query: &'a str,
    submit: Option<String>,
    /// Why it could not be decoded.
    reason: Option<String>,
    #[serde(flatten)]
    content: Option<ContentLine<'a>>,
}

impl<'a> UnhandledLine<'a> {
    /// `callback` is what the delivery says, if it can be decoded.
    pub(crate) fn new(delivery: &'a Delivery, callback: Option<&'a Callback>) -> Self {
        let suffix = delivery.suffix.as_ref();
        let (stage, reason) = match &delivery.content {
            Content::Event { key, .. } => (Some(key.stage().as_str()), None),
            Content::Quarantined { reason, .. } => (None, Some(reason.to_string())),
            _ => (None, None),
        };
        Self {
            task_id: delivery.task_id().map(TaskId::as_str),
            stage,
            source: delivery.source.as_str(),
            verified_by: verified_by(delivery.verified_by),
            received_at: delivery.received_at.to_string(),
            path: suffix.map_or("", UrlSuffix::path),
            query: suffix.map_or("", UrlSuffix::query),
            submit: delivery.submit.map(|submit| submit.to_string()),
            reason,
            content: callback.map(ContentLine::from),
        }
    }
}

/// A task that has ended.
#[derive(Debug, Serialize)]
pub(crate) struct FinishedLine<'a> {
    task_id: &'a str,
    product: String,
    stage: &'a str,
    code: Option<i64>,
    error: Option<&'a str>,
    tracks: Vec<TrackLine<'a>>,
    output: Option<OutputLine<'a>>,
}

impl<'a> FinishedLine<'a> {
    /// `asked` is the product that was polled: a failure need not say what was to be made.
    pub(crate) fn new(record: &'a TaskRecord, asked: &Product, stage: &'a str) -> Self {
        let shown = record.product();
        let is_known = shown != Product::OTHER;
        let product = if is_known { &shown } else { asked };
        Self {
            task_id: record.task_id.as_str(),
            product: product.to_string(),
            stage,
            code: record.error_code.map(|code| code.0),
            error: record.error_message.as_deref(),
            tracks: TrackLine::all(&record.tracks),
            output: OutputLine::of(record.output()),
        }
    }
}

/// A track in a line. Unknown values are null, and so is an empty URL.
#[derive(Debug, Serialize)]
struct TrackLine<'a> {
    id: Option<&'a str>,
    title: Option<&'a str>,
    tags: Option<&'a str>,
    prompt: Option<&'a str>,
    duration: Option<f64>,
    audio_url: Option<&'a str>,
    source_audio_url: Option<&'a str>,
    stream_audio_url: Option<&'a str>,
    source_stream_audio_url: Option<&'a str>,
    image_url: Option<&'a str>,
    source_image_url: Option<&'a str>,
    model_name: Option<&'a str>,
    created_at: Option<String>,
    extra: Members<'a>,
}

impl<'a> TrackLine<'a> {
    fn all(tracks: &'a [Track]) -> Vec<Self> {
        tracks.iter().map(Self::from).collect()
    }
}

impl<'a> From<&'a Track> for TrackLine<'a> {
    fn from(track: &'a Track) -> Self {
        let url = |url: &'a Option<String>| url.as_deref().filter(|url| !url.is_empty());
        Self {
            id: track.id.as_ref().map(|id| id.as_str()),
            title: track.title.as_deref(),
            tags: track.tags.as_deref(),
            prompt: track.prompt.as_deref(),
            duration: track.duration,
            audio_url: track.ready_url(),
            source_audio_url: url(&track.source_audio_url),
            stream_audio_url: url(&track.stream_audio_url),
            source_stream_audio_url: url(&track.source_stream_audio_url),
            image_url: url(&track.image_url),
            source_image_url: url(&track.source_image_url),
            model_name: track.model_name.as_deref(),
            created_at: track.created_at.as_ref().map(|at| at.to_string()),
            extra: Members(&track.extra),
        }
    }
}

/// What a task has made that is not a song.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum OutputLine<'a> {
    Lyrics {
        lyrics: Vec<LyricsLine<'a>>,
    },
    File {
        url: &'a str,
    },
    Stems {
        origin_url: Option<&'a str>,
        stems: Vec<StemLine<'a>>,
    },
    Midi {
        instruments: Vec<InstrumentLine<'a>>,
    },
    Covers {
        images: Vec<&'a str>,
    },
    Voice {
        status: Option<&'a str>,
        phrase: Option<&'a str>,
        voice_id: Option<&'a str>,
    },
}

#[derive(Debug, Serialize)]
struct LyricsLine<'a> {
    title: Option<&'a str>,
    text: Option<&'a str>,
    status: Option<&'a str>,
    error_message: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct StemLine<'a> {
    name: &'a str,
    url: &'a str,
    is_removed: bool,
    duration: Option<f64>,
    id: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct InstrumentLine<'a> {
    name: Option<&'a str>,
    notes: Vec<NoteLine>,
}

#[derive(Debug, Serialize)]
struct NoteLine {
    pitch: Option<f64>,
    start: Option<f64>,
    end: Option<f64>,
    velocity: Option<f64>,
}

impl<'a> OutputLine<'a> {
    /// `None` for songs, which are tracks, and for what is not understood, which is in `data`.
    fn of(output: Output<'a>) -> Option<Self> {
        Some(match output {
            Output::Lyrics(all) => Self::Lyrics {
                lyrics: all.iter().map(LyricsLine::from).collect(),
            },
            Output::Wav(file) | Output::Mp4(file) => Self::File { url: &file.url },
            Output::Stems(stems) => Self::Stems {
                origin_url: stems.origin_url.as_deref().filter(|url| !url.is_empty()),
                stems: stems.parts.iter().map(StemLine::from).collect(),
            },
            Output::Midi(midi) => Self::Midi {
                instruments: midi.instruments.iter().map(InstrumentLine::from).collect(),
            },
            Output::Covers(images) => Self::Covers {
                images: images.iter().map(|file: &MediaFile| &*file.url).collect(),
            },
            Output::Voice(voice) => Self::Voice {
                status: voice.status.as_deref(),
                phrase: voice.phrase.as_deref(),
                voice_id: voice.voice_id.as_deref(),
            },
            _ => return None,
        })
    }
}

impl<'a> From<&'a Lyrics> for LyricsLine<'a> {
    fn from(lyrics: &'a Lyrics) -> Self {
        Self {
            title: lyrics.title.as_deref(),
            text: lyrics.text.as_deref(),
            status: lyrics.status.as_deref(),
            error_message: lyrics.error_message.as_deref(),
        }
    }
}

impl<'a> From<&'a Stem> for StemLine<'a> {
    fn from(stem: &'a Stem) -> Self {
        Self {
            name: &stem.name,
            url: &stem.url,
            is_removed: stem.is_removed,
            duration: stem.duration,
            id: stem.id.as_deref(),
        }
    }
}

impl<'a> From<&'a suno_types::Instrument> for InstrumentLine<'a> {
    fn from(instrument: &'a suno_types::Instrument) -> Self {
        let notes = instrument.notes.iter().map(|note| NoteLine {
            pitch: note.pitch,
            start: note.start,
            end: note.end,
            velocity: note.velocity,
        });
        Self {
            name: instrument.name.as_deref(),
            notes: notes.collect(),
        }
    }
}

/// Members as they were sent, but without the callback URL that some of them repeat: it can hold a
/// token.
#[derive(Debug)]
struct Members<'a>(&'a Extra);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, json) in self.0.iter() {
            match name {
                name if Extra::CALLBACK_URLS.contains(&name) => {}
                "param" => map.serialize_entry(name, &without_callback_url(json))?,
                name => {
                    let raw = RawValue::from_string(compact(json));
                    map.serialize_entry(name, &raw.map_err(serde::ser::Error::custom)?)?;
                }
            }
        }
        map.end()
    }
}

/// All that a record says, without the callback URL; null if it cannot be written as JSON.
pub(crate) fn record(record: &TaskRecord) -> Value {
    let answer = Envelope::success(Some(record.clone())).encode();
    let answer = serde_json::from_slice(&answer).unwrap_or(Value::Null);
    let mut data = stripped(answer["data"].clone());
    if let Some(param) = data.get_mut("param") {
        *param = without_callback_url(&param.to_string());
    }
    data
}

/// The request that `param` repeats, as an object or as its text, without its callback URL; null if it
/// cannot be read.
fn without_callback_url(json: &str) -> Value {
    match serde_json::from_str(json) {
        Ok(Value::Object(request)) => stripped(Value::Object(request)),
        Ok(Value::String(text)) => match serde_json::from_str::<Map<String, Value>>(&text) {
            Ok(request) => Value::String(stripped(Value::Object(request)).to_string()),
            Err(_) => Value::Null,
        },
        _ => Value::Null,
    }
}

/// A value without the callback URLs in it. It was parsed, so that it is not nested deeply.
fn stripped(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members
                .into_iter()
                .filter(|(name, _)| !Extra::CALLBACK_URLS.contains(&&**name));
            kept.map(|(name, value)| (name, stripped(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(stripped).collect(),
        other => other,
    }
}

/// A JSON text without white space between its parts, so that it fits into a line.
fn compact(json: &str) -> String {
    let (mut in_text, mut is_escaped) = (false, false);
    let keeps = |c: &char| {
        let keep = in_text || !c.is_ascii_whitespace();
        match *c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = in_text,
            '"' => in_text = !in_text,
            _ => {}
        }
        keep
    };
    json.chars().filter(keeps).collect()
}

fn verified_by(by: VerifiedBy) -> Vec<&'static str> {
    by.words().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_was_sent_on_several_lines_is_one_line_with_its_texts_unchanged() {
        let sent = "{\n \"a b\" : [ 1.50 , \"x \\\" \\\\\" ],\r\n\t\"c\":null }";
        assert_eq!(compact(sent), r#"{"a b":[1.50,"x \" \\"],"c":null}"#);
    }

    #[test]
    fn a_record_is_told_whole_but_for_its_callback_url() {
        let body =
            br#"{"code":200,"msg":"","data":{"taskId":"t","status":"SUCCESS","odd":{"clip":1.5,
            "callBackUrl":"https://a.example/cb/TOKEN"},"response":{"sunoData":[{"id":"a"}]},
            "param":"{\"callBackUrl\":\"https://a.example/cb/TOKEN\",\"x\":1}"}}"#;
        let answer = TaskRecord::decode(body).unwrap();
        let shown = record(&answer.data.unwrap());
        assert!(!shown.to_string().contains("TOKEN"), "{shown}");
        assert_eq!(shown["odd"], serde_json::json!({ "clip": 1.5 }));
        assert_eq!(shown["param"], r#"{"x":1}"#);
        assert_eq!(shown["response"]["sunoData"][0]["id"], "a");
    }

    #[test]
    fn no_member_repeats_the_callback_url() {
        let body = br#"{"code":200,"data":{"task_id":"t","audioWavUrl":"https://a.example/a.wav",
            "callbackUrl":"https://a.example/cb/TOKEN","calBackUrl":"TOKEN","kept":[1.50],
            "param":"{\"callBackUrl\":\"https://a.example/cb/TOKEN\",\"x\":1}"}}"#;
        let callback = suno_types::Callback::decode(body).unwrap();
        let shown = serde_json::to_string(&Members(&callback.data_extra)).unwrap();
        assert!(!shown.contains("TOKEN"), "{shown}");
        assert!(
            shown.contains(r#""kept":[1.50]"#) && shown.contains(r#"{\"x\":1}"#),
            "{shown}"
        );
        for (param, expected) in [
            (r#"{"callbackUrl":"TOKEN","x":1}"#, r#"{"x":1}"#),
            (
                r#"{"input":[{"callBackUrl":"TOKEN"}]}"#,
                r#"{"input":[{}]}"#,
            ),
            ("1", "null"),
            (r#""TOKEN""#, "null"),
            ("{}", "{}"),
        ] {
            assert_eq!(without_callback_url(param).to_string(), expected);
        }
    }
}
