//! The plan of a task, decided in full when the task is created.
//!
//! A plan is data: steps at offsets from the submit, each with a change of the record and the
//! callbacks that become due. It knows no clock and no network.

use std::borrow::Cow;

use serde_json::Value;

/// The maximum number of steps of a script.
pub(crate) const STEPS_MAX: usize = 64;
/// The maximum number of callbacks of a plan, including those added by faults.
pub(crate) const CALLBACKS_MAX: usize = 256;

/// The steps of a task, from the first to the last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// The steps, ordered by time.
    pub(crate) steps: Vec<Step>,
}

/// The events at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Step {
    /// The time since the submit in milliseconds, on the time line of the tasks.
    pub(crate) at_ms: u64,
    pub(crate) change: Change,
    pub(crate) callbacks: Vec<PlannedCallback>,
}

/// A change of what polls see. `None` leaves a part unchanged.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Change {
    pub(crate) status: Option<Cow<'static, str>>,
    pub(crate) tracks: Option<Tracks>,
    pub(crate) failure: Option<Failure>,
    pub(crate) is_visible: Option<bool>,
    /// Whether the credits of the task are refunded.
    pub(crate) is_refunded: bool,
}

/// The tracks that a callback or a poll shows.
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
    /// Only the first track, with audio, as the provider's pages show for `first`.
    FirstAlone,
    /// All tracks with audio.
    Ready,
}

/// The failure of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: u16,
    pub(crate) message: Cow<'static, str>,
}

/// A callback of a plan, not rendered yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlannedCallback {
    /// The name of the callback in the log, such as `text` or `complete`.
    pub(crate) name: Cow<'static, str>,
    pub(crate) content: Content,
    pub(crate) signing: SigningMode,
    /// Whether the callback is logged but not sent.
    pub(crate) is_dropped: bool,
}

/// The content of a callback.
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
    /// A forged callback.
    Forged(Forgery),
    /// A literal body, with the task id filled in.
    Raw(Value),
}

/// The documented shapes of a failure callback (`PROTOCOL.md 2.9`, `2.12`).
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
    /// Returns the shape with this name in scenarios and scripts.
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

/// The content of a forged callback with a copied signature (`PROTOCOL.md 3.4`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forgery {
    /// Finished tracks with other audio.
    Complete,
    /// A failure.
    Failure,
    /// A result with another task id at the top level (`PROTOCOL.md 3.8`).
    Ids,
}

/// How a callback is signed. `attempts` is the number of attempts that have the flaw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SigningMode {
    #[default]
    Right,
    /// A signature made with another key.
    Wrong { attempts: u32 },
    /// A correct signature of a timestamp that is an hour old.
    Stale { attempts: u32 },
    /// No signature headers at all.
    Missing { attempts: u32 },
    /// The signature headers of an earlier callback of the task, as a forger would copy them.
    Copied,
}

impl Forgery {
    /// Returns the name of the callback in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Complete => "forged-complete",
            Self::Failure => "forged-error",
            Self::Ids => "forged-ids",
        }
    }
}

impl Plan {
    /// Removes all callbacks but the last one, which reports the ending.
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

    /// Removes all callbacks.
    pub(crate) fn clear_callbacks(&mut self) {
        for step in &mut self.steps {
            step.callbacks.clear();
        }
    }

    /// Returns the failure that the task ends with.
    pub(crate) fn failure(&self) -> Option<&Failure> {
        let mut failures = self.steps.iter().rev().map(|step| &step.change.failure);
        failures.find_map(Option::as_ref)
    }

    /// Makes all steps due at once.
    pub(crate) fn at_once(mut self) -> Self {
        for step in &mut self.steps {
            step.at_ms = 0;
        }
        self
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
