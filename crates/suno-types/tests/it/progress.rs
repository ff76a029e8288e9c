//! What is known of a task does not depend on the order in which it was heard, never goes back,
//! and settles contradictions by the record.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use suno_types::{
    Callback, CallbackType, Code, Stage, TaskId, TaskProgress, TaskRecord, TaskStatus, Track,
};

const TASK: &str = "0f8c1b6de2a94c7f8e5d3b2a1c0f9e8d";

/// Something that is heard of the task.
#[derive(Debug, Clone)]
enum Heard {
    Callback(Callback),
    Record(TaskRecord),
}

impl Heard {
    fn stage(&self) -> Option<Stage> {
        match self {
            Self::Callback(callback) => Some(callback.stage()),
            Self::Record(record) => record.stage(),
        }
    }
}

fn track() -> impl Strategy<Value = Track> {
    let url = || option::of("|https://media.example.com/[a-c]");
    (
        0..3_usize,
        url(),
        option::of("[a-b]"),
        option::of(0.0..3.0_f64),
    )
        .prop_map(|(position, url, title, duration)| {
            let mut track = Track::new(position);
            track.audio_url = url;
            track.title = title;
            track.duration = duration;
            track
        })
}

fn callback() -> impl Strategy<Value = Callback> {
    let codes = prop_oneof![4 => Just(200), 1 => Just(501), 1 => Just(531)];
    let words = option::of("text|first|complete|error|remaster");
    (codes, words, vec(track(), 0..3)).prop_map(|(code, word, tracks)| {
        let mut callback = Callback::new(TaskId::new(TASK).unwrap(), Code(code));
        callback.callback_type = word.as_deref().map(CallbackType::from);
        callback.tracks = tracks;
        callback
    })
}

fn record() -> impl Strategy<Value = TaskRecord> {
    let statuses = "PENDING|TEXT_SUCCESS|FIRST_SUCCESS|SUCCESS|CALLBACK_EXCEPTION|FAILED|MASTERING";
    let errors = option::weighted(0.2, prop_oneof![Just(0), Just(413), Just(501)]);
    (statuses, errors, vec(track(), 0..3)).prop_map(|(status, error, tracks)| {
        let mut record = TaskRecord::new(TaskId::new(TASK).unwrap(), TaskStatus::from(&*status));
        record.error_code = error.map(Code);
        record.tracks = tracks;
        record
    })
}

fn heard() -> impl Strategy<Value = Vec<Heard>> {
    let one = prop_oneof![
        2 => callback().prop_map(Heard::Callback),
        1 => record().prop_map(Heard::Record),
    ];
    vec(one, 0..7)
}

/// The same in another order, with repetitions.
fn shuffled(heard: Vec<Heard>) -> impl Strategy<Value = (Vec<Heard>, Vec<Heard>)> {
    let repeated = proptest::sample::subsequence(heard.clone(), 0..=heard.len());
    (Just(heard.clone()), repeated).prop_flat_map(|(all, repeated)| {
        let again: Vec<_> = all.iter().chain(&repeated).cloned().collect();
        (Just(all), Just(again).prop_shuffle())
    })
}

fn absorb(progress: &mut TaskProgress, heard: &Heard) {
    match heard {
        Heard::Callback(callback) => progress.absorb_callback(callback),
        Heard::Record(record) => progress.absorb_record(record),
    }
}

fn fold(heard: &[Heard]) -> TaskProgress {
    let mut progress = TaskProgress::new();
    heard.iter().for_each(|heard| absorb(&mut progress, heard));
    progress
}

fn rank(progress: &TaskProgress) -> u8 {
    progress.stage().and_then(|stage| stage.rank()).unwrap_or(0)
}

fn ready(progress: &TaskProgress) -> Vec<usize> {
    let ready = progress.tracks().filter(|track| track.is_ready());
    ready.map(|track| track.position).collect()
}

/// True if a record, or a callback, says that stage.
fn says(heard: &[Heard], stage: &Stage, by_record: bool) -> bool {
    let fits = |heard: &&Heard| matches!(heard, Heard::Record(_)) == by_record;
    heard
        .iter()
        .filter(fits)
        .any(|heard| heard.stage().as_ref() == Some(stage))
}

