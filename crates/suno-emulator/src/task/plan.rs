//! What will happen to one task, decided in full when it is taken.
//!
//! A plan is data: steps at offsets from the submit, each with a change of the record and the
//! callbacks that become due. Nothing here knows a clock or a network.

use std::borrow::Cow;

use serde_json::Value;

/// How many steps a plan may have, a scripted one included.
pub(crate) const STEPS_MAX: usize = 64;
/// How many callbacks a plan may have, those that faults added included.
pub(crate) const CALLBACKS_MAX: usize = 256;

/// The life of one task, from the first step to the last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// In the order of their times.
    pub(crate) steps: Vec<Step>,
}

/// What happens at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Step {
    /// Milliseconds after the submit, on the time line of the tasks.
    pub(crate) at_ms: u64,
    pub(crate) change: Change,
    pub(crate) callbacks: Vec<PlannedCallback>,
}

/// What a poll sees differently from now on. `None` leaves a part as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Change {
    pub(crate) status: Option<Cow<'static, str>>,
    pub(crate) tracks: Option<Tracks>,
    pub(crate) failure: Option<Failure>,
    pub(crate) is_visible: Option<bool>,
    /// The credits of the task are given back.
    pub(crate) is_refunded: bool,
}

/// How much of a task's tracks is shown, in a callback and in a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tracks {
    /// The member is left out of a callback; `response` is `null` in a poll.
    Absent,
    /// The member is `null`.
    Null,
    /// An empty list.
    Empty,
    /// All tracks, none with audio yet.
    Unfinished,
    /// All tracks, the first one with audio (`PROTOCOL.md 2.7`).
    FirstReady,
    /// All tracks, only the last one with audio.
    LastReady,
    /// The first track alone, with audio: what the pages show for `first`.
    FirstAlone,
    /// All tracks with audio.
    Ready,
}

/// Why a task failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: u16,
    pub(crate) message: Cow<'static, str>,
}

/// One callback, before it is addressed to a task.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlannedCallback {
    /// What the attempts are filed under, such as `text` or `complete`.
    pub(crate) name: Cow<'static, str>,
    pub(crate) content: Content,
    pub(crate) signing: SigningMode,
    /// It becomes due and is filed, but does not leave.
    pub(crate) is_dropped: bool,
}

/// What a callback says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    /// Tracks under a `callbackType`.
    Stage {
        callback_type: Cow<'static, str>,
        message: Cow<'static, str>,
        tracks: Tracks,
    },
    /// A failure in one of its shapes.
    Failure {
        failure: Failure,
        shape: FailureShape,
    },
    /// What a stranger would send.
    Forged(Forgery),
    /// A body given word for word, with the task id filled in.
    Raw(Value),
}

/// The shapes a failure callback was described with (`PROTOCOL.md 2.9`, `2.12`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FailureShape {
    /// `data.data` is `null`.
    #[default]
    Null,
    /// `data.data` is `[]`.
    Empty,
    /// `data.data` is absent.
    Absent,
    /// `data.data` is absent and `data.error` is a string.
    ErrorText,
    /// `callbackType` is missing.
    Untyped,
    /// `callbackType` is `complete`, although the code says otherwise.
    SaysComplete,
}

impl FailureShape {
    /// The shape of a name that stands in scenarios and scripts.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "null" => Some(Self::Null),
            "empty" => Some(Self::Empty),
            "absent" => Some(Self::Absent),
            "error-text" => Some(Self::ErrorText),
            "untyped" => Some(Self::Untyped),
            "says-complete" => Some(Self::SaysComplete),
            _ => None,
        }
    }
}

/// What a stranger sends under a signature that was seen (`PROTOCOL.md 3.4`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forgery {
    /// Finished tracks with other audio.
    Complete,
    /// A failure.
    Failure,
    /// A result in which another id stands at the top (`PROTOCOL.md 3.8`).
    Ids,
}

/// How a callback is signed. The count says for how many attempts the flaw lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SigningMode {
    #[default]
    Right,
    /// A signature made with another key.
    Wrong { attempts: u32 },
    /// A right signature over a timestamp of an hour ago.
    Stale { attempts: u32 },
    /// No signature headers at all.
    Missing { attempts: u32 },
    /// The headers of an earlier callback of the task, as a stranger would copy them.
    Copied,
}

impl Forgery {
    /// What the attempts are filed under.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Complete => "forged-complete",
            Self::Failure => "forged-error",
            Self::Ids => "forged-ids",
        }
    }
}

impl Plan {
    /// Leaves only the last callback, which tells of the end.
    pub(crate) fn keep_last_callback(&mut self) {
        let last = self
            .steps
            .iter()
            .rposition(|step| !step.callbacks.is_empty());
        for (index, step) in self.steps.iter_mut().enumerate() {
            if Some(index) != last {
                step.callbacks.clear();
            }
        }
    }
}

impl PlannedCallback {
    pub(crate) fn new(name: impl Into<Cow<'static, str>>, content: Content) -> Self {
        Self {
            name: name.into(),
            content,
            signing: SigningMode::Right,
            is_dropped: false,
        }
    }
}
