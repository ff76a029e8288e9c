//! Status codes, and their meanings by provider and place.

use std::fmt;

use crate::Provider;

/// A status code in a body. Any number is valid.
///
/// The meaning of a number depends on the provider and on the place: 429 is a rate limit at kie.ai
/// and an empty account at sunoapi.org, and 413 differs between answers and callbacks
/// (`PROTOCOL.md 1.38`). Use [`meaning`](Self::meaning).
///
/// ```
/// use suno_types::{Code, Meaning, Place, Provider};
///
/// let code = Code(429);
/// assert_eq!(code.meaning(Provider::Kie, Place::Answer), Meaning::RateLimited);
/// assert_eq!(code.meaning(Provider::SunoApi, Place::Answer), Meaning::OutOfCredits);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub i64);

/// The place of a code: in an answer, or in a statement about a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// In the answer to a request, such as a submit.
    Answer,
    /// In a callback, or as the error code of a task's record.
    Task,
}

/// The meaning of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Meaning {
    /// The request was accepted, or the stage was reached.
    Success,
    /// A field of the request is wrong.
    InvalidRequest,
    /// The key is missing, wrong or without permission.
    Unauthorized,
    /// The account has no credits left.
    OutOfCredits,
    /// No such path, method or object.
    NotFound,
    /// Too many requests; nothing was done.
    RateLimited,
    /// A sub-key has used up its allowance. Waiting does not help.
    UsageCapped,
    /// The request conflicts with another one.
    Conflict,
    /// A time limit of the provider passed.
    TimedOut,
    /// The uploaded audio could not be fetched.
    FetchFailed,
    /// The lyrics or the audio were rejected for copyright.
    Copyright,
    /// The provider is under maintenance; nothing was done.
    Maintenance,
    /// An unexpected error at the provider.
    ServerError,
    /// The generation failed.
    GenerationFailed,
    /// The generation failed and the credits were refunded.
    Refunded,
    /// The feature is switched off.
    Disabled,
    /// A code that this version does not know.
    Unknown,
}

impl Code {
    /// The request was accepted, or the stage was reached.
    pub const SUCCESS: Self = Self(200);
    /// The answer to a poll of a recovery that has not ended yet (`PROTOCOL.md 4.23`).
    pub const RUNNING: Self = Self(201);
    /// The key was rejected.
    pub const UNAUTHORIZED: Self = Self(401);
    /// A rate limit at kie.ai; an account without credits at sunoapi.org.
    pub const TOO_MANY_REQUESTS: Self = Self(429);
    /// The provider is under maintenance.
    pub const MAINTENANCE: Self = Self(455);
    /// The generation failed.
    pub const GENERATION_FAILED: Self = Self(501);
    /// At kie.ai: the generation failed and the credits were refunded.
    pub const REFUNDED: Self = Self(531);

    /// The meaning of the code if `provider` sends it at `place` (`PROTOCOL.md 1.23` to `1.37` for
    /// answers, `2.24` to `2.31` for tasks).
    #[must_use]
    pub const fn meaning(self, provider: Provider, place: Place) -> Meaning {
        match place {
            Place::Answer => self.in_answer(provider),
            Place::Task => self.in_task(provider),
        }
    }

    const fn in_answer(self, provider: Provider) -> Meaning {
        match (self.0, provider) {
            (200, _) => Meaning::Success,
            (401, _) => Meaning::Unauthorized,
            (404, _) => Meaning::NotFound,
            (455, _) => Meaning::Maintenance,
            (500, _) => Meaning::ServerError,
            (402, Provider::Kie) | (429, Provider::SunoApi) => Meaning::OutOfCredits,
            (429, Provider::Kie) | (405 | 430, Provider::SunoApi) => Meaning::RateLimited,
            (422, Provider::Kie) | (400 | 413, Provider::SunoApi) => Meaning::InvalidRequest,
            (408, Provider::Kie) => Meaning::TimedOut,
            (409, Provider::Kie) => Meaning::Conflict,
            (433, Provider::Kie) => Meaning::UsageCapped,
            (451, Provider::Kie) => Meaning::FetchFailed,
            (501, Provider::Kie) => Meaning::GenerationFailed,
            (505, Provider::Kie) => Meaning::Disabled,
            _ => Meaning::Unknown,
        }
    }

