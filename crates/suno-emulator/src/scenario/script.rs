//! Scripts: JSON texts that define, step by step, what polls show and which callbacks are sent.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::error::EmulatorError;
use crate::task::plan::{
    CALLBACKS_MAX, Change, Content, Failure, FailureShape, Plan, PlannedCallback, STEPS_MAX,
    SigningMode, Step, Tracks,
};

/// The maximum size of a script with all its bodies.
const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// The maximum number of tracks of a scripted task.
const TRACKS_MAX: usize = 8;
/// The maximum length of a script's name.
const NAME_BYTES_MAX: usize = 64;

/// The course of a task, defined in full. Tasks choose it by the word `script=NAME`.
///
/// ```
/// use suno_emulator::Script;
///
/// let script = Script::from_json(r#"{
///     "name": "refused-late",
///     "steps": [
///         {"at_ms": 1000, "status": "TEXT_SUCCESS", "tracks": "unfinished",
///          "callbacks": [{"callback_type": "text", "tracks": "unfinished"}]},
///         {"at_ms": 5000, "status": "GENERATE_AUDIO_FAILED", "refund": true,
///          "error": {"code": 531, "message": "The credits were refunded."},
///          "callbacks": [{"error": {"code": 531, "message": "The credits were refunded."}},
///                        {"body": {"code": 200, "data": {"task_id": "{task_id}"}}}]}
///     ]
/// }"#)?;
/// assert_eq!(script.name(), "refused-late");
/// # Ok::<(), suno_emulator::EmulatorError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Script {
    name: String,
    pub(crate) track_count: usize,
    pub(crate) plan: Plan,
}

/// Shows only the name, since bodies may hold anything.
impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Script {
    /// Parses a script.
    ///
    /// # Errors
    ///
    /// Returns [`EmulatorError::Script`] with the place of the mistake if the text is not a valid
    /// script.
    pub fn from_json(text: &str) -> Result<Self, EmulatorError> {
        Self::read(text).map_err(|reason| EmulatorError::Script { reason })
    }

    /// Returns the name by which tasks choose the script.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn read(text: &str) -> Result<Self, String> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!("the script is longer than {TEXT_BYTES_MAX} bytes"));
        }
        Self::build(serde_json::from_str(text).map_err(|err| err.to_string())?)
    }

    fn build(file: File) -> Result<Self, String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if file.name.is_empty()
            || file.name.len() > NAME_BYTES_MAX
            || !file.name.chars().all(is_plain)
        {
            return Err(
                "name must be up to 64 letters, digits, hyphens and underscores".to_owned(),
            );
        }
        if !(1..=TRACKS_MAX).contains(&file.track_count) {
            return Err(format!("track_count must be from 1 to {TRACKS_MAX}"));
        }
        let callbacks: usize = file.steps.iter().map(|step| step.callbacks.len()).sum();
        if file.steps.len() > STEPS_MAX || callbacks > CALLBACKS_MAX {
            return Err(format!(
                "a script may have {STEPS_MAX} steps and {CALLBACKS_MAX} callbacks"
            ));
        }
        if !file.steps.is_sorted_by_key(|step| step.at_ms) {
            return Err("the steps must be in the order of at_ms".to_owned());
        }
        let steps = file.steps.into_iter().enumerate().map(|(index, step)| {
            step.build()
                .map_err(|reason| format!("steps[{index}]: {reason}"))
        });
        let plan = Plan {
            steps: steps.collect::<Result<_, _>>()?,
        };
        Ok(Self {
            name: file.name,
            track_count: file.track_count,
            plan,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default = "two")]
    track_count: usize,
    steps: Vec<FileStep>,
}

