//! A task's record, which is the provider's answer to a poll.

use std::borrow::Cow;
use std::fmt;

use crate::output::{Made, Reading};
use crate::verdict::{Evidence, Verdict};
use crate::word::open_word;
use crate::{Code, CreatedAt, Extra, Output, Product, Stage, TaskId, Track};

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
    /// The status as it was sent: `status`, in the jobs dialect `state`, for some products
    /// `successFlag`, which can be a number.
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
    /// Members that have no field here, as they were sent. Those from which a field or
    /// [`output`](Self::output) was derived, such as `resultJson`, are among them, and so are `param`
    /// and `callbackUrl`: they repeat the callback URL, which can contain a token.
    pub extra: Extra,
    pub(crate) reading: Reading,
    pub(crate) form: Form,
}

/// The member that has the status, which decides how the record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `status`.
    Status,
    /// `state`, in the jobs dialect.
    State,
    /// `successFlag`, or none. The member is kept in `extra`.
    Kept,
    /// None: the record is an array of tracks, which is kept in `extra` as `data`.
    List,
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
        /// The lyrics could not be written.
        GENERATE_LYRICS_FAILED = "GENERATE_LYRICS_FAILED",
        /// The WAV file could not be made.
        GENERATE_WAV_FAILED = "GENERATE_WAV_FAILED",
        /// The music video could not be made.
        GENERATE_MP4_FAILED = "GENERATE_MP4_FAILED",
        /// The task failed. This status is known from samples only.
        FAILED = "FAILED",
        /// The word of the jobs dialect and of voices for a finished task.
        JOB_SUCCESS = "success",
        /// The word of the jobs dialect and of voices for a failed task.
        JOB_FAIL = "fail",
        /// No status was sent. This is not a word of the provider.
        UNSPECIFIED = "unspecified",
    }
}

/// The outcome of a task so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The task has not ended yet.
    Running,
    /// The task is finished, and its result is ready.
    Succeeded,
    /// The task failed. This is final.
    Failed,
}

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
            reading: Reading::default(),
            form: Form::Status,
        }
    }

    fn verdict(&self) -> Verdict {
        let evidence = Evidence {
            word: Some(self.status.as_str()).filter(|_| self.status != TaskStatus::UNSPECIFIED),
            ready: self.made().ready(),
            has_error: self.has_error(),
            product: &self.product(),
        };
        evidence.verdict()
    }

    /// The outcome of the task, derived from the whole record (`PROTOCOL.md 7.22`, `7.24`, `7.50`).
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.verdict() {
            Verdict::Succeeded => Outcome::Succeeded,
            Verdict::Failed => Outcome::Failed,
            // A result can follow its status by a moment (`PROTOCOL.md 4.9`).
            Verdict::WithoutResult | Verdict::Text | Verdict::First | Verdict::Running => {
                Outcome::Running
            }
        }
    }

    /// Returns whether the provider says that the task succeeded, but no result that is ready was found
    /// in the record. The result can follow by a moment (`PROTOCOL.md 4.9`); if it does not, the record has
    /// it in a shape that this version does not read.
    #[must_use]
    pub fn is_without_result(&self) -> bool {
        self.verdict() == Verdict::WithoutResult
    }

    /// The stage that the record reports; `None` if it reports none yet.
    ///
    /// A voice whose phrase is to be recorded is still running, and reports the provider's word,
    /// `wait_validating`, as its stage.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        match self.verdict() {
            Verdict::Succeeded => Some(Stage::Complete),
            Verdict::Failed => Some(Stage::Failed),
            Verdict::Text => Some(Stage::Text),
            Verdict::First => Some(Stage::First),
            Verdict::Running if matches!(self.output(), Output::Voice(_)) => {
                let word = Some(self.status.as_str());
                let word = word.filter(|word| word.len() <= Stage::WORD_BYTES_MAX);
                word.map(|word| Stage::derive(Code::SUCCESS, Some(word)))
            }
            Verdict::WithoutResult | Verdict::Running => None,
        }
    }

    /// Returns whether the task has ended.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.outcome() != Outcome::Running
    }

    /// The kind of result that the task makes, as far as the record says it (`PROTOCOL.md 7.47`).
    #[must_use]
    pub fn product(&self) -> Product {
        self.made().product()
    }

    /// The result of the task, finished or not.
    #[must_use]
    pub fn output(&self) -> Output<'_> {
        self.made().output()
    }

    /// A text for each result that is ready, as in [`Callback::results`](crate::Callback::results).
    pub fn results(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.made().results()
    }

    fn made(&self) -> Made<'_> {
        Made {
            tracks: &self.tracks,
            reading: &self.reading,
            members: &self.extra,
            otherwise: match self.form {
                // Voices have a `status` in small letters.
                Form::Status if self.status.is_capital() => Product::SONG,
                Form::Status | Form::State | Form::Kept => Product::OTHER,
                Form::List => Product::RECOVERY,
            },
        }
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

    /// The code for a stage is a number; the provider also sends words.
    fn has_error(&self) -> bool {
        let has_word = |name: &&str| self.extra.text(name).is_some_and(|word| is_failure(&word));
        self.error_code.is_some_and(is_error) || FAIL_CODES.iter().any(has_word)
    }
}

impl TaskStatus {
    fn is_capital(&self) -> bool {
        self.as_str().starts_with(|c: char| c.is_ascii_uppercase())
    }
}

/// The members for the code of a failure, in the order of preference.
pub(crate) const FAIL_CODES: [&str; 2] = ["failCode", "errorCode"];

/// Returns whether the text of an error code says that there is an error (`PROTOCOL.md 7.23`).
pub(crate) fn is_failure(code: &str) -> bool {
    !["", "0", "200"].contains(&code)
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
            .field("product", &self.product())
            .field("tracks", &self.tracks)
            .field("found", &self.reading.found)
            .field("extra", &self.extra)
            .finish_non_exhaustive()
    }
}
