//! The two names under which the platform is sold.

use std::fmt;

/// The provider that requests are sent to. A status code can have another meaning for each of them
/// (`PROTOCOL.md 1.38`).
///
/// ```
/// use suno_types::Provider;
///
/// assert_eq!(Provider::Kie.to_string(), "kie.ai");
/// assert_eq!(Provider::Kie.base_url(), "https://api.kie.ai");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// kie.ai
    Kie,
    /// sunoapi.org
    SunoApi,
}

impl Provider {
    /// The public base URL, without a trailing slash.
    #[must_use]
    pub const fn base_url(self) -> &'static str {
        match self {
            Self::Kie => "https://api.kie.ai",
            Self::SunoApi => "https://api.sunoapi.org",
        }
    }

    /// The path that returns the number of credits that are left.
    #[must_use]
    pub const fn credits_path(self) -> &'static str {
        match self {
            Self::Kie => "/api/v1/chat/credit",
            Self::SunoApi => "/api/v1/generate/credit",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kie => "kie.ai",
            Self::SunoApi => "sunoapi.org",
        })
    }
}
