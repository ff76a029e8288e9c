//! A callback: what the provider POSTs when a task reaches a stage.

use std::fmt;

use crate::{CallbackType, Code, Extra, Stage, TaskId, Track};

/// What the provider says of a task in one callback.
///
/// Both dialects decode to this type: the one with `callbackType` (`PROTOCOL.md 2.4`) and the one
/// with `state` (`PROTOCOL.md 5.5`). Encoding writes the dialect that was read.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Callback {
    /// The task.
    pub task_id: TaskId,
    /// The outcome. Anything but 200 is a failure.
    pub code: Code,
    /// The provider's words, for people. They can echo a URL with a secret in it: do not log them,
    /// and never decide by them, for `first` says "successfully" as well.
    pub msg: String,
    /// The stage as it was sent, if it was. Ask [`stage`](Self::stage) instead.
    pub callback_type: Option<CallbackType>,
    /// The reason of a failure, where one stands apart from `msg`.
    pub error: Option<String>,
    /// The tracks in the order in which they were sent.
    pub tracks: Vec<Track>,
    /// Members of the body that this version does not know.
    pub extra: Extra,
    /// Members of `data` that this version does not know.
    pub data_extra: Extra,
    pub(crate) job: Option<Job>,
}

/// What only the jobs dialect has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Job {
    pub(crate) state: Box<str>,
    pub(crate) result_extra: Extra,
}

/// The word that the other dialect has for a state of the jobs dialect, if it has another one.
pub(crate) fn job_stage_word(state: &str) -> Option<&'static str> {
    match state {
        "success" => Some("complete"),
        "fail" => Some("error"),
        _ => None,
    }
}

/// The stage that follows from a code and the word of either dialect.
pub(crate) fn stage(code: Code, job_state: Option<&str>, callback_type: Option<&str>) -> Stage {
    let word = match job_state {
        Some(state) => Some(job_stage_word(state).unwrap_or(state)),
        None => callback_type,
    };
    Stage::derive(code, word)
}

impl Callback {
    /// A callback without a word for the stage and without tracks.
    #[must_use]
    pub fn new(task_id: TaskId, code: Code) -> Self {
        Self {
            task_id,
            code,
            msg: String::new(),
            callback_type: None,
            error: None,
            tracks: Vec::new(),
            extra: Extra::default(),
            data_extra: Extra::default(),
            job: None,
        }
    }

    /// The stage that the callback reports.
    #[must_use]
    pub fn stage(&self) -> Stage {
        let state = self.job_state();
        let word = self.callback_type.as_ref().map(CallbackType::as_str);
        stage(self.code, state, word)
    }

    /// The state as the jobs dialect sent it.
    #[must_use]
    pub fn job_state(&self) -> Option<&str> {
        self.job.as_ref().map(|job| &*job.state)
    }
}

/// Without `msg` and `error`, which can echo a URL with a secret in it.
impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback")
            .field("task_id", &self.task_id)
            .field("code", &self.code)
            .field("stage", &self.stage())
            .field("tracks", &self.tracks)
            .field("extra", &self.extra)
            .field("data_extra", &self.data_extra)
            .finish_non_exhaustive()
    }
}
