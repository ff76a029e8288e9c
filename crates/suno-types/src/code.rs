//! Status codes: the number that was sent, and what it means from whom and where.

use std::fmt;

use crate::Provider;

/// A status code as it stands in a body, whatever the number.
///
/// What a number means depends on the provider and on the place: 429 is a rate limit at kie.ai and
/// an empty account at sunoapi.org, 413 is another thing in an answer than in a callback
/// (`PROTOCOL.md 1.38`). Ask [`meaning`](Self::meaning).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub i64);

/// Where a code stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// In the answer to a request, such as a submit.
    Answer,
    /// In a callback, or as the error code of a task's record.
    Task,
}

/// What a code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Meaning {
    /// It worked.
    Success,
    /// A field of the request is wrong.
    InvalidRequest,
    /// The key is missing, wrong or not allowed to do this.
    Unauthorized,
    /// The account has no credits left.
    OutOfCredits,
    /// No such path, method or object.
    NotFound,
    /// Too many requests; nothing was done.
    RateLimited,
    /// A sub-key has used up what it may use; waiting does not help.
    UsageCapped,
    /// The request collides with another one.
    Conflict,
    /// Something did not come in time.
    TimedOut,
    /// The uploaded audio could not be fetched.
    FetchFailed,
    /// The lyrics or the audio belong to somebody else.
    Copyright,
    /// The provider is being maintained; nothing was done.
    Maintenance,
    /// An unexpected error on the provider's side.
    ServerError,
    /// The generation failed.
    GenerationFailed,
    /// The generation failed and the credits were given back.
    Refunded,
    /// The feature is switched off.
    Disabled,
    /// A code that this version does not know.
    Unknown,
}

impl Code {
    /// The request was taken, or the stage was reached.
    pub const SUCCESS: Self = Self(200);
    /// The key was not accepted.
    pub const UNAUTHORIZED: Self = Self(401);
    /// kie.ai: rate limited. sunoapi.org: out of credits.
    pub const TOO_MANY_REQUESTS: Self = Self(429);
    /// The provider is being maintained.
    pub const MAINTENANCE: Self = Self(455);
    /// The generation failed.
    pub const GENERATION_FAILED: Self = Self(501);
    /// kie.ai: the generation failed and the credits were given back.
    pub const REFUNDED: Self = Self(531);

    /// What the code says when `provider` sends it at `place`: in an answer `PROTOCOL.md 1.23` to
    /// `1.37`, of a task `2.24` to `2.31`.
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
    /// The request was taken, or the stage was reached.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Success)
    }

    /// Too many requests in too short a time.
    #[must_use]
    pub const fn is_rate_limited(self) -> bool {
        matches!(self, Self::RateLimited)
    }

    /// The account has to be charged up before anything works again.
    #[must_use]
    pub const fn is_out_of_credits(self) -> bool {
        matches!(self, Self::OutOfCredits)
    }

    /// The provider says that it gave the credits back. No other meaning says so.
    #[must_use]
    pub const fn is_refunded(self) -> bool {
        matches!(self, Self::Refunded)
    }

    /// The key was not accepted.
    #[must_use]
    pub const fn is_unauthorized(self) -> bool {
        matches!(self, Self::Unauthorized)
    }

    /// The same request will be refused again.
    #[must_use]
    pub const fn is_invalid(self) -> bool {
        matches!(self, Self::InvalidRequest | Self::Copyright)
    }

    /// The provider is being maintained.
    #[must_use]
    pub const fn is_maintenance(self) -> bool {
        matches!(self, Self::Maintenance)
    }

    /// In an answer: nothing was done, and the same request may work later.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::RateLimited | Self::Maintenance)
    }

    /// The meaning as one stable word, as it stands in the fixtures (`PROTOCOL.md 7.42`).
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

    /// The meaning in words for people, as `Display` writes it.
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
