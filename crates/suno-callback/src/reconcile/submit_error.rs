//! The reasons why a submit returned no task id.

use std::error::Error;
use std::fmt;

use suno_client::ClientError;
use suno_types::InvalidField;

use crate::key::{InvalidReference, SubmitId};
use crate::store::StoreError;

/// An error: a submit returned no task id.
pub struct SubmitError(Problem);

#[derive(Debug)]
enum Problem {
    NoClient,
    /// The operating system provided no random bytes.
    Random(String),
    Reference(InvalidReference),
    /// Appending the submit id made the callback URL invalid.
    Field(InvalidField),
    Ledger(StoreError),
    Client(Box<ClientError>, SubmitId),
}

impl SubmitError {
    pub(crate) fn no_client() -> Self {
        Self(Problem::NoClient)
    }

    /// The operating system provided no random bytes.
    pub(super) fn random(err: String) -> Self {
        Self(Problem::Random(err))
    }

    /// The client returned no task id for a recorded submit.
    pub(super) fn client(err: ClientError, submit: SubmitId) -> Self {
        Self(Problem::Client(Box::new(err), submit))
    }

    /// Whether the task may exist and may have been paid for. If not, the submit had no effect.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        self.client_error().is_some_and(ClientError::is_ambiguous)
    }

    /// Returns the id under which the submit was recorded, if it was.
    #[must_use]
    pub fn submit_id(&self) -> Option<SubmitId> {
        match &self.0 {
            Problem::Client(_, submit) => Some(*submit),
            _ => None,
        }
    }

    /// Returns the client's error, if the client was used.
    #[must_use]
    pub fn client_error(&self) -> Option<&ClientError> {
        match &self.0 {
            Problem::Client(err, _) => Some(err),
            _ => None,
        }
    }
}

impl From<InvalidField> for SubmitError {
    fn from(field: InvalidField) -> Self {
        Self(Problem::Field(field))
    }
}

impl From<InvalidReference> for SubmitError {
    fn from(reference: InvalidReference) -> Self {
        Self(Problem::Reference(reference))
    }
}

impl From<StoreError> for SubmitError {
    fn from(err: StoreError) -> Self {
        Self(Problem::Ledger(err))
    }
}

/// Includes the cause, since web frameworks print only `Display`. It contains neither the key nor a
/// URL.
impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Problem::NoClient => f.write_str(
                "nothing was sent: the pipeline has no client; give it one with with_client",
            ),
            Problem::Random(err) => write!(f, "nothing was sent: no random bytes ({err})"),
            Problem::Field(err) => write!(f, "nothing was sent: {err}"),
            Problem::Reference(err) => write!(f, "nothing was sent: {err}"),
            Problem::Ledger(err) => {
                write!(
                    f,
                    "nothing was sent: the submit could not be recorded: {err}"
                )
            }
            Problem::Client(err, submit) if err.is_ambiguous() => write!(
                f,
                "submit {submit} may have created a task; wait for its callback before paying \
                 again: {err}"
            ),
            Problem::Client(err, _) => write!(f, "the task was not submitted: {err}"),
        }
    }
}

impl fmt::Debug for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SubmitError").field(&self.0).finish()
    }
}

impl Error for SubmitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Problem::NoClient | Problem::Random(_) | Problem::Field(_) | Problem::Reference(_) => {
                None
            }
            Problem::Ledger(err) => err.source(),
            Problem::Client(err, _) => err.source(),
        }
    }
}
