//! Explains errors of the provider, and what to do next.

use std::borrow::Cow;

use anyhow::anyhow;
use suno_client::{ClientError, ErrorKind, TaskFailure, WaitError};
use suno_types::{Meaning, Place, Provider};

use crate::failure::Failure;

/// Converts a failed request. Errors found before anything was sent are usage errors.
pub(crate) fn failure(err: ClientError) -> Failure {
    let text = with_advice(&err);
    match is_usage(&err) {
        true => Failure::usage(text),
        false => Failure::failed(text),
    }
}

/// Converts a failed submit: the exit code says whether a task may have been paid for.
pub(crate) fn failure_of_submit(err: &ClientError) -> Failure {
    let text = with_advice(err);
    if is_usage(err) {
        Failure::usage(text)
    } else if err.is_ambiguous() {
        Failure::unknown(text)
    } else {
        Failure::refused(text)
    }
}

/// Whether an error was found before anything was sent.
fn is_usage(err: &ClientError) -> bool {
    let local = err.code().is_none() && err.http_status().is_none();
    match err.kind() {
        ErrorKind::Setting => true,
        ErrorKind::InvalidRequest => local,
        _ => false,
    }
}

/// Converts a failed task.
pub(crate) fn task_failure(failure: &TaskFailure, provider: Provider) -> Failure {
    let meaning = failure
        .code()
        .map(|code| code.meaning(provider, Place::Task));
    let meaning = meaning.filter(|meaning| *meaning != Meaning::Unknown);
    let what = meaning.map_or(String::new(), |meaning| format!(": {meaning}"));
    let next = match meaning {
        Some(Meaning::Refunded) => "submit again",
        Some(Meaning::Copyright) => "submit again with other audio or lyrics, which costs again",
        Some(Meaning::FetchFailed) => {
            "check that the file at --upload-url is public, and submit again, which costs again"
        }
        _ => "submit again, which costs again unless `suno credits` shows a refund",
    };
    Failure::failed(anyhow!("the task failed: {failure}{what}; {next}"))
}

/// Converts a wait that ended before the task; `again` is the command that continues it.
pub(crate) fn unfinished(err: &WaitError, again: &str) -> Failure {
    let next = match err {
        WaitError::NotVisible { .. } => format!("also check --provider, or try again: `{again}`"),
        WaitError::WithoutResult { .. } => {
            format!(
                "`{again} --json` prints the record; look at the task on the provider's website"
            )
        }
        _ => format!("go on with `{again}`"),
    };
    let last = match err {
        WaitError::Deadline {
            last_status: Some(status),
            ..
        } => format!(" (last status {status})"),
        WaitError::Deadline {
            last_status: None,
            source: None,
            ..
        } => " (the provider did not find it: check the id, --provider and --product)".to_owned(),
        _ => String::new(),
    };
    let cause = err
        .client_error()
        .map_or(String::new(), |err| format!(": {:#}", with_advice(err)));
    Failure::failed(anyhow!("{err}{last}{cause}; {next}"))
}

/// Returns the word for a wait that ended before the task, as `--json` prints it.
pub(crate) fn reason(err: &WaitError) -> &'static str {
    match err {
        WaitError::Deadline { .. } => "deadline",
        WaitError::NotVisible { .. } => "not_visible",
        WaitError::WithoutResult { .. } => "without_result",
        _ => "could_not_ask",
    }
}

/// Formats the error with its causes, the provider's words, and what to do.
pub(crate) fn with_advice(err: &ClientError) -> anyhow::Error {
    let mut text = chain(err);
    if let Some(msg) = err.msg() {
        text += &format!("; the provider says: {msg}");
    }
    if let Some(next) = next(err) {
        text += &format!("; {next}");
    }
    anyhow!(text)
}

fn chain(err: &ClientError) -> String {
    let mut text = err.to_string();
    let mut cause = std::error::Error::source(err);
    while let Some(err) = cause {
        text += &format!(": {err}");
        cause = err.source();
    }
    text
}

/// Returns what to do next, if the error alone does not say so.
fn next(err: &ClientError) -> Option<Cow<'static, str>> {
    if let Some(task) = err.existing_task() {
        return Some(format!("the task {task} exists already: wait for that one").into());
    }
    if err.is_ambiguous() {
        return Some(
            "before submitting again, check whether the callback arrives, or look at the task list on the provider's website".into(),
        );
    }
    let next = match err.kind() {
        ErrorKind::Unauthorized => Some("check SUNO_API_KEY and --provider"),
        ErrorKind::Connect | ErrorKind::NotJson | ErrorKind::UnexpectedAnswer => {
            Some("check SUNO_BASE_URL and the network")
        }
        // A page of another server: the provider's own refusals have a code.
        ErrorKind::Refused if err.code().is_none() => Some("check SUNO_BASE_URL and --provider"),
        ErrorKind::OutOfCredits => Some("top up the account; `suno credits` shows what is left"),
        ErrorKind::RateLimited | ErrorKind::Maintenance | ErrorKind::Server => {
            Some("try again later")
        }
        _ => None,
    };
    next.map(Cow::Borrowed)
}
