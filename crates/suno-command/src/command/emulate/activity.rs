//! The lines on stderr about submits and attempts to deliver callbacks.
//!
//! They contain no secrets: a callback URL may contain a token, so only those of its parts are shown
//! that cannot be one.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use suno_emulator::{Activity, Attempt, AttemptOutcome, Config, SubmitActivity};
use url::Url;

use crate::output::{self, visible};

/// The maximum length of a reason, in characters.
const REASON_CHARS_MAX: usize = 200;
/// The reason why a callback to another machine was not sent.
const WITHHELD: &str =
    "not sent to another host, counts as answered with 200 (--deliver-outside sends it)";
/// The path segments that are shown, in addition to versions such as `v1`. Any other segment may be a
/// token.
const PATH_WORDS: [&str; 13] = [
    "api",
    "callback",
    "callbacks",
    "event",
    "events",
    "hook",
    "hooks",
    "kie",
    "music",
    "notify",
    "suno",
    "webhook",
    "webhooks",
];

/// One activity. In JSON all fields are always present; those that do not apply are null.
#[derive(Debug, Serialize)]
pub(crate) struct ActivityLine<'a> {
    event: &'static str,
    /// The time at which the submit was received or the attempt was sent.
    at: String,
    task_id: Option<&'a str>,
    stage: Option<&'a str>,
    /// The destination of the task's callbacks.
    to: Option<String>,
    /// The HTTP status of the response: the emulator's for a submit, the destination's for an attempt.
    status: Option<u16>,
    /// The reason why a submit was rejected or an attempt got no response.
    reason: Option<String>,
    duration_ms: Option<f64>,
    attempt: Option<u32>,
    attempts: Option<u32>,
    #[serde(skip)]
    sent_at: Timestamp,
    #[serde(skip)]
    duration: Option<Duration>,
}

impl<'a> ActivityLine<'a> {
    /// Returns `None` for an activity that this version does not know.
    pub(super) fn new(activity: &'a Activity) -> Option<Self> {
        match activity {
            Activity::Submit(submit) => Some(Self::of_submit(submit)),
            Activity::Attempt(attempt) => Some(Self::of_attempt(attempt)),
            _ => None,
        }
    }

    fn of_submit(submit: &'a SubmitActivity) -> Self {
        let reason = match (submit.status, submit.code) {
            (Some(_), None | Some(200)) => None,
            (Some(_), Some(code)) => {
                let message = submit.message.as_deref().unwrap_or_default();
                Some(shortened(&format!("code {code}: {message}")))
            }
            (None, _) => Some("the connection was closed without a response".to_owned()),
        };
        Self {
            task_id: submit.task_id.as_deref(),
            to: submit.callback_url.as_deref().map(destination),
            status: submit.status,
            reason,
            ..Self::at("submit", submit.unix_ms)
        }
    }

    /// Creates the line about an attempt.
    pub(crate) fn of_attempt(attempt: &'a Attempt) -> Self {
        let (status, reason) = match &attempt.outcome {
            AttemptOutcome::Answered { status } => (Some(*status), None),
            AttemptOutcome::TimedOut => {
                let seconds = Config::ANSWER_TIMEOUT.as_secs();
                (None, Some(format!("no response in {seconds} s")))
            }
            AttemptOutcome::Failed { reason } => (None, Some(shortened(plain(reason)))),
            AttemptOutcome::Dropped => (None, Some("not sent".to_owned())),
            AttemptOutcome::Withheld => (None, Some(WITHHELD.to_owned())),
            _ => (None, None),
        };
        let was_sent = !matches!(
            attempt.outcome,
            AttemptOutcome::Dropped | AttemptOutcome::Withheld
        );
        // While the clock is frozen, no duration can be measured.
        let duration = Some(attempt.duration).filter(|duration| !duration.is_zero());
        Self {
            task_id: Some(&attempt.task_id),
            stage: Some(&attempt.callback),
            to: Some(destination(&attempt.url)),
            status,
            reason,
            duration_ms: duration.map(|duration| duration.as_micros() as f64 / 1_000.0),
            duration,
            attempt: was_sent.then_some(attempt.number),
            attempts: was_sent.then_some(attempt.attempts_max),
            ..Self::at("attempt", attempt.unix_ms)
        }
    }

