//! The lines of `--json`. `docs/lines.schema.json` describes them, and the tests check every line
//! that they see against it.

use serde::Serialize;
use serde_json::Value;
use suno_callback::{Content, Delivery, Event, EventKey, UrlSuffix};
use suno_gateway::attempt::Attempt;
use suno_gateway::content::{
    CallbackContent, OutputContent, TrackContent, request_without_callback_urls, verified_by,
    without_callback_urls,
};
use suno_gateway::signing::MessageId;
use suno_types::{Callback, Envelope, Product, TaskId, TaskRecord};

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
    content: CallbackContent<'a>,
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
            content: CallbackContent::from(event.callback()),
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
    content: Option<CallbackContent<'a>>,
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
            content: callback.map(CallbackContent::from),
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
    tracks: Vec<TrackContent<'a>>,
    output: Option<OutputContent<'a>>,
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
            tracks: TrackContent::all(&record.tracks),
            output: OutputContent::of(record.output()),
        }
    }
}

/// All that a record says, without the callback URL; null if it cannot be written as JSON.
pub(crate) fn record(record: &TaskRecord) -> Value {
    let answer = Envelope::success(Some(record.clone())).encode();
    let answer = serde_json::from_slice(&answer).unwrap_or(Value::Null);
    let mut data = without_callback_urls(answer["data"].clone());
    if let Some(param) = data.get_mut("param") {
        *param = request_without_callback_urls(&param.to_string());
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
