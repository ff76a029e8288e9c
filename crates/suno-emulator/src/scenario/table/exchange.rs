//! Words for the answers to submits, polls and downloads.

use crate::fault::exchange::{MediaFault, PollFault, SubmitFault};
use crate::profile::Refusal;
use crate::scenario::Scenario;
use crate::scenario::word::{TIMES_MAX, Word, WordArguments};

pub(super) const WORDS: &[Word] = &[
    // The answer to the submit.
    Word::new(
        "cut",
        "assumed",
        "the task is created, and the connection is closed without an answer",
        |s, given| submit(s, given, SubmitFault::Cut),
    )
    .with_value(FIRST_TIMES),
    Word::new(
        "slow-answer",
        "assumed",
        "the task is created, and the answer is late, in real time",
        |s, given| {
            s.exchange.answer_delay_ms = given.millis(30)?;
            Ok(())
        },
    )
    .with_value("seconds, 30 if absent"),
    Word::new(
        "html-502",
        "observed",
        "no task is created, and the answer is an HTML page with HTTP 502",
        |s, given| submit(s, given, SubmitFault::Html { is_taken: false }),
    )
    .with_value(FIRST_TIMES),
    Word::new(
        "html-502-taken",
        "assumed",
        "the task is created, and the answer is an HTML page with HTTP 502",
        |s, given| submit(s, given, SubmitFault::Html { is_taken: true }),
    )
    .with_value(FIRST_TIMES),
    Word::new(
        "http",
        "observed",
        "the submit is refused with this HTTP status and code",
        |s, given| {
            let status = given.code()?;
            if !(400..=599).contains(&status) {
                return Err(format!("{status} is not an HTTP status from 400 to 599"));
            }
            s.exchange.submits.push((SubmitFault::Status(status), None));
            Ok(())
        },
    )
    .with_value("a status from 400 to 599"),
    Word::new(
        "refuse",
        "documented",
        "the submit is refused with this code and HTTP 200",
        |s, given| {
            let refusal = Refusal::Code(given.code()?);
            s.exchange
                .submits
                .push((SubmitFault::Refuse(refusal), None));
            Ok(())
        },
    )
    .with_value("a code"),
    Word::new(
        "rate-limit",
        "documented",
        "the submit is refused: too many requests",
        |s, given| submit(s, given, SubmitFault::Refuse(Refusal::RateLimited)),
    )
    .with_value(FIRST_TIMES),
    Word::new(
        "no-credits",
        "documented",
        "the submit is refused: too few credits",
        |s, given| submit(s, given, SubmitFault::Refuse(Refusal::NoCredits)),
    )
    .with_value(FIRST_TIMES),
    Word::new(
        "maintenance",
        "documented",
        "the submit is refused: maintenance",
        |s, given| submit(s, given, SubmitFault::Refuse(Refusal::Maintenance)),
    )
    .with_value(FIRST_TIMES),
    Word::new(
        "server-error",
        "documented",
        "the submit is refused: server error",
        |s, given| submit(s, given, SubmitFault::Refuse(Refusal::ServerError)),
    )
    .with_value(FIRST_TIMES),
    // The answers to polls.
    Word::new(
        "poll-502",
        "observed",
        "polls are answered with an HTML page and HTTP 502",
        |s, given| poll(s, given, PollFault::Html),
    )
    .with_value(FIRST_POLLS),
    Word::new(
        "poll-rate-limit",
        "documented",
        "polls are refused: too many requests",
        |s, given| poll(s, given, PollFault::RateLimited),
    )
    .with_value(FIRST_POLLS),
    Word::new(
        "poll-cut",
        "assumed",
        "the connection is closed without an answer to the poll",
        |s, given| poll(s, given, PollFault::Cut),
    )
    .with_value(FIRST_POLLS),
    Word::new(
        "poll-slow",
        "assumed",
        "the answer to a poll is late, in real time, and shows the state from before the delay",
        |s, given| {
            let delay_ms = given.millis(30)?;
            s.exchange.polls.push((PollFault::Slow { delay_ms }, 1));
            Ok(())
        },
    )
    .with_value("seconds, 30 if absent"),
    // Media.
    Word::new(
        "dead-stream",
        "reported",
        "stream URLs are answered with HTTP 200 and an empty body",
        |s, _| {
            s.exchange.media = Some((MediaFault::EmptyStream, TIMES_MAX));
            Ok(())
        },
    ),
    Word::new(
        "empty-audio",
        "assumed",
        "downloads are answered with HTTP 200 and an empty body",
        |s, given| media(s, given, MediaFault::EmptyAudio),
    )
    .with_value(FIRST_DOWNLOADS),
    Word::new(
        "cut-audio",
        "assumed",
        "the connection breaks in the middle of a download",
        |s, given| media(s, given, MediaFault::Cut),
    )
    .with_value(FIRST_DOWNLOADS),
    Word::new(
        "missing-audio",
        "documented",
        "downloads are answered with 404, as if the media were deleted",
        |s, given| media(s, given, MediaFault::Missing),
    )
    .with_value(FIRST_DOWNLOADS),
    Word::new(
        "no-ranges",
        "assumed",
        "downloads ignore Range and are answered with the whole file",
        |s, _| {
            s.exchange.media = Some((MediaFault::NoRanges, TIMES_MAX));
            Ok(())
        },
    ),
];

const FIRST_TIMES: &str = "number of submits, all if absent";
const FIRST_POLLS: &str = "number of polls of the task, 1 if absent";
const FIRST_DOWNLOADS: &str = "number of downloads of the task, 1 if absent";

fn submit(s: &mut Scenario, given: WordArguments<'_>, fault: SubmitFault) -> Result<(), String> {
    s.exchange.submits.push((fault, given.times()?));
    Ok(())
}

fn poll(s: &mut Scenario, given: WordArguments<'_>, fault: PollFault) -> Result<(), String> {
    s.exchange.polls.push((fault, given.count(1, TIMES_MAX)?));
    Ok(())
}

fn media(s: &mut Scenario, given: WordArguments<'_>, fault: MediaFault) -> Result<(), String> {
    s.exchange.media = Some((fault, given.count(1, TIMES_MAX)?));
    Ok(())
}
