//! A task's record, which is the provider's answer to a poll.

use std::fmt;

use crate::word::open_word;
use crate::{Callback, CallbackType, Code, CreatedAt, Extra, Stage, TaskId, Track};

/// The provider's record of a task.
///
/// The status alone does not say whether the task has ended: use [`outcome`](Self::outcome).
///
/// ```
/// use suno_types::{Code, Outcome, TaskId, TaskRecord, TaskStatus};
///
/// let task = TaskId::new("5c79000000000000000000000000be8e")?;
/// let mut record = TaskRecord::new(task, TaskStatus::PENDING);
/// assert_eq!(record.outcome(), Outcome::Running);
///
/// record.error_code = Some(Code::REFUNDED);
/// assert_eq!(record.outcome(), Outcome::Failed);
/// # Ok::<(), suno_types::InvalidId>(())
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct TaskRecord {
    /// The id of the task.
    pub task_id: TaskId,
    /// The status as it was sent; in the jobs dialect, the state.
    pub status: TaskStatus,
    /// The code name of the engine.
    pub kind: Option<String>,
    /// The kind of the task, such as `underpainting`.
    pub operation_type: Option<String>,
    /// The code of the task's failure. It can be set while the status is still `PENDING`
    /// (`PROTOCOL.md 4.8`).
    pub error_code: Option<Code>,
    /// The provider's message about the failure. It can repeat a URL that contains a secret: do not
    /// log it.
    pub error_message: Option<String>,
    /// The time at which the task was created.
    pub created_at: Option<CreatedAt>,
    /// The tracks in the order in which they were sent.
    pub tracks: Vec<Track>,
    /// Members that this version does not know. `param` is among them: it repeats the request with
    /// the callback URL, which can contain a token.
    pub extra: Extra,
    /// Members beside the tracks that this version does not know.
    pub response_extra: Extra,
    pub(crate) is_job: bool,
    /// Whether the error code was a word instead of a number. The word is kept in `extra`.
    pub(crate) has_error_word: bool,
}

open_word! {
    /// The status of a task exactly as it was sent; in the jobs dialect, its state.
    TaskStatus {
        /// No result exists yet, or the task failed: check the error code.
        PENDING = "PENDING",
        /// Titles and lyrics are ready.
        TEXT_SUCCESS = "TEXT_SUCCESS",
        /// One track is ready.
        FIRST_SUCCESS = "FIRST_SUCCESS",
        /// The task is finished. Its tracks can be missing for a short while.
        SUCCESS = "SUCCESS",
        /// The task could not be created.
        CREATE_TASK_FAILED = "CREATE_TASK_FAILED",
        /// The audio could not be generated.
        GENERATE_AUDIO_FAILED = "GENERATE_AUDIO_FAILED",
        /// The callback could not be delivered. The tracks usually exist.
        CALLBACK_EXCEPTION = "CALLBACK_EXCEPTION",
        /// The lyrics or the prompt were rejected.
        SENSITIVE_WORD_ERROR = "SENSITIVE_WORD_ERROR",
        /// The task failed. This status is known from samples only.
        FAILED = "FAILED",
        /// The jobs dialect's word for a finished task.
        JOB_SUCCESS = "success",
        /// The jobs dialect's word for a failed task.
        JOB_FAIL = "fail",
    }
}

/// The outcome of a task so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The task has not ended yet.
    Running,
    /// The task is finished, and its tracks are ready.
    Succeeded,
    /// The task failed. This is final.
    Failed,
}

/// The statuses that end a task without its tracks, whatever else the record says.
const FAILURES: [TaskStatus; 4] = [
    TaskStatus::CREATE_TASK_FAILED,
    TaskStatus::GENERATE_AUDIO_FAILED,
    TaskStatus::SENSITIVE_WORD_ERROR,
    TaskStatus::FAILED,
];

impl TaskRecord {
    /// Creates a record without tracks and without an error.
    #[must_use]
    pub fn new(task_id: TaskId, status: TaskStatus) -> Self {
        Self {
            task_id,
            status,
            kind: None,
            operation_type: None,
            error_code: None,
            error_message: None,
            created_at: None,
            tracks: Vec::new(),
            extra: Extra::default(),
            response_extra: Extra::default(),
            is_job: false,
            has_error_word: false,
        }
    }

    /// The outcome of the task, derived from the whole record (`PROTOCOL.md 7.22`, `7.24`).
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let status = &self.status;
        let has_ready = self.tracks.iter().any(Track::is_ready);
        let are_all_ready = has_ready && self.tracks.iter().all(Track::is_ready);
        // The provider could not reach the callback URL, which says nothing about the audio.
        let is_undelivered = *status == TaskStatus::CALLBACK_EXCEPTION;
        let is_success = *status == TaskStatus::SUCCESS || *status == TaskStatus::JOB_SUCCESS;
        let is_known_success = *status == TaskStatus::SUCCESS || (is_success && self.is_job);
        if FAILURES.contains(status) || (self.is_job && *status == TaskStatus::JOB_FAIL) {
            Outcome::Failed
        } else if (is_known_success && has_ready) || (is_undelivered && are_all_ready) {
            Outcome::Succeeded
        } else if (is_success || is_undelivered) && has_ready {
            Outcome::Running
        } else if self.has_error() {
            // The error is set minutes before the status changes.
            Outcome::Failed
        } else {
            Outcome::Running
        }
    }

    /// The stage that the record reports; `None` if it reports none yet.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        match self.outcome() {
            Outcome::Succeeded => Some(Stage::Complete),
            Outcome::Failed => Some(Stage::Failed),
            Outcome::Running if self.status == TaskStatus::TEXT_SUCCESS => Some(Stage::Text),
            Outcome::Running if self.status == TaskStatus::FIRST_SUCCESS => Some(Stage::First),
            Outcome::Running => None,
        }
    }

    /// Returns whether the task has ended.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.outcome() != Outcome::Running
    }

    /// Converts the record to the callback with the same content, so that polls and callbacks can
    /// be handled alike; `None` if the record reports no stage yet.
    ///
    /// A failure without a code gets [`Code::GENERATION_FAILED`]. Members that this version does
    /// not know are dropped, because one of them contains the callback URL, which can contain a
    /// token.
    #[must_use]
    pub fn to_callback(&self) -> Option<Callback> {
        let stage = self.stage()?;
        let mut callback = Callback::new(self.task_id.clone(), self.code(&stage));
        let word = match &stage {
            Stage::Failed => "error",
            stage => stage.as_str(),
        };
        callback.callback_type = Some(CallbackType::from(word));
        callback.tracks.clone_from(&self.tracks);
        if stage == Stage::Failed {
            callback.msg = self.error_message.clone().unwrap_or_default();
        }
        Some(callback)
    }

    /// The code for a stage that the record reports.
    pub(crate) fn code(&self, stage: &Stage) -> Code {
        match stage {
            Stage::Failed => self
                .error_code
                .filter(|code| is_error(*code))
                .unwrap_or(Code::GENERATION_FAILED),
            _ => Code::SUCCESS,
        }
    }

    fn has_error(&self) -> bool {
        self.has_error_word || self.error_code.is_some_and(is_error)
    }
}

fn is_error(code: Code) -> bool {
    code != Code(0) && code != Code::SUCCESS
}

/// Without the error message and the values of unknown members, which can hold a secret.
impl fmt::Debug for TaskRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskRecord")
            .field("task_id", &self.task_id)
            .field("status", &self.status)
            .field("error_code", &self.error_code)
            .field("tracks", &self.tracks)
            .field("extra", &self.extra)
            .finish_non_exhaustive()
    }
}