fn two() -> usize {
    2
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileStep {
    /// The time since the submit, on the time line of the tasks.
    at_ms: u64,
    status: Option<String>,
    tracks: Option<FileTracks>,
    error: Option<FileFailure>,
    visible: Option<bool>,
    #[serde(default)]
    refund: bool,
    #[serde(default)]
    callbacks: Vec<FileCallback>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FileTracks {
    Absent,
    Null,
    Empty,
    Unfinished,
    FirstReady,
    LastReady,
    FirstAlone,
    Ready,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileFailure {
    code: u16,
    message: String,
}

/// A callback. Exactly one of `callback_type`, `error` and `body` must be given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileCallback {
    name: Option<String>,
    callback_type: Option<String>,
    msg: Option<String>,
    tracks: Option<FileTracks>,
    error: Option<FileFailure>,
    shape: Option<String>,
    body: Option<Value>,
    #[serde(default)]
    signing: FileSigningMode,
    #[serde(default)]
    dropped: bool,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FileSigningMode {
    #[default]
    Right,
    Wrong,
    Stale,
    Missing,
    Copied,
}

impl FileStep {
    fn build(self) -> Result<Step, String> {
        let change = Change {
            status: self.status.map(Cow::Owned),
            tracks: self.tracks.map(FileTracks::build),
            failure: self.error.map(FileFailure::build),
            is_visible: self.visible,
            is_refunded: self.refund,
        };
        let callbacks = self
            .callbacks
            .into_iter()
            .enumerate()
            .map(|(index, callback)| {
                callback
                    .build()
                    .map_err(|reason| format!("callbacks[{index}]: {reason}"))
            });
        Ok(Step {
            at_ms: self.at_ms,
            change,
            callbacks: callbacks.collect::<Result<_, _>>()?,
        })
    }
}

impl FileCallback {
    fn build(self) -> Result<PlannedCallback, String> {
        let (usual_name, content) = match (self.callback_type, self.error, self.body) {
            (Some(callback_type), None, None) => {
                let message = self.msg.unwrap_or_else(|| "success".to_owned()).into();
                let tracks = self.tracks.map_or(Tracks::Empty, FileTracks::build);
                let name = callback_type.clone();
                (
                    name,
                    Content::Stage {
                        callback_type: callback_type.into(),
                        message,
                        tracks,
                    },
                )
            }
            (None, Some(failure), None) => {
                let shape = match self.shape.as_deref() {
                    None => FailureShape::default(),
                    Some(name) => FailureShape::named(name).ok_or("the shape is unknown")?,
                };
                (
                    "error".to_owned(),
                    Content::Failure {
                        failure: failure.build(),
                        shape,
                    },
                )
            }
            (None, None, Some(body)) => ("raw".to_owned(), Content::Raw(body)),
            _ => return Err("one of callback_type, error and body must be given".to_owned()),
        };
        let signing = self.signing.build();
        let callback = PlannedCallback::new(self.name.unwrap_or(usual_name), content);
        Ok(PlannedCallback {
            signing,
            is_dropped: self.dropped,
            ..callback
        })
    }
}

impl FileFailure {
    fn build(self) -> Failure {
        Failure {
            code: self.code,
            message: self.message.into(),
        }
    }
}

impl FileTracks {
    fn build(self) -> Tracks {
        match self {
            Self::Absent => Tracks::Absent,
            Self::Null => Tracks::Null,
            Self::Empty => Tracks::Empty,
            Self::Unfinished => Tracks::Unfinished,
            Self::FirstReady => Tracks::FirstReady,
            Self::LastReady => Tracks::LastReady,
            Self::FirstAlone => Tracks::FirstAlone,
            Self::Ready => Tracks::Ready,
        }
    }
}

impl FileSigningMode {
    fn build(self) -> SigningMode {
        match self {
            Self::Right => SigningMode::Right,
            Self::Wrong => SigningMode::Wrong { attempts: u32::MAX },
            Self::Stale => SigningMode::Stale { attempts: u32::MAX },
            Self::Missing => SigningMode::Missing { attempts: u32::MAX },
            Self::Copied => SigningMode::Copied,
        }
    }
}
