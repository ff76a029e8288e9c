//! Every word of scenarios, in the order of the documentation.

use super::Scenario;
use super::course::{Ending, Stages};
use super::words::{Given, TIMES_MAX, Word};
use crate::fault::delivery::{COPIES_MAX, Forgery, Target};
use crate::fault::exchange::{MediaFault, PollFault, SubmitFault};
use crate::profile::Refusal;
use crate::task::plan::{FailureShape, Signing, Tracks};

/// All words.
pub(super) const WORDS: &[Word] = &[
    // The course of the task.
    Word::new(
        "stages",
        "documented",
        "only these stages happen; a task without an end stays as it is",
        |s, given| {
            s.course.stages = Some(stages(given)?);
            Ok(())
        },
    )
    .with_value("text+first+complete, some of them, or none")
    .drawn(&["=complete", "=text+complete", "=first+complete"]),
    Word::new(
        "text",
        "reported",
        "what the stage text has for tracks",
        |s, given| {
            s.course.text_tracks = Some(text_tracks(given)?);
            Ok(())
        },
    )
    .with_value("partial, empty, null or absent")
    .drawn(&["=partial", "=empty", "=null", "=absent"]),
    Word::new("one-track", "observed", "the task has one track", |s, _| {
        s.course.track_count = 1;
        Ok(())
    })
    .drawn(&[""]),
    Word::new(
        "second-first",
        "observed",
        "of the two tracks the second one is finished first",
        |s, _| {
            s.course.last_is_first = true;
            Ok(())
        },
    )
    .drawn(&[""]),
    Word::new(
        "fail",
        "documented",
        "the generation fails; 531 gives the credits back",
        |s, given| {
            let code = if given.value.is_some() {
                Some(given.code()?)
            } else {
                None
            };
            s.course.ending = Ending::Failed { code };
            Ok(())
        },
    )
    .with_value("a code; the provider's usual one if absent")
    .drawn(&["", "=400", "=408", "=413", "=451", "=500", "=531"]),
    Word::new(
        "shape",
        "documented",
        "the shape of the failure callback",
        |s, given| {
            let named = FailureShape::named(given.text()?);
            s.course.failure_shape = named.ok_or("it takes one of those in the documentation")?;
            Ok(())
        },
    )
    .with_value("null, empty, absent, error-text, untyped or says-complete")
    .drawn(&[
        "=empty",
        "=absent",
        "=error-text",
        "=untyped",
        "=says-complete",
    ]),
    Word::new(
        "create-failed",
        "documented",
        "it fails before anything is generated",
        |s, _| {
            s.course.ending = Ending::CreateFailed;
            Ok(())
        },
    )
    .drawn(&[""]),
    Word::new(
        "sensitive-word",
        "documented",
        "the words of the submit are refused later",
        |s, _| {
            s.course.ending = Ending::SensitiveWord;
            Ok(())
        },
    )
    .drawn(&[""]),
    Word::new(
        "pending-error",
        "reported",
        "a poll shows PENDING with an error for long, then the failure",
        |s, _| {
            s.course.ending = Ending::PendingError;
            Ok(())
        },
    )
    .drawn(&[""]),
    Word::new(
        "hidden",
        "observed",
        "a poll does not find the task at first",
        |s, given| {
            s.course.hidden_ms = given.millis(5)?;
            Ok(())
        },
    )
    .with_value("seconds, 5 if absent")
    .drawn(&[""]),
    Word::new(
        "late-tracks",
        "reported",
        "a poll shows SUCCESS without tracks at first",
        |s, given| {
            s.course.trackless_ms = given.millis(10)?;
            Ok(())
        },
    )
    .with_value("seconds, 10 if absent")
    .drawn(&[""]),
    Word::new(
        "long-first",
        "assumed",
        "the stage first lasts longer",
        |s, given| {
            s.course.first_lasts_ms = given.millis(600)?;
            Ok(())
        },
    )
    .with_value("further seconds, 600 if absent")
    .drawn(&[""]),
    Word::new(
        "status",
        "documented",
        "what a poll says while the task runs, such as GENERATING",
        |s, given| {
            s.course.running_status = Some(given.text()?.to_owned());
            Ok(())
        },
    )
    .with_value("a word"),
    Word::new(
        "end-status",
        "documented",
        "what a poll says at the end, such as FAILED",
        |s, given| {
            s.course.end_status = Some(given.text()?.to_owned());
            Ok(())
        },
    )
    .with_value("a word"),
    Word::new(
        "unknown-fields",
        "assumed",
        "bodies have members that nobody knows",
        |s, _| {
            s.course.extra_members = true;
            Ok(())
        },
    )
    .drawn(&[""]),
    Word::new(
        "script",
        "assumed",
        "the course is scripted in full",
        |s, given| {
            s.script = Some(given.text()?.to_owned());
            Ok(())
        },
    )
    .with_value("the name of the script"),
    Word::new(
        "random",
        "assumed",
        "up to three other words, drawn by the seed",
        |s, _| {
            s.random = true;
            Ok(())
        },
    ),
    // The way of the callbacks.
    Word::new(
        "drop",
        "documented",
        "the callback never leaves",
        |s, given| {
            s.delivery.drops.push(target(given));
            Ok(())
        },
    )
    .per_stage()
    .drawn(&[""]),
    Word::new(
        "duplicate",
        "documented",
        "the callback comes several times",
        |s, given| {
            s.delivery
                .copies
                .push((target(given), given.count(2, COPIES_MAX)?));
            Ok(())
        },
    )
    .with_value("times, 2 if absent")
    .per_stage()
    .drawn(&["", "=3"]),
    Word::new(
        "delay",
        "assumed",
        "the callback comes later",
        |s, given| {
            s.delivery.delays.push((target(given), given.millis(60)?));
            Ok(())
        },
    )
    .with_value("seconds, 60 if absent")
    .per_stage()
    .drawn(&["=1", "=30", "=90"]),
    Word::new(
        "reorder",
        "assumed",
        "the last callback comes first",
        |s, _| {
            s.delivery.order = Some(Vec::new());
            Ok(())
        },
    )
    .drawn(&[""]),
    Word::new(
        "order",
        "assumed",
        "the callbacks come in this order, none before its time",
        |s, given| {
            let names = given.text()?.split('+').map(|name| name.trim().to_owned());
            s.delivery.order = Some(names.collect());
            Ok(())
        },
    )
    .with_value("such as complete+first+text")
    .drawn(&["=first+text+complete", "=complete+text+first"]),
    Word::new(
        "forge",
        "documented",
        "a stranger sends another result under a signature that was seen",
        |s, _| {
            s.delivery.forgeries.push(Forgery::Complete);
            Ok(())
        },
    )
    .drawn(&[""]),
    Word::new(
        "forge-error",
        "documented",
        "a stranger sends a failure under a signature that was seen",
        |s, _| {
            s.delivery.forgeries.push(Forgery::Failure);
            Ok(())
        },
    )
    .drawn(&[""]),
    Word::new(
        "forge-ids",
        "assumed",
        "a stranger adds the id of another task to a signed body",
        |s, _| {
            s.delivery.forgeries.push(Forgery::Ids);
            Ok(())
        },
    )
    .drawn(&[""]),
    Word::new(
        "bad-signature",
        "assumed",
        "the signature is made with another key",
        |s, given| {
            s.delivery.signing = Signing::Wrong {
                attempts: given.count(TIMES_MAX, TIMES_MAX)?,
            };
            Ok(())
        },
    )
    .with_value("for so many attempts of each callback, all if absent")
    .drawn(&["=1"]),
    Word::new(
        "stale-timestamp",
        "assumed",
        "the timestamp is an hour old, and signed",
        |s, given| {
            s.delivery.signing = Signing::Stale {
                attempts: given.count(TIMES_MAX, TIMES_MAX)?,
            };
            Ok(())
        },
    )
    .with_value("for so many attempts of each callback, all if absent")
    .drawn(&["=1"]),
    Word::new(
        "no-signature",
        "assumed",
        "the signature headers are missing",
        |s, given| {
            s.delivery.signing = Signing::Missing {
                attempts: given.count(TIMES_MAX, TIMES_MAX)?,
            };
            Ok(())
        },
    )
    .with_value("for so many attempts of each callback, all if absent")
    .drawn(&["=1"]),
    Word::new(
        "unknown-type",
        "assumed",
        "a further callback has a callbackType that nobody knows",
        |s, _| {
            s.delivery.unknown_type = true;
            Ok(())
        },
    )
    .drawn(&[""]),
    Word::new(
        "early",
        "reported",
        "the first callback is delivered before the submit is answered",
        |s, _| {
            s.delivery.early = true;
            Ok(())
        },
    )
    .drawn(&[""]),
    // The answer to the submit.
    Word::new(
        "cut",
        "assumed",
        "the task is taken, and the connection closed without an answer",
        |s, given| submit(s, given, SubmitFault::Cut),
    )
    .with_value(FIRST_TIMES),
    Word::new(
        "slow-answer",
        "assumed",
        "the task is taken, and the answer comes late in real time",
        |s, given| {
            s.exchange.answer_delay_ms = given.millis(30)?;
            Ok(())
        },
    )
    .with_value("seconds, 30 if absent"),
    Word::new(
        "html-502",
        "observed",
        "nothing is done, and the answer is a page with HTTP 502",
        |s, given| submit(s, given, SubmitFault::Html { taken: false }),
    )
    .with_value(FIRST_TIMES),
    Word::new(
        "html-502-taken",
        "assumed",
        "the task is taken, and the answer is a page with HTTP 502",
        |s, given| submit(s, given, SubmitFault::Html { taken: true }),
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
        "polls are answered with a page and HTTP 502",
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
        "polls get no answer, the connection is closed",
        |s, given| poll(s, given, PollFault::Cut),
    )
    .with_value(FIRST_POLLS),
    Word::new(
        "poll-slow",
        "assumed",
        "a poll is answered late, in real time, with what was so when it came",
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
        "stream URLs answer HTTP 200 with nothing",
        |s, _| {
            s.exchange.media = Some((MediaFault::EmptyStream, TIMES_MAX));
            Ok(())
        },
    ),
    Word::new(
        "empty-audio",
        "assumed",
        "downloads answer HTTP 200 with nothing",
        |s, given| media(s, given, MediaFault::EmptyAudio),
    )
    .with_value(FIRST_DOWNLOADS),
    Word::new(
        "cut-audio",
        "assumed",
        "downloads break off in the middle",
        |s, given| media(s, given, MediaFault::Cut),
    )
    .with_value(FIRST_DOWNLOADS),
    Word::new(
        "missing-audio",
        "documented",
        "downloads answer 404, as when the media were deleted",
        |s, given| media(s, given, MediaFault::Missing),
    )
    .with_value(FIRST_DOWNLOADS),
    Word::new(
        "no-ranges",
        "assumed",
        "downloads ignore Range and answer with all of it",
        |s, _| {
            s.exchange.media = Some((MediaFault::NoRanges, TIMES_MAX));
            Ok(())
        },
    ),
];

