//! `suno inbox show`: the whole story of an event or of a task.

use anyhow::anyhow;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use suno_callback::history::HistoryEntry;
use suno_callback::{ConflictRecord, EventId, EventRecord, StateName, Story, find_event};
use suno_gateway::content::CallbackContent;
use suno_types::{Callback, Output, Track};

use super::fields::{SCHEMA, Selection};
use super::filters::task;
use super::place::Place;
use super::row::{Row, decoded};
use super::{store_failed, unprinted};
use crate::failure::Failure;
use crate::output::{self, visible};

/// The maximum number of characters of a history's detail in a line.
const DETAIL_CHARS_MAX: usize = 400;

/// Show everything that is known of an event or a task
///
/// Deliveries and how they were verified, attempts with their answers, errors, conflicts, and the files.
/// Only hosts of URLs are shown; --json has everything, and the headers of each delivery that cannot be
/// secret.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The number of an event, or the id of a task
    #[arg(value_name = "ID|TASK")]
    id: String,
    /// Print one JSON object with everything
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: Place,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let inbox = arguments.store.open().await?;
    let number = arguments.id.parse().map(EventId);
    let event = match number {
        Ok(id) => find_event(&*inbox.store, id).await.map_err(store_failed)?,
        Err(_) => None,
    };
    let (task_id, only) = match event {
        Some(event) => (event.key.task_id().clone(), Some(event.id)),
        None => {
            let task_id = task(&arguments.id);
            (task_id.map_err(|err| Failure::usage(anyhow!(err)))?, None)
        }
    };
    let story = Story::of_task(&*inbox.store, &*inbox.history, &task_id).await;
    let mut story = story.map_err(store_failed)?;
    if let Some(only) = only {
        keep(&mut story, only);
    }
    if story.events.is_empty() && story.history.is_empty() {
        return Err(Failure::failed(anyhow!(
            "there is no event and no task {}; suno inbox list shows the events",
            visible(&arguments.id)
        )));
    }
    match arguments.json {
        true => output::json(&object(&story)?).map_err(unprinted),
        false => lines(&story)
            .iter()
            .try_for_each(|line| output::line(line))
            .map_err(unprinted),
    }
}

/// Keeps one event, and the history of its stage and of no stage.
fn keep(story: &mut Story, only: EventId) {
    story.events.retain(|(event, _)| event.id == only);
    let Some((event, _)) = story.events.first() else {
        return;
    };
    let stage = event.key.stage().clone();
    story
        .history
        .retain(|entry| entry.stage.as_ref().is_none_or(|of| *of == stage));
}

fn object(story: &Story) -> Result<Value, Failure> {
    let all = Selection::parse("")?;
    let events = story.events.iter().map(|(event, conflicts)| {
        let callback = decoded(event);
        let mut object = all.object(&Row::without_body(event.clone()));
        object.remove("title");
        object.insert("callback".to_owned(), content(callback.as_ref()));
        let conflicts: Vec<_> = conflicts.iter().map(conflict).collect();
        object.insert("conflicting".to_owned(), json!(conflicts));
        Value::Object(object)
    });
    let history = story.history.iter().map(|entry| {
        json!({
            "at": entry.at.to_string(),
            "kind": entry.kind.as_str(),
            "stage": entry.stage.as_ref().map(|stage| stage.as_str()),
            "revision": entry.revision,
            "detail": RawValue::from_string(entry.detail().to_owned()).ok(),
        })
    });
    Ok(json!({
        "schema": SCHEMA,
        "task_id": story.task_id.as_str(),
        "events": events.collect::<Vec<_>>(),
        "history": history.collect::<Vec<_>>(),
    }))
}

fn content(callback: Option<&Callback>) -> Value {
    callback.map_or(Value::Null, |callback| {
        json!(CallbackContent::from(callback))
    })
}

