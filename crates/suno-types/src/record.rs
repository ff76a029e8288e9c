//! A task's record: what the provider answers when it is asked about a task.

use std::fmt;

use crate::word::open_word;
use crate::{Callback, CallbackType, Code, CreatedAt, Extra, Stage, TaskId, Track};

/// What the provider knows of a task.
///
/// The status alone does not tell whether the task has ended: ask [`outcome`](Self::outcome).
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct TaskRecord {
    /// The task.
    pub task_id: TaskId,
    /// The status as it was sent; in the jobs dialect, the state.
    pub status: TaskStatus,
    /// The code name of the engine.
    pub kind: Option<String>,
    /// What kind of task it is, such as `underpainting`.
    pub operation_type: Option<String>,
    /// Why the task failed. Can be set while the status is still `PENDING` (`PROTOCOL.md 4.8`).
    pub error_code: Option<Code>,
    /// The same in the provider's words, which can echo a URL with a secret in it: do not log them.
    pub error_message: Option<String>,
    /// When the task was made.
    pub created_at: Option<CreatedAt>,
    /// The tracks in the order in which they were sent.
    pub tracks: Vec<Track>,
    /// Members that this version does not know. `param` stands here: it echoes the request with
    /// the callback URL, and so with a token in it.
    pub extra: Extra,
    /// Members beside the tracks that this version does not know.
    pub response_extra: Extra,
    pub(crate) is_job: bool,
    /// A word stood where the error code should; it is kept in `extra`.
    pub(crate) has_error_word: bool,
}

open_word! {
    /// The status of a task exactly as it was sent; in the jobs dialect, its state.
    TaskStatus {
        /// Nothing exists yet, or the task failed: check the error code.
        PENDING = "PENDING",
        /// Titles and lyrics exist.
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
        /// The task failed; known from samples only.
        FAILED = "FAILED",
        /// The jobs dialect's word for a finished task.
        JOB_SUCCESS = "success",
        /// The jobs dialect's word for a failed task.
        JOB_FAIL = "fail",
    }
}

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Not finished yet: ask again.
    Running,
    /// Finished; the tracks are ready.
    Succeeded,
    /// Failed; nothing more will come.
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
    /// A record without tracks and without an error.
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

    /// How the task stands, from the whole record (`PROTOCOL.md 7.22`, `7.24`).
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

    /// The stage that the record shows; `None` if it shows none yet.
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

    /// True if nothing more will come.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.outcome() != Outcome::Running
    }

    /// The callback that says the same, so that what was polled and what was called back can be
    /// treated alike; `None` if the record shows no stage yet.
    ///
    /// A failure that names no code gets [`Code::GENERATION_FAILED`]. Members that this version
    /// does not know are left out: among them stands the callback URL, and so a token in it.
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

    /// The code that goes with the stage that the record shows.
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
