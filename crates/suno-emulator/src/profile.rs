//! The providers, and the words that each has for a refusal.

use std::fmt;

/// The provider that is emulated (`PROTOCOL.md 1.1`). Both sell the same platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// `api.kie.ai`, which signs callbacks and has the jobs dialect.
    #[default]
    Kie,
    /// `api.sunoapi.org`, which does not sign callbacks.
    SunoApi,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kie => "kie.ai",
            Self::SunoApi => "sunoapi.org",
        })
    }
}

/// The reason for refusing a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Unauthorized,
    Invalid(String),
    TooLong(String),
    BodyTooLarge,
    NotFound,
    RateLimited,
    NoCredits,
    Maintenance,
    ServerError,
    /// A code that a scenario chooses.
    Code(u16),
}

impl Profile {
    /// Returns the `code` of the envelope (`PROTOCOL.md 1.23` to `1.37`).
    pub(crate) fn code(self, refusal: &Refusal) -> u16 {
        match (self, refusal) {
            (_, Refusal::Unauthorized) => 401,
            (Self::Kie, Refusal::Invalid(_) | Refusal::TooLong(_)) => 422,
            (Self::SunoApi, Refusal::Invalid(_)) => 400,
            (Self::SunoApi, Refusal::TooLong(_)) | (_, Refusal::BodyTooLarge) => 413,
            (_, Refusal::NotFound) => 404,
            (Self::Kie, Refusal::RateLimited) => 429,
            (Self::SunoApi, Refusal::RateLimited) => 430,
            (Self::Kie, Refusal::NoCredits) => 402,
            (Self::SunoApi, Refusal::NoCredits) => 429,
            (_, Refusal::Maintenance) => 455,
            (_, Refusal::ServerError) => 500,
            (_, Refusal::Code(code)) => *code,
        }
    }

    /// Returns the `msg` of the envelope. Only the one for a missing member is observed.
    pub(crate) fn message(self, refusal: &Refusal) -> String {
        let text = match refusal {
            Refusal::Unauthorized => "You do not have access permissions",
            Refusal::Invalid(text) | Refusal::TooLong(text) => text,
            Refusal::BodyTooLarge => "The request body is too large",
            Refusal::NotFound => "Not Found",
            Refusal::RateLimited => "Your call frequency is too high. Please try again later.",
            Refusal::NoCredits => "The current credits are insufficient. Please top up.",
            Refusal::Maintenance => "The service is under maintenance. Please try again later.",
            Refusal::ServerError => "Server exception, please try again later.",
            Refusal::Code(code) => return format!("Refused with code {code}."),
        };
        text.to_owned()
    }

    /// Returns the path of the remaining credits (`PROTOCOL.md 4.15`).
    pub(crate) fn credit_path(self) -> &'static str {
        match self {
            Self::Kie => "/api/v1/chat/credit",
            Self::SunoApi => "/api/v1/generate/credit",
        }
    }

    /// Returns the usual code of a failure callback (`PROTOCOL.md 2.9`).
    pub(crate) fn failure_code(self) -> u16 {
        match self {
            Self::Kie => 501,
            Self::SunoApi => 400,
        }
    }

    /// Returns the `msg` of a failure callback. The meaning of the codes is documented
    /// (`PROTOCOL.md 2.24` to `2.31`), the wording is assumed.
    pub(crate) fn failure_message(self, code: u16) -> &'static str {
        match (self, code) {
            (Self::Kie, 400) => "The lyrics contain copyrighted material.",
            (Self::SunoApi, 400) => "The parameters or the content were refused.",
            (_, 408) => "The generation timed out.",
            (Self::Kie, 413) => "The uploaded audio matches an existing work of art.",
            (Self::SunoApi, 451) => "The audio could not be downloaded.",
            (_, 500) => "An unexpected error occurred.",
            (Self::Kie, 531) => "The generation failed. The credits were refunded.",
            _ => "Audio generation failed.",
        }
    }

    /// Whether a failure with this code refunds the credits (`PROTOCOL.md 2.31`).
    pub(crate) fn is_refunded(self, code: u16) -> bool {
        self == Self::Kie && code == 531
    }

    pub(crate) fn is_signing(self) -> bool {
        self == Self::Kie
    }
}