    fn at(event: &'static str, unix_ms: u64) -> Self {
        let unix_ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
        let sent_at = Timestamp::from_millisecond(unix_ms).unwrap_or(Timestamp::MAX);
        Self {
            event,
            at: format!("{sent_at:.3}"),
            task_id: None,
            stage: None,
            to: None,
            status: None,
            reason: None,
            duration_ms: None,
            attempt: None,
            attempts: None,
            sent_at,
            duration: None,
        }
    }

    /// Formats the activity as a line for people.
    pub(crate) fn sentence(&self) -> String {
        let mut text =
            output::beginning(self.sent_at, self.task_id, self.stage.unwrap_or(self.event));
        text += self.to.as_deref().unwrap_or("-");
        if let Some(status) = self.status {
            text += &format!(" {status}");
        }
        if let Some(reason) = &self.reason {
            text += if self.status.is_some() { ", " } else { " " };
            text += &visible(reason);
        }
        if let Some(duration) = self.duration {
            text += &format!(" in {}", output::duration(duration));
        }
        if let (Some(attempt), Some(attempts)) = (self.attempt, self.attempts) {
            text += &format!(", attempt {attempt} of {attempts}");
        }
        text
    }
}

/// Shortens a URL to scheme, host, port and path. Leaves out user and query, and a path that may
/// contain a token.
fn destination(url: &str) -> String {
    let Ok(url) = Url::parse(url) else {
        return "…".to_owned();
    };
    let mut text = format!("{}://{}", url.scheme(), url.host_str().unwrap_or("…"));
    if let Some(port) = url.port() {
        text += &format!(":{port}");
    }
    match url.path() {
        path if path.split('/').all(is_word) => text += path,
        _ => text += "/…",
    }
    text
}

/// Whether a path segment is certainly not a token.
fn is_word(segment: &str) -> bool {
    let is_version = |digits: &str| digits.len() == 1 && digits.bytes().all(|b| b.is_ascii_digit());
    segment.is_empty()
        || PATH_WORDS.contains(&segment)
        || segment.strip_prefix('v').is_some_and(is_version)
}

/// Removes the number that the system adds to a reason: "Connection refused (os error 111)".
fn plain(reason: &str) -> &str {
    reason
        .split_once(" (os error")
        .map_or(reason, |(reason, _)| reason)
}

/// Shortens a reason, and puts it in lower case for the middle of a sentence.
fn shortened(reason: &str) -> String {
    let mut chars = reason.chars().take(REASON_CHARS_MAX);
    let first = chars.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_url_is_shown_that_may_be_a_secret() {
        for (url, shown) in [
            (
                "http://127.0.0.1:3000/suno/callback",
                "http://127.0.0.1:3000/suno/callback",
            ),
            (
                "https://u:canary@example.com/api/v1/webhook/?key=canary#canary",
                "https://example.com/api/v1/webhook/",
            ),
            ("http://[::1]:9", "http://[::1]:9/"),
            (
                "http://example.com/suno/callback/canary",
                "http://example.com/…",
            ),
            ("http://example.com/canary/callback", "http://example.com/…"),
            ("http://example.com/suno%2Fcanary", "http://example.com/…"),
            ("mailto:canary", "mailto://…/…"),
            ("canary", "…"),
        ] {
            assert_eq!(destination(url), shown);
        }
    }

    #[test]
    fn a_reason_is_short_and_reads_as_a_part_of_a_sentence() {
        let reason = "Connection refused (os error 111)";
        assert_eq!(shortened(plain(reason)), "connection refused");
        assert_eq!(shortened(&"x".repeat(10_000)).len(), REASON_CHARS_MAX);
        assert_eq!(shortened(""), "");
    }
}
