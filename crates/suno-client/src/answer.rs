//! Reads answers: the outcome is the code in the body, not the HTTP status.

use std::error::Error;
use std::time::{Duration, SystemTime};

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use suno_types::{
    Code, DecodeError, DecodeErrorKind, Envelope, Meaning, Payload, Place, Product, Route,
    SubmittedTask, TaskId, TaskKind, TaskRecord, TaskStatus,
};

use crate::client::Shared;
use crate::redact::redact;
use crate::transport::RawResponse;
use crate::{ClientError, ErrorKind};

/// The effect of a request that reaches the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It creates a task and spends credits. It is retried only if nothing was done.
    Spends,
    /// It only reads, so it can be repeated safely.
    Reads,
}

impl Effect {
    pub(crate) fn spends(self) -> bool {
        self == Self::Spends
    }
}

/// The data of an answer; `None` if it has none.
///
/// # Errors
///
/// [`ClientError`] unless the code in the body is 200 and the data can be decoded.
pub(crate) fn read<T: Payload>(
    shared: &Shared,
    effect: Effect,
    answer: &RawResponse,
) -> Result<Option<T>, ClientError> {
    take(shared, effect, answer, Envelope::decode(&answer.body))
}

/// The code for a task that the jobs route does not know (`PROTOCOL.md 1.53`).
const UNKNOWN_JOB: Code = Code(422);

/// The record of `task` in an answer to a poll; `None` if the provider does not know the task.
///
/// # Errors
///
/// [`ClientError`] unless the answer says something about the task.
pub(crate) fn read_record(
    shared: &Shared,
    task: &TaskId,
    kind: &TaskKind,
    answer: &RawResponse,
) -> Result<Option<TaskRecord>, ClientError> {
    let decoded = TaskRecord::decode(&answer.body);
    if let Ok(envelope) = &decoded {
        let has_record = envelope.data.is_some();
        if !has_record && kind.route == Route::Jobs && envelope.code == UNKNOWN_JOB {
            return Ok(None);
        }
        if !has_record && envelope.is_running() {
            return Ok(Some(TaskRecord::new(task.clone(), TaskStatus::PENDING)));
        }
        // With another code than success, too: it says why each song could not be recovered.
        if has_record && kind.product == Product::RECOVERY {
            return Ok(decoded.ok().and_then(|envelope| envelope.data));
        }
    }
    let is_recovery = kind.route == Route::Direct && kind.product == Product::RECOVERY;
    match recovered(task, &answer.body).filter(|_| is_recovery) {
        Some(record) => Ok(Some(record)),
        None => take(shared, Effect::Reads, answer, decoded),
    }
}

/// The record of a recovery whose answer does not name its task: an array of songs alone
/// (`PROTOCOL.md 1.52`). The task is the one that was asked about.
fn recovered(task: &TaskId, body: &[u8]) -> Option<TaskRecord> {
    let rest = std::str::from_utf8(body).ok()?;
    let rest = rest.trim_start().strip_prefix('{')?;
    let task = serde_json::to_string(task.as_str()).ok()?;
    let named = format!("{{\"task_id\":{task},{rest}");
    TaskRecord::decode(named.as_bytes()).ok()?.data
}

/// The data of a decoded answer whose code says success.
fn take<T: Payload>(
    shared: &Shared,
    effect: Effect,
    answer: &RawResponse,
    decoded: Result<Envelope<T>, DecodeError>,
) -> Result<Option<T>, ClientError> {
    let read = match decoded {
        Ok(envelope) if envelope.code == Code::SUCCESS => return Ok(envelope.data),
        Ok(envelope) => {
            let existing = existing_task(&envelope);
            let is_proof = existing.is_some() || is_refusal(answer.status);
            refusal(shared, effect, is_proof, envelope.code)
                .with_msg(redact(&envelope.msg, &shared.key))
                .with_existing_task(existing)
        }
        Err(err) => unreadable(effect, answer, err.kind()).with_cause(cause(err)),
    };
    Err(read
        .with_status(answer.status)
        .with_retry_after(retry_after(&answer.headers, answer.received_at)))
}

