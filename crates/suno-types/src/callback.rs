//! A callback, which the provider POSTs when a task reaches a stage.

use std::borrow::Cow;
use std::fmt;

use crate::output::{Made, Reading};
use crate::verdict::Evidence;
use crate::{CallbackType, Code, Extra, Output, Product, Stage, TaskId, Track};

/// A callback about one task.
///
/// Every shape that the provider sends decodes to this type: songs with `callbackType`
/// (`PROTOCOL.md 2.4`), the results of the other endpoints, the jobs dialect (`PROTOCOL.md 5.5`), and
/// a record in the place of a callback (`PROTOCOL.md 2.46`). Encoding writes the shape that was read.
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
    /// The reason for a failure, if it was sent separately from `msg`. Like `msg`, it can contain a
    /// secret.
    pub error: Option<String>,
    /// The code or the word that was sent beside the reason, in `failCode` or `errorCode`. `None` if
    /// it says that there is no error: empty, 0 or 200.
    pub fail_code: Option<String>,
    /// The tracks in the order in which they were sent, wherever they were in the body.
    pub tracks: Vec<Track>,
    /// Members of the body that have no field here, as they were sent. If `data` is not an object,
    /// it is one of them.
    pub extra: Extra,
    /// Members of `data` that have no field here, as they were sent. Members from which a field or
    /// [`output`](Self::output) was derived, such as `resultJson`, are among them.
    pub data_extra: Extra,
    pub(crate) reading: Reading,
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
            fail_code: None,
            tracks: Vec::new(),
            extra: Extra::default(),
            data_extra: Extra::default(),
            reading: Reading::default(),
        }
    }

    /// The stage that the callback reports (`PROTOCOL.md 7.12` to `7.15`, `7.50`).
    ///
    /// A callback without a word for the stage is complete if it has a result, and otherwise at the
    /// stage `unspecified`: use [`has_stage_word`](Self::has_stage_word) to tell such callbacks of
    /// one task apart by something else.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match &self.callback_type {
            _ if self.code != Code::SUCCESS => Stage::Failed,
            Some(word) => Stage::derive(self.code, Some(word.as_str())),
            None => self.evidence(&self.product()).stage(),
        }
    }

    fn evidence<'a>(&'a self, product: &'a Product) -> Evidence<'a> {
        Evidence {
            word: self.reading.word.as_deref(),
            ready: self.made().ready(),
            has_error: self.fail_code.is_some(),
            product,
        }
    }

    /// Returns whether a word for the stage was sent: `callbackType`, `state`, `status` or
    /// `successFlag`.
    #[must_use]
    pub fn has_stage_word(&self) -> bool {
        self.callback_type.is_some() || self.reading.word.is_some()
    }

    /// The kind of result that the task makes, as far as the body says it (`PROTOCOL.md 7.47`).
    #[must_use]
    pub fn product(&self) -> Product {
        self.made().product()
    }

    /// The result of the task, finished or not.
    #[must_use]
    pub fn output(&self) -> Output<'_> {
        self.made().output()
    }

    /// A text for each result that is ready, in the order in which they were sent: the ids of tracks
    /// (their positions, if they have none), URLs without their query, lyrics, the names of
    /// instruments with the number of their notes.
    ///
    /// They tell a callback that says more from one that says the same. They can be lyrics or URLs:
    /// do not log them.
    pub fn results(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.made().results()
    }

    /// The number of results that are ready.
    #[must_use]
    pub fn result_count(&self) -> usize {
        self.made().ready().ready
    }

    pub(crate) fn made(&self) -> Made<'_> {
        let has_data = self.extra.json("data").is_some();
        Made {
            tracks: &self.tracks,
            reading: &self.reading,
            members: if has_data {
                &self.extra
            } else {
                &self.data_extra
            },
            // Songs have `callbackType`, and no other word for their stage.
            otherwise: match (&self.callback_type, &self.reading.word) {
                (Some(_), None) => Product::SONG,
                _ => Product::OTHER,
            },
        }
    }
}

/// Without `msg` and `error`, which can repeat a URL that contains a secret.
impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback")
            .field("task_id", &self.task_id)
            .field("code", &self.code)
            .field("stage", &self.stage())
            .field("product", &self.product())
            .field("fail_code", &self.fail_code)
            .field("tracks", &self.tracks)
            .field("found", &self.reading.found)
            .field("extra", &self.extra)
            .field("data_extra", &self.data_extra)
            .finish_non_exhaustive()
    }
}
