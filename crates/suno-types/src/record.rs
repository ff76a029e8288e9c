//! A task's record: what the provider answers when it is asked about a task.

use std::borrow::Cow;
use std::fmt;

use crate::{
    Callback, CallbackType, Code, CreatedAt, DecodeError, Envelope, Extra, Stage, TaskId, Track,
};

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

/// The status of a task as it was sent: an open set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TaskStatus(Cow<'static, str>);

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

macro_rules! statuses {
    ($($(#[$meta:meta])* $name:ident = $text:literal,)*) => {
        impl TaskStatus {
            $($(#[$meta])* pub const $name: Self = Self(Cow::Borrowed($text));)*
        }
    };
}

statuses! {
    /// Nothing is there yet, or the task failed: look at the error code.
    PENDING = "PENDING",
    /// Titles and lyrics are there.
    TEXT_SUCCESS = "TEXT_SUCCESS",
    /// One track is ready.
    FIRST_SUCCESS = "FIRST_SUCCESS",
    /// The task is finished; for a short while without its tracks.
    SUCCESS = "SUCCESS",
    /// The task could not be made.
    CREATE_TASK_FAILED = "CREATE_TASK_FAILED",
    /// The audio could not be made.
    GENERATE_AUDIO_FAILED = "GENERATE_AUDIO_FAILED",
    /// The callback could not be delivered. The tracks usually exist.
    CALLBACK_EXCEPTION = "CALLBACK_EXCEPTION",
    /// The words were refused.
    SENSITIVE_WORD_ERROR = "SENSITIVE_WORD_ERROR",
    /// Failed; seen in samples only.
    FAILED = "FAILED",
}

impl TaskStatus {
    /// The status as it was sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for TaskStatus {
    fn from(text: &str) -> Self {
        Self(Cow::Owned(text.to_owned()))
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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

    /// Reads the answer to a poll. `data` is `None` while the task is not visible.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the body is not an envelope, or its data is not a record.
    pub fn decode(body: &[u8]) -> Result<Envelope<Self>, DecodeError> {
        Envelope::decode(body)
    }

    /// How the task stands, from the whole record (`PROTOCOL.md 7.22`, `7.24`).
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let failed = self.has_error();
        let any_ready = self.tracks.iter().any(Track::is_ready);
        let all_ready = any_ready && self.tracks.iter().all(Track::is_ready);
        match self.status.as_str() {
            "CREATE_TASK_FAILED" | "GENERATE_AUDIO_FAILED" | "SENSITIVE_WORD_ERROR" | "FAILED" => {
                Outcome::Failed
            }
            "fail" if self.is_job => Outcome::Failed,
            "SUCCESS" if any_ready => Outcome::Succeeded,
            "success" if self.is_job && any_ready => Outcome::Succeeded,
            // The provider could not reach the callback URL, which says nothing of the audio.
            "CALLBACK_EXCEPTION" if all_ready => Outcome::Succeeded,
            "SUCCESS" | "success" | "CALLBACK_EXCEPTION" if any_ready || !failed => {
                Outcome::Running
            }
            // The error is set minutes before the status follows.
            _ if failed => Outcome::Failed,
            _ => Outcome::Running,
        }
    }

    /// The stage that the record shows; `None` if it shows none yet.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        match (self.outcome(), self.status.as_str()) {
            (Outcome::Succeeded, _) => Some(Stage::Complete),
            (Outcome::Failed, _) => Some(Stage::Failed),
            (Outcome::Running, "TEXT_SUCCESS") => Some(Stage::Text),
            (Outcome::Running, "FIRST_SUCCESS") => Some(Stage::First),
            (Outcome::Running, _) => None,
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