    const fn in_task(self, provider: Provider) -> Meaning {
        match (self.0, provider) {
            (200, _) => Meaning::Success,
            (500, _) => Meaning::ServerError,
            (400 | 413, Provider::Kie) => Meaning::Copyright,
            (408, Provider::Kie) => Meaning::TimedOut,
            (501, Provider::Kie) => Meaning::GenerationFailed,
            (531, Provider::Kie) => Meaning::Refunded,
            (400, Provider::SunoApi) => Meaning::InvalidRequest,
            (451, Provider::SunoApi) => Meaning::FetchFailed,
            _ => Meaning::Unknown,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Meaning {
    /// Returns whether the request was accepted, or the stage was reached.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Success)
    }

    /// Returns whether there were too many requests.
    #[must_use]
    pub const fn is_rate_limited(self) -> bool {
        matches!(self, Self::RateLimited)
    }

    /// Returns whether the account has no credits left.
    #[must_use]
    pub const fn is_out_of_credits(self) -> bool {
        matches!(self, Self::OutOfCredits)
    }

    /// Returns whether the provider says that it refunded the credits. No other meaning says so.
    #[must_use]
    pub const fn is_refunded(self) -> bool {
        matches!(self, Self::Refunded)
    }

    /// Returns whether the key was rejected.
    #[must_use]
    pub const fn is_unauthorized(self) -> bool {
        matches!(self, Self::Unauthorized)
    }

    /// Returns whether the same request fails again.
    #[must_use]
    pub const fn is_invalid(self) -> bool {
        matches!(self, Self::InvalidRequest | Self::Copyright)
    }

    /// Returns whether the provider is under maintenance.
    #[must_use]
    pub const fn is_maintenance(self) -> bool {
        matches!(self, Self::Maintenance)
    }

    /// Whether, in an answer, nothing was done and the same request may succeed later.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::RateLimited | Self::Maintenance)
    }

    /// The meaning as one stable word, which the fixtures use (`PROTOCOL.md 7.42`).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::InvalidRequest => "invalid_request",
            Self::Unauthorized => "unauthorized",
            Self::OutOfCredits => "out_of_credits",
            Self::NotFound => "not_found",
            Self::RateLimited => "rate_limited",
            Self::UsageCapped => "usage_capped",
            Self::Conflict => "conflict",
            Self::TimedOut => "timed_out",
            Self::FetchFailed => "fetch_failed",
            Self::Copyright => "copyright",
            Self::Maintenance => "maintenance",
            Self::ServerError => "server_error",
            Self::GenerationFailed => "generation_failed",
            Self::Refunded => "refunded",
            Self::Disabled => "disabled",
            Self::Unknown => "unknown",
        }
    }

    /// The meaning as prose for people, which `Display` writes.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::InvalidRequest => "the request is invalid",
            Self::Unauthorized => "the key was not accepted",
            Self::OutOfCredits => "the account is out of credits",
            Self::NotFound => "not found",
            Self::RateLimited => "too many requests",
            Self::UsageCapped => "the sub-key has used up its allowance",
            Self::Conflict => "the request conflicts with another one",
            Self::TimedOut => "timed out",
            Self::FetchFailed => "the uploaded audio could not be fetched",
            Self::Copyright => "rejected for copyright",
            Self::Maintenance => "the provider is under maintenance",
            Self::ServerError => "unexpected error at the provider",
            Self::GenerationFailed => "the generation failed",
            Self::Refunded => "the generation failed and the credits were refunded",
            Self::Disabled => "the feature is disabled",
            Self::Unknown => "unknown code",
        }
    }
}

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description())
    }
}
