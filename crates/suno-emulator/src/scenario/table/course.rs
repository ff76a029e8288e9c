//! Words for the course of a task.

use crate::scenario::course::{Ending, Stages};
use crate::scenario::word::{Word, WordArguments};
use crate::task::plan::{FailureShape, Tracks};

pub(super) const WORDS: &[Word] = &[
    Word::new(
        "stages",
        "documented",
        "only these stages happen; a task without an ending stays as it is",
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
        "the tracks of the stage text",
        |s, given| {
            s.course.text_tracks = Some(text_tracks(given)?);
            Ok(())
        },
    )
    .with_value("partial, empty, null or absent")
    .drawn(&["=partial", "=empty", "=null", "=absent"])
    .of_songs(),
    Word::new("one-track", "observed", "the task has one track", |s, _| {
        s.course.track_count = 1;
        Ok(())
    })
    .drawn(&[""])
    .of_songs(),
    Word::new(
        "second-first",
        "observed",
        "the second of the two tracks is finished first",
        |s, _| {
            s.course.is_last_track_first = true;
            Ok(())
        },
    )
    .drawn(&[""])
    .of_songs(),
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
            s.course.failure_shape =
                named.ok_or("it is not one of the shapes in the documentation")?;
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
    ])
    .of_songs(),
    Word::new(
        "create-failed",
        "documented",
        "the task fails before anything is generated",
        |s, _| {
            s.course.ending = Ending::CreateFailed;
            Ok(())
        },
    )
    .drawn(&[""]),
    Word::new(
        "sensitive-word",
        "documented",
        "the task fails because of a forbidden word in the submit",
        |s, _| {
            s.course.ending = Ending::SensitiveWord;
            Ok(())
        },
    )
    .drawn(&[""]),
    Word::new(
        "pending-error",
        "reported",
        "polls show PENDING with an error for a long time, then the failure",
        |s, _| {
            s.course.ending = Ending::PendingError;
            Ok(())
        },
    )
    .drawn(&[""]),
    Word::new(
        "hidden",
        "observed",
        "polls do not find the task at first",
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
        "polls show SUCCESS without tracks at first",
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
    .drawn(&[""])
    .of_songs(),
    Word::new(
        "status",
        "documented",
        "the status in polls while the task runs, such as GENERATING",
        |s, given| {
            s.course.running_status = Some(given.text()?.to_owned());
            Ok(())
        },
    )
    .with_value("a word"),
    Word::new(
        "end-status",
        "documented",
        "the final status in polls, such as FAILED",
        |s, given| {
            s.course.end_status = Some(given.text()?.to_owned());
            Ok(())
        },
    )
    .with_value("a word"),
    Word::new(
        "unknown-fields",
        "assumed",
        "bodies have unknown members",
        |s, _| {
            s.course.has_extra_members = true;
            Ok(())
        },
    )
    .drawn(&[""]),
    Word::new(
        "record-shape",
        "reported",
        "callbacks of the direct route have the shape of records",
        |s, _| {
            s.course.has_record_shape = true;
            Ok(())
        },
    ),
    Word::new(
        "script",
        "assumed",
        "a script defines the course in full",
        |s, given| {
            s.script = Some(given.text()?.to_owned());
            Ok(())
        },
    )
    .with_value("the name of the script")
    .of_songs(),
    Word::new(
        "random",
        "assumed",
        "up to three other words, drawn by the seed",
        |s, _| {
            s.is_random = true;
            Ok(())
        },
    ),
];

fn stages(given: WordArguments<'_>) -> Result<Stages, String> {
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

fn text_tracks(given: WordArguments<'_>) -> Result<Tracks, String> {
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
