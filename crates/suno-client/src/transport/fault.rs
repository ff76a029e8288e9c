//! Why a request got no answer, and above all whether it was sent.

use std::error::Error as StdError;
use std::io;

use hyper_util::client::legacy;

type Cause = Box<dyn StdError + Send + Sync>;

/// A request without an answer.
#[derive(Debug)]
pub(crate) enum Fault {
    /// No connection: nothing was sent.
    Connect(Cause),
    /// No TLS, for this reason: nothing was sent.
    Tls(&'static str, Cause),
    /// The address is not allowed: nothing was sent.
    Forbidden(&'static str),
    /// Something is missing on this side: nothing was sent.
    Setting(&'static str),
    /// The connection ended; the request may have arrived.
    Broken(Cause),
    /// It took too long; the request may have arrived.
    TimedOut(&'static str),
    /// The answer is too large; the request has arrived.
    TooLarge,
}

/// What the connector gives as its error, to be found again behind the errors of the pool.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectFault {
    #[error("{0}")]
    Forbidden(&'static str),
    #[error("{0}")]
    Setting(&'static str),
    #[error("connecting took too long")]
    TimedOut,
}

impl Fault {
    /// Whatever the pool does not say was a failure to connect may have been sent.
    pub(super) fn from_pool(err: legacy::Error) -> Self {
        if !err.is_connect() {
            return Self::Broken(err.into());
        }
        match chain(&err).find_map(|err| err.downcast_ref()) {
            Some(ConnectFault::Forbidden(what)) => return Self::Forbidden(what),
            Some(ConnectFault::Setting(what)) => return Self::Setting(what),
            Some(ConnectFault::TimedOut) | None => {}
        }
        if let Some(what) = tls_failure(&err) {
            return Self::Tls(what, err.into());
        }
        Self::Connect(err.into())
    }

    pub(crate) fn into_cause(self) -> Option<Cause> {
        match self {
            Self::Connect(cause) | Self::Tls(_, cause) | Self::Broken(cause) => Some(cause),
            Self::Forbidden(_) | Self::Setting(_) | Self::TimedOut(_) | Self::TooLarge => None,
        }
    }
}

/// The error and its causes. An `io::Error` is not the cause of itself in the eyes of
/// `Error::source`, so that what it wraps is put in besides.
fn chain<'a>(
    err: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(err), |err| {
        let err: &'a (dyn StdError + 'static) = *err;
        match err.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => err.source(),
        }
    })
}

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
fn tls_failure(err: &(dyn StdError + 'static)) -> Option<&'static str> {
    let failure = chain(err).find_map(|err| err.downcast_ref::<rustls::Error>())?;
    Some(match failure {
        rustls::Error::InvalidCertificate(_) => {
            "the server's certificate was not accepted; check the host name, the clock and the root certificates"
        }
        _ => "the server does not speak TLS as this client does; check the scheme and the port",
    })
}

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
fn tls_failure(_: &(dyn StdError + 'static)) -> Option<&'static str> {
    None
}
