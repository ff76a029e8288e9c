//! Words for the callbacks of a task: dropped, duplicated, delayed, reordered or forged.

use crate::fault::delivery::{COPIES_MAX, Target};
use crate::scenario::word::{TIMES_MAX, Word, WordArguments};
use crate::task::plan::{Forgery, SigningMode};

pub(super) const WORDS: &[Word] = &[
    Word::new(
        "drop",
        "documented",
        "the callback is not sent",
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
        "the callback is sent several times",
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
        "the callback is sent later",
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
        "the callbacks are sent in reverse order, none before its time",
        |s, _| {
            s.delivery.order = Some(Vec::new());
            Ok(())
        },
    )
    .drawn(&[""]),
    Word::new(
        "order",
        "assumed",
        "the callbacks are sent in this order, none before its time",
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
        "a forged callback with another result copies a signature",
        |s, _| {
            s.delivery.forgeries.push(Forgery::Complete);
            Ok(())
        },
    )
    .drawn(&[""]),
    Word::new(
        "forge-error",
        "documented",
        "a forged callback with a failure copies a signature",
        |s, _| {
            s.delivery.forgeries.push(Forgery::Failure);
            Ok(())
        },
    )
    .drawn(&[""]),
    Word::new(
        "forge-ids",
        "assumed",
        "a forged callback with the id of another task copies a signature",
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
            s.delivery.signing = SigningMode::Wrong {
                attempts: given.count(TIMES_MAX, TIMES_MAX)?,
            };
            Ok(())
        },
    )
    .with_value("number of attempts of each callback, all if absent")
    .drawn(&["=1"]),
    Word::new(
        "stale-timestamp",
        "assumed",
        "the timestamp is an hour old, and signed",
        |s, given| {
            s.delivery.signing = SigningMode::Stale {
                attempts: given.count(TIMES_MAX, TIMES_MAX)?,
            };
            Ok(())
        },
    )
    .with_value("number of attempts of each callback, all if absent")
    .drawn(&["=1"]),
    Word::new(
        "no-signature",
        "assumed",
        "the signature headers are missing",
        |s, given| {
            s.delivery.signing = SigningMode::Missing {
                attempts: given.count(TIMES_MAX, TIMES_MAX)?,
            };
            Ok(())
        },
    )
    .with_value("number of attempts of each callback, all if absent")
    .drawn(&["=1"]),
    Word::new(
        "unknown-type",
        "assumed",
        "another callback with an unknown callbackType is sent",
        |s, _| {
            s.delivery.has_unknown_type = true;
            Ok(())
        },
    )
    .drawn(&[""])
    .of_songs(),
    Word::new(
        "early",
        "reported",
        "the first callback is delivered before the submit is answered",
        |s, _| {
            s.delivery.is_early = true;
            Ok(())
        },
    )
    .drawn(&[""]),
];

fn target(given: WordArguments<'_>) -> Target {
    given
        .stage
        .map_or(Target::All, |stage| Target::Named(stage.to_owned()))
}
