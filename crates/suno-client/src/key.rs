//! The API key. It leaves this module only as a header value that is marked sensitive.

use std::fmt;

use http::HeaderValue;

use crate::ClientError;

/// The maximum length of a key.
const KEY_BYTES_MAX: usize = 1024;

/// An API key. Neither `Debug` nor any error or log line of this crate shows it.
///
/// ```
/// use suno_client::ApiKey;
///
/// let key = ApiKey::new("sk-from-your-secrets\n")?;
/// assert_eq!(format!("{key:?}"), "ApiKey(redacted)");
/// # Ok::<(), suno_client::ClientError>(())
/// ```
#[derive(Clone)]
pub struct ApiKey {
    header: HeaderValue,
    text: Box<str>,
}

impl ApiKey {
    /// Checks a key as the provider issued it. Leading and trailing white space is removed, because
    /// a key that is read from a file often ends with a line break.
    ///
    /// # Errors
    ///
    /// [`ClientError`] of the kind [`Setting`](crate::ErrorKind::Setting) unless the key is 1 to
    /// 1024 visible ASCII characters.
    pub fn new(key: impl AsRef<str>) -> Result<Self, ClientError> {
        let key = key.as_ref().trim();
        let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
        if key.is_empty() || key.len() > KEY_BYTES_MAX || !visible {
            return Err(ClientError::setting(
                "the API key must be 1 to 1024 visible ASCII characters",
            ));
        }
        let mut header = HeaderValue::try_from(format!("Bearer {key}"))
            .map_err(|_| ClientError::setting("the API key cannot be sent in a header"))?;
        header.set_sensitive(true);
        Ok(Self {
            header,
            text: key.into(),
        })
    }

    /// The value of `Authorization`, marked sensitive.
    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// Returns whether `text` contains the key.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        text.contains(&*self.text)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_marked_and_shows_nothing() {
        let key = ApiKey::new(" sk-canary\n").expect("a key");
        assert_eq!(key.header().as_bytes(), b"Bearer sk-canary");
        assert!(key.header().is_sensitive());
        assert!(!format!("{key:?} {:?}", key.header()).contains("canary"));
    }
}
