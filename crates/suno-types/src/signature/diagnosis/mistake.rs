//! The mistakes that are found, and the sentences about them.

use std::fmt;
use std::time::Duration;

/// A mistake in a signed callback, or in the key. `Display` says what to do about it, and never what was
/// expected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mistake {
    /// A header is missing.
    Missing(&'static str),
    /// A header occurs more than once, with different values.
    Ambiguous(&'static str),
    /// The timestamp is not a whole number of seconds in plain digits.
    TimestampForm,
    /// The timestamp counts milliseconds.
    TimestampInMilliseconds,
    /// The timestamp is this long before the window.
    TooOld(Duration),
    /// The timestamp is this long after the window.
    TooNew(Duration),
    /// The signature is not 32 bytes in base64.
    SignatureForm,
    /// The signature is written in another form, which is named here; its bytes are right or wrong
    /// apart from that.
    SignatureWritten(&'static str),
    /// Neither the task nor a body is given.
    NoTask,
    /// The body names no single task.
    BodyWithoutTask,
    /// The body names another task than the one that is given.
    OtherTask,
    /// A key is blank: such a key never verifies.
    BlankKey,
    /// The signature is by a known key, but over another text, which is named here.
    OtherText(&'static str),
    /// The signature is by a variant of a known key, which is named here.
    OtherKeyForm(&'static str),
    /// No key produces the signature, whatever was tried.
    NoKeyFits,
}

impl Mistake {
    /// Returns the stable word for the mistake.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Missing(_) => "missing_header",
            Self::Ambiguous(_) => "ambiguous_header",
            Self::TimestampForm => "timestamp_form",
            Self::TimestampInMilliseconds => "timestamp_in_milliseconds",
            Self::TooOld(_) => "too_old",
            Self::TooNew(_) => "too_new",
            Self::SignatureForm => "signature_form",
            Self::SignatureWritten(_) => "signature_written_differently",
            Self::NoTask => "no_task",
            Self::BodyWithoutTask => "body_without_task",
            Self::OtherTask => "other_task",
            Self::BlankKey => "blank_key",
            Self::OtherText(_) => "other_text_signed",
            Self::OtherKeyForm(_) => "other_form_of_key",
            Self::NoKeyFits => "no_key_fits",
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(
                f,
                "the header {name} is missing; check that no proxy removes it"
            ),
            Self::Ambiguous(name) => write!(f, "the header {name} occurs with different values"),
            Self::TimestampForm => f.write_str(
                "the timestamp is not a whole number of seconds since 1970 in plain digits",
            ),
            Self::TimestampInMilliseconds => {
                f.write_str("the timestamp counts milliseconds; it must count seconds")
            }
            Self::TooOld(by) => write!(
                f,
                "the timestamp is {} s older than the window allows; if the callback has just \
                 arrived, set the clock of this machine, or look for a proxy that delays requests",
                by.as_secs()
            ),
            Self::TooNew(by) => write!(
                f,
                "the timestamp is {} s further ahead than the window allows; set the clock of this \
                 machine",
                by.as_secs()
            ),
            Self::SignatureForm => f.write_str(
                "the signature is not 32 bytes in base64: 44 characters, of which the last is '='",
            ),
            Self::SignatureWritten(form) => write!(
                f,
                "the signature is {form}; it must be in standard base64, with padding, and alone in \
                 its header"
            ),
            Self::NoTask => f.write_str("the signature covers the task id, but neither a task id nor a body is given"),
            Self::BodyWithoutTask => f.write_str(
                "the body names no single task, so it is not the body of a callback, or was changed",
            ),
            Self::OtherTask => f.write_str(
                "the body names another task than the one that is given; the task in the body counts",
            ),
            Self::BlankKey => f.write_str("a key is blank, and a blank key never verifies"),
            Self::OtherText(text) => write!(
                f,
                "the key is right, but the signature is over {text}; it must be over the task id, a \
                 dot and the timestamp"
            ),
            Self::OtherKeyForm(form) => {
                write!(f, "the signature is by {form}; use the key as it is shown on the provider's page")
            }
            Self::NoKeyFits => f.write_str(
                "no key produces this signature: the key is another one, or the task or the timestamp \
                 was changed; compare the key with the provider's settings page",
            ),
        }
    }
}
