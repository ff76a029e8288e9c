//! The two names under which the platform is sold.

use std::fmt;

/// Who is asked. The same status code can mean different things with each
/// (`PROTOCOL.md 1.38`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// kie.ai
    Kie,
    /// sunoapi.org
    SunoApi,
}

impl Provider {
    /// The public base URL, without a slash at the end.
    #[must_use]
    pub const fn base_url(self) -> &'static str {
        match self {
            Self::Kie => "https://api.kie.ai",
            Self::SunoApi => "https://api.sunoapi.org",
        }
    }

    /// The path that answers how many credits are left.
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
