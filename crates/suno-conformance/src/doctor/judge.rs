//! Judges answers. Everything here is a plain function of an answer.

use std::time::Duration;

use http::Uri;
use jiff::fmt::rfc2822::DateTimeParser;

use super::Finding;
use super::exchange::{Answer, Reply};

/// The answers from which on a receiver is slow, and nearly too slow for the provider's 15 s.
const SLOW: Duration = Duration::from_secs(3);
const NEARLY_TOO_SLOW: Duration = Duration::from_secs(10);
/// The difference between two clocks that is noticed, and that which is close to the window of 300.
const SKEW_SECONDS: i64 = 30;
const SKEW_SECONDS_MAX: i64 = 240;
pub(super) fn redirected(answer: &Answer) -> Finding {
    let location = answer
        .header("location")
        .and_then(|text| text.parse::<Uri>().ok());
    let host = location
        .as_ref()
        .and_then(Uri::host)
        .unwrap_or("the same host");
    Finding::failed(
        "redirect",
        format!("the answer is a redirect ({}) to {host}", answer.status),
        "submit with the URL that the redirect leads to: the provider may not follow it, and a \
         redirect can turn a POST into a GET",
    )
}

pub(super) fn no_receiver(status: u16) -> Finding {
    Finding::failed(
        "path",
        format!("there is no receiver at this path: a POST is answered with {status}"),
        "compare the path of the URL with --path, and look at what a proxy before it forwards; the log \
         of the receiver names the path that was asked for",
    )
}

pub(super) fn accepts(check: &'static str, message: &str) -> Finding {
    Finding::failed(
        check,
        message,
        "set the webhook key or a token at the receiver: anyone can send it false callbacks",
    )
}

/// Judges the answer to a whole callback that must be refused.
pub(super) fn judge_refusal(check: &'static str, name: &str, reply: &Reply) -> Finding {
    match reply {
        Reply::Answered(answer) => match answer.status {
            401 => Finding::ok(check, format!("{name} is refused with 401")).after(answer.duration),
            200..=299 => accepts(check, &format!("{name} is accepted")),
            status => Finding::warning(
                check,
                format!("{name} is answered with {status} instead of 401"),
                "check in the log of the receiver why; a proxy may answer for it",
            ),
        },
        reply => Finding::warning(
            check,
            format!("{name} is not answered with 401: {}", said(reply)),
            "answer it at once, so that strangers do not keep connections busy",
        ),
    }
}

/// Judges the answer to an event that must be accepted.
pub(super) fn judge_event(check: &'static str, name: &str, reply: &Reply) -> Finding {
    match reply {
        Reply::Answered(answer) if answer.status == 200 => {
            Finding::ok(check, format!("{name} is accepted")).after(answer.duration)
        }
        Reply::Answered(answer) => Finding::failed(
            check,
            format!("{name} is answered with {}", answer.status),
            match answer.status {
                401 => {
                    "compare the webhook key of the receiver with the one given here, and its clock \
                     with the time"
                }
                500.. => "the store cannot be written, or the receiver is overloaded: see its log",
                _ => "see the log of the receiver: each refused request is a line with its reason",
            },
        ),
        reply => Finding::failed(
            check,
            format!("{name} gets no answer: {}", said(reply)),
            "the provider waits 15 s and gives up after three more attempts: answer first, work later",
        ),
    }
}

pub(super) fn fast_enough(duration: Duration) -> Finding {
    let message = format!("the answer took {} ms", duration.as_millis());
    let advice =
        "answer as soon as the event is stored, and work afterwards; the provider waits 15 s";
    let finding = if duration >= NEARLY_TOO_SLOW {
        Finding::failed("time", message, advice)
    } else if duration >= SLOW {
        Finding::warning("time", message, advice)
    } else {
        Finding::ok("time", message)
    };
    finding.after(duration)
}

/// Compares the receiver's clock with `now`, in Unix seconds.
pub(super) fn clock(date: Option<&str>, now: i64) -> Finding {
    let parse = |date: &str| DateTimeParser::new().parse_timestamp(date).ok();
    let Some(theirs) = date.and_then(parse) else {
        let message = "the answer has no Date, so the clocks could not be compared";
        return Finding::skipped("clock", message);
    };
    let skew = theirs.as_second() - now;
    let message = match skew {
        0.. => format!("the receiver's clock is {skew} s ahead of this machine's"),
        _ => format!("the receiver's clock is {} s behind this machine's", -skew),
    };
    let advice = "let both machines set their clocks by NTP: callbacks whose timestamp is more than \
                  300 s away are refused";
    match skew.abs() {
        SKEW_SECONDS_MAX.. => Finding::failed("clock", message, advice),
        SKEW_SECONDS.. => Finding::warning("clock", message, advice),
        _ => Finding::ok("clock", message),
    }
}

pub(super) fn said(reply: &Reply) -> String {
    match reply {
        Reply::Answered(answer) => format!("the answer is {}", answer.status),
        Reply::Continue => "the receiver asks for the body".to_owned(),
        Reply::Silence => "there was no answer in time".to_owned(),
        Reply::Broken(reason) => reason.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn clocks_that_differ_are_noticed_before_callbacks_are_refused() {
        let date = "Thu, 28 May 2026 20:26:40 GMT";
        for (now, severity) in [
            (1_780_000_000, Severity::Ok),
            (1_780_000_029, Severity::Ok),
            (1_780_000_031, Severity::Warning),
            (1_779_999_700, Severity::Failed),
            (1_780_000_300, Severity::Failed),
        ] {
            assert_eq!(clock(Some(date), now).severity, severity, "{now}");
        }
        let behind = clock(Some(date), 1_780_000_300);
        assert!(
            behind.message.contains("300 s behind"),
            "{}",
            behind.message
        );
        for none in [None, Some("soon"), Some("")] {
            assert_eq!(clock(none, 0).severity, Severity::Skipped);
        }
    }

    #[test]
    fn a_slow_answer_is_noticed_before_the_provider_gives_up() {
        let severity = |seconds| fast_enough(Duration::from_secs(seconds)).severity;
        assert_eq!(
            [2, 3, 9, 10].map(severity),
            [
                Severity::Ok,
                Severity::Warning,
                Severity::Warning,
                Severity::Failed,
            ]
        );
    }
}