/// The error for missing data although the code says success. A task may have been created.
pub(crate) fn without_data(
    effect: Effect,
    answer: &RawResponse,
    what: &'static str,
) -> ClientError {
    ClientError::new(ErrorKind::UnexpectedAnswer, what)
        .with_code(Code::SUCCESS)
        .with_status(answer.status)
        .with_outlook(false, effect.spends())
}

/// The code for a submit whose task exists already.
const CONFLICT: Code = Code(409);

/// The task that a conflict is with, if the answer names it.
fn existing_task<T>(envelope: &Envelope<T>) -> Option<TaskId> {
    let data = envelope.extra.json("data");
    let data = data.filter(|_| envelope.code == CONFLICT)?;
    // It is the data of a submit that was taken.
    let taken = format!(r#"{{"code":{},"data":{data}}}"#, Code::SUCCESS);
    let taken = Envelope::<SubmittedTask>::decode(taken.as_bytes()).ok()?;
    Some(taken.data?.task_id)
}

/// Returns whether an HTTP status alone proves that the request was refused before anything was
/// done, whatever the body is (`PROTOCOL.md 1.54`).
fn is_refusal(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 403 | 404 | 413 | 429)
}

/// A code other than 200 (`PROTOCOL.md 7.37` and `7.38`). `is_proof` says that something else proves
/// that nothing was done.
fn refusal(shared: &Shared, effect: Effect, is_proof: bool, code: Code) -> ClientError {
    let meaning = code.meaning(shared.provider, Place::Answer);
    let (kind, what) = match meaning {
        Meaning::RateLimited => (ErrorKind::RateLimited, "too many requests"),
        Meaning::OutOfCredits => (ErrorKind::OutOfCredits, "the account is out of credits"),
        Meaning::Unauthorized => (ErrorKind::Unauthorized, "the provider rejected the API key"),
        Meaning::InvalidRequest => (
            ErrorKind::InvalidRequest,
            "the provider refused a field of the request",
        ),
        Meaning::Maintenance => (ErrorKind::Maintenance, "the provider is under maintenance"),
        Meaning::ServerError => (
            ErrorKind::Server,
            "the provider answered with an unexpected error",
        ),
        meaning => (ErrorKind::Refused, meaning.description()),
    };
    // These do not say whether anything was done. A code from 400 on that the provider's pages do not
    // list says that the request was wrong.
    let is_vague = match meaning {
        Meaning::ServerError | Meaning::TimedOut => true,
        Meaning::Unknown => !(400..500).contains(&code.0),
        _ => false,
    };
    // A submit is repeated only if the code itself says that nothing was done.
    let may_pass = meaning == Meaning::ServerError && !effect.spends();
    let passes = meaning.is_retryable() || may_pass;
    ClientError::new(kind, what)
        .with_code(code)
        .with_outlook(passes, effect.spends() && !is_proof && is_vague)
}

/// The cause that is shown. Errors of two kinds can contain the name of an unknown member, which
/// can be a secret, so only their kind is kept.
fn cause(err: DecodeError) -> Box<dyn Error + Send + Sync> {
    match err.kind() {
        kind @ (DecodeErrorKind::DuplicateKey | DecodeErrorKind::TooDeep) => {
            kind.to_string().into()
        }
        _ => err.into(),
    }
}

/// The error for a body that is not an envelope. Unless the HTTP status is a refusal, it is unknown
/// what the provider did.
fn unreadable(effect: Effect, answer: &RawResponse, kind: DecodeErrorKind) -> ClientError {
    if is_refusal(answer.status) {
        return refused_by_status(effect, answer.status);
    }
    let is_json = !matches!(kind, DecodeErrorKind::Syntax | DecodeErrorKind::NotUtf8);
    let (kind, what, passes) = if answer.status.is_server_error() {
        let what = "the server failed and its answer could not be read";
        (ErrorKind::Server, what, true)
    } else if answer.status.is_redirection() {
        let what = "the server sent a redirect, which is not followed; check the base URL";
        (ErrorKind::UnexpectedAnswer, what, false)
    } else if is_json {
        let what = "the answer is JSON of an unexpected form";
        (ErrorKind::UnexpectedAnswer, what, false)
    } else {
        (ErrorKind::NotJson, "the answer is not JSON", true)
    };
    ClientError::new(kind, what).with_outlook(passes, effect.spends())
}