const FIRST_TIMES: &str = "for the first so many submits, all if absent";
const FIRST_POLLS: &str = "for the first so many polls of the task, 1 if absent";
const FIRST_DOWNLOADS: &str = "for the first so many downloads of the task, 1 if absent";

fn target(given: Given<'_>) -> Target {
    given
        .stage
        .map_or(Target::All, |stage| Target::Named(stage.to_owned()))
}

fn submit(s: &mut Scenario, given: Given<'_>, fault: SubmitFault) -> Result<(), String> {
    s.exchange.submits.push((fault, given.times()?));
    Ok(())
}

fn poll(s: &mut Scenario, given: Given<'_>, fault: PollFault) -> Result<(), String> {
    s.exchange.polls.push((fault, given.count(1, TIMES_MAX)?));
    Ok(())
}

fn media(s: &mut Scenario, given: Given<'_>, fault: MediaFault) -> Result<(), String> {
    s.exchange.media = Some((fault, given.count(1, TIMES_MAX)?));
    Ok(())
}

fn stages(given: Given<'_>) -> Result<Stages, String> {
    let mut stages = Stages {
        text: false,
        first: false,
        complete: false,
    };
    for name in given.text()?.split('+').map(str::trim) {
        match name {
            "none" => {}
            "text" => stages.text = true,
            "first" => stages.first = true,
            "complete" => stages.complete = true,
            _ => {
                return Err(format!(
                    "{name:?} is not one of text, first, complete, none"
                ));
            }
        }
    }
    Ok(stages)
}

fn text_tracks(given: Given<'_>) -> Result<Tracks, String> {
    match given.text()? {
        "absent" => Ok(Tracks::Absent),
        "null" => Ok(Tracks::Null),
        "empty" => Ok(Tracks::Empty),
        "partial" => Ok(Tracks::Unfinished),
        other => Err(format!(
            "{other:?} is not one of partial, empty, null, absent"
        )),
    }
}
