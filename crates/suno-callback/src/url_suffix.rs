//! The part of the callback URL that the application chose.

use std::borrow::Cow;
use std::fmt;

/// The part of the callback URL that the application chose: the path segments after the
/// receiver's path and its token, and the query, both without the token and the id of the submit.
///
/// A last segment of 32 hexadecimal digits is read as the id of a submit, and is not part of it: see
/// [`Event::submit`](crate::Event::submit).
///
/// Neither the provider nor a signature vouches for it: whoever can send a trusted callback for a
/// task can choose it. It is stored with the first delivery of an event and never compared.
///
/// ```
/// use suno_callback::UrlSuffix;
///
/// let suffix = UrlSuffix::new("orders/42", "user=7&note=a%20b").unwrap();
/// assert_eq!(suffix.path(), "orders/42");
/// assert_eq!(suffix.query(), "user=7&note=a%20b");
/// assert_eq!(suffix.parameter("note").as_deref(), Some("a b"));
/// assert_eq!(suffix.to_string(), "orders/42?user=7&note=a%20b");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct UrlSuffix {
    text: Box<str>,
    path_bytes: usize,
}

impl UrlSuffix {
    /// The maximum number of bytes of path and query together. A longer URL is refused.
    pub const BYTES_MAX: usize = 4_096;

    /// Creates a suffix from a path without its first slash and a query without its question mark,
    /// both as they stood in the URL. Returns `None` if they are too long, or if the path contains
    /// a question mark.
    #[must_use]
    pub fn new(path: &str, query: &str) -> Option<Self> {
        if path.contains('?') || path.len() + query.len() > Self::BYTES_MAX {
            return None;
        }
        let text = match query {
            "" => path.into(),
            query => format!("{path}?{query}").into(),
        };
        Some(Self {
            text,
            path_bytes: path.len(),
        })
    }

    /// Reads what [`Display`](fmt::Display) wrote, for stores.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self {
            text: text.into(),
            path_bytes: text.find('?').unwrap_or(text.len()),
        }
    }

    /// Returns whether there is neither a path nor a query.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The path, without a slash at its start, as it stood in the URL.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.text[..self.path_bytes]
    }

    /// The query, without the question mark, as it stood in the URL.
    #[must_use]
    pub fn query(&self) -> &str {
        self.text.get(self.path_bytes + 1..).unwrap_or_default()
    }

    /// The decoded value of the first parameter with this name in the query.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        form_urlencoded::parse(self.query().as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }
}

/// Without the text, which can contain a secret of the application.
impl fmt::Debug for UrlSuffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UrlSuffix({} bytes)", self.text.len())
    }
}

/// The path and, if there is one, a question mark and the query.
impl fmt::Display for UrlSuffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