/// The error for an HTTP status that is a refusal, with a body that says nothing, such as the page
/// of a content network. A poll can be repeated: the next one may get past it.
fn refused_by_status(effect: Effect, status: StatusCode) -> ClientError {
    let (kind, what, passes) = match status {
        StatusCode::UNAUTHORIZED => {
            let what = "the server rejected the API key and did nothing";
            (ErrorKind::Unauthorized, what, false)
        }
        StatusCode::TOO_MANY_REQUESTS => (ErrorKind::RateLimited, "too many requests", true),
        _ => {
            let what = "the server refused the request and did nothing";
            (ErrorKind::Refused, what, !effect.spends())
        }
    };
    ClientError::new(kind, what).with_outlook(passes, false)
}

/// The time that `Retry-After` asks to wait. A date, in any of the forms of HTTP, is compared with
/// the `Date` of the same answer, so that a wrong local clock does not matter, or else with
/// `received_at`.
pub(crate) fn retry_after(headers: &HeaderMap, received_at: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that does not fit is longer than any wait.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let then = httpdate::parse_http_date(text).ok()?;
    let now = date(headers).unwrap_or(received_at);
    Some(then.duration_since(now).unwrap_or_default())
}

/// The time at which the server says that it answered.
fn date(headers: &HeaderMap) -> Option<SystemTime> {
    let text = headers.get(DATE)?.to_str().ok()?;
    httpdate::parse_http_date(text).ok()
}

/// Returns whether a request with this HTTP status may succeed if it is repeated later.
pub(crate) fn status_passes(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT
    fn received_at() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    fn after(headers: &[(&'static str, &'static str)]) -> Option<Duration> {
        let pairs = headers.iter().map(|(name, value)| {
            (
                name.parse().expect("a name"),
                value.parse().expect("a value"),
            )
        });
        retry_after(&pairs.collect(), received_at())
    }

    #[test]
    fn retry_after_is_read_as_seconds() {
        assert_eq!(after(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(after(&[("retry-after", " 0 ")]), Some(Duration::ZERO));
        let huge = after(&[("retry-after", "99999999999999999999999")]);
        assert_eq!(huge, Some(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn retry_after_is_read_as_a_date_from_the_servers_own_clock() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let later = ("retry-after", "Sun, 06 Nov 1994 08:51:37 GMT");
        assert_eq!(after(&[date, later]), Some(Duration::from_secs(120)));
        let earlier = ("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT");
        assert_eq!(after(&[date, earlier]), Some(Duration::ZERO));
    }

    #[test]
    fn without_a_date_of_the_server_the_local_clock_is_taken() {
        let later = ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT");
        assert_eq!(after(&[later]), Some(Duration::from_secs(60)));
        let unreadable = ("date", "today");
        assert_eq!(after(&[unreadable, later]), Some(Duration::from_secs(60)));
    }

    #[test]
    fn dates_of_the_two_old_forms_are_read() {
        for then in ["Sunday, 06-Nov-94 08:49:39 GMT", "Sun Nov  6 08:49:39 1994"] {
            let asked = after(&[("retry-after", then)]);
            assert_eq!(asked, Some(Duration::from_secs(2)), "{then}");
        }
    }

    #[test]
    fn retry_after_that_cannot_be_read_asks_for_nothing() {
        for value in ["", "-1", "1.5", "soon", "1e3"] {
            assert_eq!(after(&[("retry-after", value)]), None, "{value}");
        }
    }
}
