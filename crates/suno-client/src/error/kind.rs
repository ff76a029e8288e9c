//! The kinds of failure, each with one stable word.

/// What kind of failure it was, see [`ClientError::kind`](crate::ClientError::kind).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Too many requests.
    RateLimited,
    /// The account has no credits left.
    OutOfCredits,
    /// The key was not accepted.
    Unauthorized,
    /// A field of the request is wrong: found here before anything was sent, or by the provider.
    InvalidRequest,
    /// The provider is being maintained.
    Maintenance,
    /// An unexpected error on the provider's side.
    Server,
    /// The provider refused with another code.
    Refused,
    /// The answer is not JSON.
    NotJson,
    /// The answer is JSON, but not what was asked for.
    UnexpectedAnswer,
    /// No connection could be made: nothing was sent.
    Connect,
    /// The connection ended before the answer was complete.
    Interrupted,
    /// The answer did not come in time.
    TimedOut,
    /// The answer or the file is larger than allowed.
    TooLarge,
    /// The other side's certificate was not accepted, or it speaks no TLS: nothing was sent.
    Tls,
    /// A setting is wrong, or a feature of this crate is missing: nothing was sent.
    Setting,
    /// A download would have gone to an address that is not allowed: nothing was sent.
    ForbiddenAddress,
    /// The track has no audio to download yet.
    NotReady,
    /// The download is empty, has another size than announced, or is not audio.
    BadFile,
    /// The media host refused.
    HttpStatus,
    /// The file could not be written.
    File,
}

impl ErrorKind {
    /// The kind as one stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::OutOfCredits => "out_of_credits",
            Self::Unauthorized => "unauthorized",
            Self::InvalidRequest => "invalid_request",
            Self::Maintenance => "maintenance",
            Self::Server => "server",
            Self::Refused => "refused",
            Self::NotJson => "not_json",
            Self::UnexpectedAnswer => "unexpected_answer",
            Self::Connect => "connect",
            Self::Interrupted => "interrupted",
            Self::TimedOut => "timed_out",
            Self::TooLarge => "too_large",
            Self::Tls => "tls",
            Self::Setting => "setting",
            Self::ForbiddenAddress => "forbidden_address",
            Self::NotReady => "not_ready",
            Self::BadFile => "bad_file",
            Self::HttpStatus => "http_status",
            Self::File => "file",
        }
    }
}