/// The stage by the rules, without any cleverness.
fn expected(heard: &[Heard]) -> (Option<Stage>, bool) {
    for by_record in [true, false] {
        let complete = says(heard, &Stage::Complete, by_record);
        let failed = says(heard, &Stage::Failed, by_record);
        match (complete, failed) {
            (true, true) => return (Some(Stage::Failed), true),
            (true, false) => return (Some(Stage::Complete), false),
            (false, true) => return (Some(Stage::Failed), false),
            (false, false) => {}
        }
    }
    let known = heard
        .iter()
        .filter_map(Heard::stage)
        .filter(|stage| stage.rank().is_some());
    (known.max_by_key(|stage| stage.rank()), false)
}

fn said(word: &str, code: i64) -> Heard {
    let mut callback = Callback::new(TaskId::new(TASK).unwrap(), Code(code));
    callback.callback_type = Some(CallbackType::from(word));
    Heard::Callback(callback)
}

fn recorded(status: TaskStatus, error_code: Option<Code>) -> Heard {
    let mut record = TaskRecord::new(TaskId::new(TASK).unwrap(), status);
    record.error_code = error_code;
    Heard::Record(record)
}

#[test]
fn a_failure_keeps_the_code_that_told_it() {
    let code = |heard| fold(&[heard]).failure().map(|failure| failure.code);
    assert_eq!(code(said("error", 531)), Some(Code::REFUNDED));
    let pending = recorded(TaskStatus::PENDING, Some(Code(413)));
    assert_eq!(code(pending), Some(Code(413)));
    let failed = recorded(TaskStatus::FAILED, None);
    assert_eq!(code(failed), Some(Code::GENERATION_FAILED));
}

#[test]
fn nothing_is_terminal_but_complete_and_failed() {
    let is_terminal = |heard| fold(&[heard]).is_terminal();
    assert!(is_terminal(said("complete", 200)));
    assert!(is_terminal(said("error", 501)));
    assert!(!is_terminal(said("first", 200)));
    assert!(!is_terminal(said("remaster", 200)));
    assert!(!TaskProgress::new().is_terminal());
    for (status, terminal) in [
        (TaskStatus::FIRST_SUCCESS, false),
        (TaskStatus::SUCCESS, false),
        (TaskStatus::FAILED, true),
    ] {
        let record = TaskRecord::new(TaskId::new(TASK).unwrap(), status);
        assert_eq!(record.is_terminal(), terminal, "{record:?}");
    }
}

#[test]
fn of_two_ready_tracks_the_one_of_the_later_stage_counts() {
    let with = |word: &str, title: &str| {
        let mut track = Track::new(0);
        track.audio_url = Some("https://media.example.com/a.mp3".to_owned());
        track.title = Some(title.to_owned());
        let mut callback = Callback::new(TaskId::new(TASK).unwrap(), Code::SUCCESS);
        callback.callback_type = Some(CallbackType::from(word));
        callback.tracks = vec![track];
        Heard::Callback(callback)
    };
    let heard = [with("complete", "Final"), with("first", "Working title")];
    for order in [[0, 1], [1, 0]] {
        let progress = fold(&order.map(|place: usize| heard[place].clone()));
        let titles: Vec<_> = progress.tracks().map(|track| track.title.clone()).collect();
        assert_eq!(titles, [Some("Final".to_owned())]);
    }
}

proptest! {
    #[test]
    fn order_and_repetition_make_no_difference((all, again) in heard().prop_flat_map(shuffled)) {
        prop_assert_eq!(fold(&all), fold(&again));
    }

    #[test]
    fn a_task_never_goes_back_and_no_ready_track_is_lost(all in heard()) {
        let mut progress = TaskProgress::new();
        for heard in &all {
            let (before, ready_before) = (rank(&progress), ready(&progress));
            let was_terminal = progress.is_terminal();
            absorb(&mut progress, heard);
            prop_assert!(rank(&progress) >= before);
            prop_assert!(progress.is_terminal() || !was_terminal);
            let ready = ready(&progress);
            prop_assert!(ready_before.iter().all(|position| ready.contains(position)));
        }
    }

    #[test]
    fn a_record_settles_what_callbacks_contradict(all in heard()) {
        let progress = fold(&all);
        let (stage, contested) = expected(&all);
        prop_assert_eq!(progress.stage(), stage.clone());
        prop_assert_eq!(progress.is_contested(), contested);
        prop_assert_eq!(progress.failure().is_some(), stage == Some(Stage::Failed));
    }
}
