//! A callback, which the provider POSTs when a task reaches a stage.

use std::fmt;

use crate::{CallbackType, Code, Extra, Stage, TaskId, Track};

/// A callback about one task.
///
/// Both dialects decode to this type: the one with `callbackType` (`PROTOCOL.md 2.4`) and the one
/// with `state` (`PROTOCOL.md 5.5`). Encoding writes the dialect that was read.
///
/// ```
/// use suno_types::{Callback, CallbackType, Code, Stage, TaskId};
///
/// let task = TaskId::new("5c79000000000000000000000000be8e")?;
/// let mut callback = Callback::new(task, Code::SUCCESS);
/// callback.callback_type = Some(CallbackType::FIRST);
///
/// let body = callback.encode();
/// assert_eq!(Callback::decode(&body)?.stage(), Stage::First);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Callback {
    /// The id of the task.
    pub task_id: TaskId,
    /// The code of the outcome. Any code but 200 is a failure.
    pub code: Code,
    /// The provider's message, for people. It can repeat a URL that contains a secret: do not log
    /// it. Do not decide by it either: the message of `first` also says "successfully".
    pub msg: String,
    /// The word for the stage, as it was sent. Use [`stage`](Self::stage) instead.
    pub callback_type: Option<CallbackType>,
    /// The reason for a failure, if it was sent separately from `msg`.
    pub error: Option<String>,
    /// The tracks in the order in which they were sent.
    pub tracks: Vec<Track>,
    /// Members of the body that this version does not know.
    pub extra: Extra,
    /// Members of `data` that this version does not know.
    pub data_extra: Extra,
    pub(crate) job: Option<Job>,
}

/// The members that only the jobs dialect has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Job {
    pub(crate) state: Box<str>,
    pub(crate) result_extra: Extra,
}

/// The word of the other dialect for a state of the jobs dialect, if it is a different word.
pub(crate) fn job_stage_word(state: &str) -> Option<&'static str> {
    match state {
        "success" => Some("complete"),
        "fail" => Some("error"),
        _ => None,
    }
}

/// Derives the stage from a code and the word of either dialect.
pub(crate) fn stage(code: Code, job_state: Option<&str>, callback_type: Option<&str>) -> Stage {
    let word = match job_state {
        Some(state) => Some(job_stage_word(state).unwrap_or(state)),
        None => callback_type,
    };
    Stage::derive(code, word)
}

impl Callback {
    /// Creates a callback without a word for the stage and without tracks.
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

    /// The state, if the callback is of the jobs dialect.
    #[must_use]
    pub fn job_state(&self) -> Option<&str> {
        self.job.as_ref().map(|job| &*job.state)
    }
}

/// Without `msg` and `error`, which can repeat a URL that contains a secret.
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