fn conflict(conflict: &ConflictRecord) -> Value {
    let callback = conflict.raw.as_deref().map(Callback::decode);
    json!({
        "received_at": conflict.received_at.map(|at| at.to_string()),
        "source": conflict.source.map(|source| source.as_str()),
        "verified_by": conflict.verified_by.words().collect::<Vec<_>>(),
        "callback": content(callback.and_then(Result::ok).as_ref()),
    })
}

/// The story as lines for people.
fn lines(story: &Story) -> Vec<String> {
    let mut lines = vec![format!("task {}", story.task_id)];
    for (event, conflicts) in &story.events {
        event_lines(event, &mut lines);
        for conflict in conflicts {
            let at = conflict
                .received_at
                .map_or("at an unknown time".to_owned(), |at| at.to_string());
            let by: Vec<_> = conflict.verified_by.words().collect();
            lines.push(format!(
                "  conflict  received {at}, verified by {}",
                or_nothing(&by)
            ));
            match conflict.raw.as_deref().map(Callback::decode) {
                Some(Ok(callback)) => file_lines(&callback, "    ", &mut lines),
                Some(Err(_)) => lines.push("    its body cannot be decoded".to_owned()),
                None => lines.push("    its body was purged".to_owned()),
            }
        }
    }
    if !story.history.is_empty() {
        lines.push("history (UTC)".to_owned());
    }
    lines.extend(story.history.iter().map(history_line));
    lines
}

fn event_lines(event: &EventRecord, lines: &mut Vec<String>) {
    let stage = match event.key.revision() {
        0 => visible(event.key.stage().as_str()),
        revision => format!(
            "{}, revision {revision}",
            visible(event.key.stage().as_str())
        ),
    };
    let state = StateName::from(event.state);
    let attempts = match event.attempts {
        1 => "1 attempt".to_owned(),
        count => format!("{count} attempts"),
    };
    lines.push(format!("event {}  {stage}  {state}  {attempts}", event.id));
    let by: Vec<_> = event.verified_by.words().collect();
    let unconfirmed = if event.unconfirmed {
        ", unconfirmed"
    } else {
        ""
    };
    lines.push(format!(
        "  received  {} by {}, verified by {}{unconfirmed}",
        event.received_at,
        event.source,
        or_nothing(&by)
    ));
    lines.push(format!(
        "  said      code {}, {} with {} results",
        event.code,
        visible(event.product.as_str()),
        event.results
    ));
    if let Some(cause) = event.dead_cause {
        lines.push(format!("  dead      {cause}"));
    }
    for (name, text) in [
        ("reason", event.reason.clone()),
        (
            "reference",
            event.reference.as_ref().map(ToString::to_string),
        ),
        ("suffix", event.suffix.as_ref().map(ToString::to_string)),
        ("submit", event.submit.map(|submit| submit.to_string())),
    ] {
        if let Some(text) = text {
            lines.push(format!("  {name:<9} {}", visible(&text)));
        }
    }
    match (decoded(event), &event.raw) {
        (Some(callback), _) => file_lines(&callback, "  ", lines),
        (None, Some(_)) => lines.push("  its body cannot be decoded".to_owned()),
        (None, None) => lines.push("  its body was purged".to_owned()),
    }
}

fn file_lines(callback: &Callback, indent: &str, lines: &mut Vec<String>) {
    if let Some(error) = callback.error.as_deref() {
        lines.push(format!("{indent}error     {}", visible(error)));
    }
    match callback.output() {
        Output::Songs(tracks) => {
            lines.extend(tracks.iter().map(|track| track_line(track, indent)));
        }
        Output::Lyrics(all) => {
            for lyrics in all {
                let title = visible(lyrics.title.as_deref().unwrap_or("(no title)"));
                lines.push(format!("{indent}lyrics    {title}"));
            }
        }
        other => {
            for file in other.files() {
                lines.push(format!(
                    "{indent}file      {} at {}",
                    visible(&file.role),
                    host(file.url)
                ));
            }
        }
    }
}

