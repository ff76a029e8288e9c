//! A header that every request carries, with a value from the environment.

use std::fmt;

use http::{HeaderName, HeaderValue};

/// The prefixes of names that this crate sets itself.
const RESERVED_PREFIXES: [&str; 4] = ["webhook-", "suno-", "content-", "proxy-"];
/// The names that describe the connection or the request as a whole.
const RESERVED: [&str; 9] = [
    "host",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "accept-encoding",
];

/// A header for a consumer's own authentication. The value is marked as sensitive, and neither
/// `Debug` nor any error shows it.
///
/// ```
/// use suno_gateway::forward::ForwardHeader;
///
/// let environment = |name: &str| (name == "SHOP_TOKEN").then(|| "Bearer canary".to_owned());
/// let header = ForwardHeader::from_env_text("Authorization=SHOP_TOKEN", environment)?;
/// assert_eq!(header.name(), "authorization");
/// assert!(!format!("{header:?}").contains("canary"));
/// # Ok::<(), suno_gateway::forward::InvalidForwardHeader>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ForwardHeader {
    name: HeaderName,
    value: HeaderValue,
}

/// The error for a header that cannot be sent. It names the header and the variable, never the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidForwardHeader {
    /// The text is not `NAME=VARIABLE`.
    #[error(
        "a header must be given as NAME=VARIABLE, where VARIABLE is an environment variable with its value"
    )]
    Form,
    /// The name is not a header name.
    #[error("`{0}` is not the name of a header")]
    Name(String),
    /// The name belongs to the signature, the body or the connection.
    #[error("the header `{0}` is set by this program and cannot be given")]
    Reserved(HeaderName),
    /// The variable is not set, or is not text.
    #[error("the variable `{variable}` for the header `{header}` is not set, or is not text")]
    Unset {
        /// The header.
        header: HeaderName,
        /// The variable.
        variable: String,
    },
    /// The value is empty.
    #[error("the value of the header `{0}` is empty")]
    Empty(HeaderName),
    /// The value is too long.
    #[error("the value of the header `{0}` has more than {max} bytes", max = ForwardHeader::VALUE_BYTES_MAX)]
    TooLong(HeaderName),
    /// The value has characters that a header cannot have.
    #[error(
        "the value of the header `{0}` must be visible ASCII without line breaks, and without spaces at its ends"
    )]
    Value(HeaderName),
}

impl ForwardHeader {
    /// The maximum number of bytes of a value.
    pub const VALUE_BYTES_MAX: usize = 8_192;

    /// Creates a header.
    ///
    /// # Errors
    ///
    /// [`InvalidForwardHeader`] if the name is reserved, or the value cannot be sent.
    pub fn new(name: &str, value: &str) -> Result<Self, InvalidForwardHeader> {
        Self::with_name(parse_name(name)?, value)
    }

    /// Creates a header from text such as `Authorization=SHOP_TOKEN`. `environment` returns the value
    /// of a variable.
    ///
    /// # Errors
    ///
    /// [`InvalidForwardHeader`] if the text, the name or the value is wrong.
    pub fn from_env_text(
        text: &str,
        environment: impl FnOnce(&str) -> Option<String>,
    ) -> Result<Self, InvalidForwardHeader> {
        let (name, variable) = text.split_once('=').ok_or(InvalidForwardHeader::Form)?;
        let name = parse_name(name)?;
        if variable.is_empty() || variable.contains('=') {
            return Err(InvalidForwardHeader::Form);
        }
        let Some(value) = environment(variable) else {
            return Err(InvalidForwardHeader::Unset {
                header: name,
                variable: variable.to_owned(),
            });
        };
        Self::with_name(name, &value)
    }

    fn with_name(name: HeaderName, value: &str) -> Result<Self, InvalidForwardHeader> {
        if value.is_empty() {
            return Err(InvalidForwardHeader::Empty(name));
        }
        if value.len() > Self::VALUE_BYTES_MAX {
            return Err(InvalidForwardHeader::TooLong(name));
        }
        let is_visible = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let parsed = HeaderValue::from_str(value).ok();
        match parsed.filter(|_| is_visible && value.trim() == value) {
            Some(mut value) => {
                value.set_sensitive(true);
                Ok(Self { name, value })
            }
            None => Err(InvalidForwardHeader::Value(name)),
        }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &HeaderName {
        &self.name
    }

    pub(super) fn value(&self) -> &HeaderValue {
        &self.value
    }
}

fn parse_name(text: &str) -> Result<HeaderName, InvalidForwardHeader> {
    let name: HeaderName = text
        .parse()
        .map_err(|_| InvalidForwardHeader::Name(text.chars().take(64).collect()))?;
    let is_reserved = RESERVED.contains(&name.as_str())
        || RESERVED_PREFIXES
            .iter()
            .any(|prefix| name.as_str().starts_with(prefix));
    match is_reserved {
        true => Err(InvalidForwardHeader::Reserved(name)),
        false => Ok(name),
    }
}

impl fmt::Debug for ForwardHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardHeader")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_program_itself_are_refused() {
        for name in [
            "webhook-id",
            "Webhook-Signature",
            "suno-replay",
            "Host",
            "content-type",
            "Content-Length",
            "Connection",
            "transfer-encoding",
            "TE",
            "proxy-authorization",
            "expect",
            "accept-encoding",
        ] {
            let refused = ForwardHeader::new(name, "value").unwrap_err();
            assert!(
                matches!(refused, InvalidForwardHeader::Reserved(_)),
                "{name}"
            );
        }
        for name in [
            "authorization",
            "X-Api-Key",
            "user-agent",
            "cookie",
            "contents",
        ] {
            assert!(ForwardHeader::new(name, "value").is_ok(), "{name}");
        }
    }

    #[test]
    fn a_value_that_cannot_be_sent_is_refused_by_the_name_of_its_header() {
        let long = "x".repeat(ForwardHeader::VALUE_BYTES_MAX + 1);
        for value in [
            "",
            "canary\r\nX-Evil: 1",
            "canary\n",
            "canary\0",
            "canäry",
            " canary",
            "canary\t",
            "can\tary",
            "\u{7f}canary",
            &long,
        ] {
            let refused = ForwardHeader::from_env_text("X-Key=KEY", |_| Some(value.to_owned()));
            let message = refused.unwrap_err().to_string();
            assert!(message.contains("x-key"), "{message}");
            assert!(
                !message.contains("canary") && !message.contains("xx"),
                "{message}"
            );
        }
        assert!(ForwardHeader::new("x-key", "a b").is_ok());
    }

    #[test]
    fn the_text_names_a_header_and_a_variable() {
        let set = |_: &str| Some("value".to_owned());
        for text in ["", "X-Key", "X-Key=", "X-Key=A=B"] {
            let refused = ForwardHeader::from_env_text(text, set).unwrap_err();
            assert_eq!(refused, InvalidForwardHeader::Form, "{text}");
        }
        for text in ["=KEY", "X Key=KEY", "Ü=KEY", "X-Key:=KEY"] {
            let refused = ForwardHeader::from_env_text(text, set).unwrap_err();
            assert!(matches!(refused, InvalidForwardHeader::Name(_)), "{text}");
        }
        let refused = ForwardHeader::from_env_text("X-Key=KEY", |_| None).unwrap_err();
        let message = refused.to_string();
        assert!(
            message.contains("`KEY`") && message.contains("`x-key`"),
            "{message}"
        );
    }
}
