//! The kinds of failure, each with one stable word.

/// The kind of a failure, from [`ClientError::kind`](crate::ClientError::kind).
///
/// A kind says what happened, not whether a submit may have created a task: see
/// [`ClientError::is_ambiguous`](crate::ClientError::is_ambiguous).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Too many requests.
    RateLimited,
    /// The account has no credits left.
    OutOfCredits,
    /// The provider rejected the API key.
    Unauthorized,
    /// A field of the request is wrong. The client found it before it sent anything, or the
    /// provider refused it.
    InvalidRequest,
    /// The provider is under maintenance.
    Maintenance,
    /// An unexpected error on the provider's side.
    Server,
    /// The provider refused with another code.
    Refused,
    /// The answer is not JSON.
    NotJson,
    /// The answer is JSON of an unexpected form.
    UnexpectedAnswer,
    /// No connection could be made. Nothing was sent.
    Connect,
    /// The connection ended before the answer was complete.
    Interrupted,
    /// The answer did not arrive in time.
    TimedOut,
    /// The answer or the file is larger than allowed.
    TooLarge,
    /// The server's certificate was rejected, or the server does not speak TLS. Nothing was sent.
    Tls,
    /// A setting is wrong, or a feature of this crate is missing. Nothing was sent.
    Setting,
    /// The address is not allowed. Nothing was sent.
    ForbiddenAddress,
    /// The track has no finished audio yet.
    NotReady,
    /// The downloaded file is empty, is not audio, or differs from the announced size.
    BadFile,
    /// The media host refused the download.
    HttpStatus,
    /// The file of a download could not be written.
    File,
}

impl ErrorKind {
    /// The kind as one stable word, for machines.
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
