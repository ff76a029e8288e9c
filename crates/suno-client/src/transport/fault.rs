//! The failures of requests without an answer, and whether the request was sent.

use std::error::Error as StdError;
use std::io;

use hyper_util::client::legacy;

use crate::error::{Cause, ClientError, ErrorKind};

/// The failure of a request that got no complete answer.
#[derive(Debug)]
pub(crate) enum Fault {
    /// No connection could be made. Nothing was sent.
    Connect(Cause),
    /// TLS failed for this reason. Nothing was sent.
    Tls(&'static str, Cause),
    /// The address is not allowed. Nothing was sent.
    Forbidden(&'static str),
    /// A setting or feature is missing. Nothing was sent.
    Setting(&'static str),
    /// The connection ended. The request may have arrived.
    Broken(Cause),
    /// A time limit passed. The request may have arrived.
    TimedOut(&'static str),
    /// The answer is too large. The request has arrived.
    TooLarge,
}

/// The error of the connector, which is found again among the causes of the pool's error.
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
    /// Any request may have been sent, unless the pool reports a failure to connect.
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

    /// The error that a caller sees. `costs` is true for a request that spends credits if it
    /// arrives.
    pub(crate) fn into_error(self, costs: bool) -> ClientError {
        let (kind, what) = match &self {
            Self::Connect(_) => (ErrorKind::Connect, "no connection could be made"),
            Self::Tls(what, _) => (ErrorKind::Tls, *what),
            Self::Forbidden(what) => (ErrorKind::ForbiddenAddress, *what),
            Self::Setting(what) => (ErrorKind::Setting, *what),
            Self::Broken(_) => (
                ErrorKind::Interrupted,
                "the connection ended before the answer was complete",
            ),
            Self::TimedOut(what) => (ErrorKind::TimedOut, *what),
            Self::TooLarge => (ErrorKind::TooLarge, "the answer is larger than allowed"),
        };
        let was_sent = matches!(self, Self::Broken(_) | Self::TimedOut(_) | Self::TooLarge);
        let is_passing = matches!(self, Self::Connect(_) | Self::Broken(_) | Self::TimedOut(_));
        let err = ClientError::new(kind, what).with_outlook(is_passing, costs && was_sent);
        match self {
            Self::Connect(cause) | Self::Tls(_, cause) | Self::Broken(cause) => {
                err.with_cause(cause)
            }
            Self::Forbidden(_) | Self::Setting(_) | Self::TimedOut(_) | Self::TooLarge => err,
        }
    }
}

/// The error and its causes. `Error::source` skips the error that an `io::Error` wraps, so that one
/// is added.
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
            "the server's certificate was rejected; check the host name, the clock and the root certificates"
        }
        _ => "the TLS handshake failed; check the scheme and the port",
    })
}

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
fn tls_failure(_: &(dyn StdError + 'static)) -> Option<&'static str> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults() -> [(Fault, bool); 7] {
        [
            (Fault::Connect("refused".into()), false),
            (Fault::Tls("no TLS", "refused".into()), false),
            (Fault::Forbidden("private"), false),
            (Fault::Setting("no roots"), false),
            (Fault::Broken("reset".into()), true),
            (Fault::TimedOut("late"), true),
            (Fault::TooLarge, true),
        ]
    }

    #[test]
    fn only_a_costly_request_that_may_have_arrived_is_ambiguous() {
        for (fault, was_sent) in faults() {
            let err = fault.into_error(true);
            assert_eq!(err.is_ambiguous(), was_sent, "{err:?}");
            assert!(!(err.is_ambiguous() && err.is_retryable()), "{err:?}");
        }
    }

    #[test]
    fn the_kind_of_a_fault_does_not_depend_on_what_the_request_costs() {
        for ((costly, _), (free, _)) in faults().into_iter().zip(faults()) {
            let (costly, free) = (costly.into_error(true), free.into_error(false));
            assert_eq!(costly.kind(), free.kind());
            assert!(!free.is_ambiguous(), "{free:?}");
        }
    }
}