fn track_line(track: &Track, indent: &str) -> String {
    let title = visible(track.title.as_deref().unwrap_or("(no title)"));
    let duration = track
        .duration
        .map_or(String::new(), |seconds| format!(", {seconds} s"));
    let file = match track.ready_url() {
        Some(url) => format!("audio at {}", host(url)),
        None => "not ready".to_owned(),
    };
    format!(
        "{indent}track {}   {title}{duration}, {file}",
        track.position + 1
    )
}

/// Returns the host of a URL, because its path and query may be a secret.
fn host(url: &str) -> String {
    let parsed = url::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|url| url.host_str());
    visible(host.unwrap_or("an odd URL"))
}

/// Joins words, or says that there is none.
pub(super) fn or_nothing(words: &[&str]) -> String {
    match words.is_empty() {
        true => "nothing".to_owned(),
        false => words.join(" and "),
    }
}

/// One line for an entry of the history.
fn history_line(entry: &HistoryEntry) -> String {
    let at = entry.at.strftime("%m-%d %H:%M:%S%.3f");
    let stage = entry.stage.as_ref().map_or("-", |stage| stage.as_str());
    let detail: Value = serde_json::from_str(entry.detail()).unwrap_or_default();
    let said = match said(entry.kind.as_str(), &detail) {
        Some(said) => said,
        None => entry.detail().to_owned(),
    };
    let said: String = visible(&said).chars().take(DETAIL_CHARS_MAX).collect();
    format!(
        "  {at}  {:<8} {:<11} {said}",
        visible(stage),
        visible(entry.kind.as_str())
    )
}

/// What an entry of a known kind says.
fn said(kind: &str, detail: &Value) -> Option<String> {
    let text = |name: &str| detail[name].as_str();
    let number = |name: &str| detail[name].as_u64();
    Some(match kind {
        "delivery" => {
            let by = detail["verified_by"].as_array()?.iter();
            let by: Vec<_> = by.filter_map(Value::as_str).collect();
            let reason = text("reason").map_or(String::new(), |reason| format!(": {reason}"));
            let accepted = text("accepted")?;
            format!(
                "{accepted}, by {}, verified by {}{reason}",
                text("source")?,
                or_nothing(&by)
            )
        }
        "handled" => format!(
            "attempt {}: {} in {} ms",
            number("attempt")?,
            text("outcome")?,
            number("duration_ms")?
        ),
        "poll" => {
            let status =
                text("status").map_or(String::new(), |status| format!(", status {status}"));
            let reason = text("reason").map_or(String::new(), |reason| format!(": {reason}"));
            format!("{}{status}{reason}", text("outcome")?)
        }
        "dead_letter" => {
            format!(
                "{} after {} attempts: {}",
                text("cause")?,
                number("attempts")?,
                text("reason")?
            )
        }
        "redrive" => format!("by {}, was {}", text("by")?, text("was")?),
        "attempt" | "replay" => {
            let attempt = if kind == "replay" {
                &detail["attempt"]
            } else {
                detail
            };
            let number = attempt["number"].as_u64()?;
            let outcome = &attempt["outcome"];
            let ended = match outcome["kind"].as_str()? {
                "answered" => {
                    let body = outcome["body"]["text"].as_str().unwrap_or_default();
                    let body = if body.is_empty() {
                        String::new()
                    } else {
                        format!(" \"{body}\"")
                    };
                    format!("{}{body}", outcome["status"])
                }
                "exited" => match outcome["code"].as_i64() {
                    Some(code) => format!("exit code {code}"),
                    None => "ended by a signal".to_owned(),
                },
                "not_answered" => {
                    let detail = outcome["detail"]["text"].as_str().unwrap_or_default();
                    format!(
                        "{} {detail}",
                        outcome["failure"].as_str().unwrap_or("no answer")
                    )
                }
                _ => return None,
            };
            format!(
                "{number} to {}: {ended} in {} ms, {}",
                attempt["destination"].as_str()?,
                attempt["duration_ms"],
                attempt["action"].as_str().unwrap_or("")
            )
        }
        _ => return None,
    })
}
