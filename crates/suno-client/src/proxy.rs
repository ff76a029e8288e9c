//! The proxy that a client sends its requests through.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use url::Url;

use crate::ClientError;

/// An HTTP proxy. It receives `CONNECT` for `https`, and the whole URL in the request line for
/// plain `http`.
///
/// No environment variable is read. The proxy looks host names up, so a download through a proxy is
/// checked only for addresses that are written in the URL itself.
///
/// ```
/// use suno_client::Proxy;
///
/// let proxy = Proxy::new("http://user:password@proxy.example.com:3128")?;
/// assert!(!format!("{proxy:?}").contains("password"));
/// # Ok::<(), suno_client::ClientError>(())
/// ```
#[derive(Clone)]
pub struct Proxy {
    uri: Uri,
    authorization: Option<HeaderValue>,
}

impl Proxy {
    /// Reads the URL of a proxy, such as `http://proxy.example.com:3128`. A user name and a
    /// password in it are sent as `Proxy-Authorization`.
    ///
    /// # Errors
    ///
    /// [`ClientError`] of the kind [`Setting`](crate::ErrorKind::Setting) unless it is an absolute
    /// `http` URL without path, query and fragment.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let wrong = || {
            ClientError::setting(
                "a proxy must be given as http://HOST:PORT, with USER:PASSWORD@ before the host if it asks for them",
            )
        };
        let url = Url::parse(url).map_err(|_| wrong())?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if url.scheme() != "http" || !bare {
            return Err(wrong());
        }
        let host = url.host_str().ok_or_else(wrong)?;
        let port = url.port_or_known_default().ok_or_else(wrong)?;
        let uri = format!("http://{host}:{port}/")
            .parse()
            .map_err(|_| wrong())?;
        Ok(Self {
            uri,
            authorization: authorization(&url).map_err(|()| wrong())?,
        })
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The value of `Proxy-Authorization`, marked sensitive.
    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }
}

fn authorization(url: &Url) -> Result<Option<HeaderValue>, ()> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let mut pair = decoded(url.username());
    pair.push(b':');
    pair.extend(decoded(url.password().unwrap_or_default()));
    let basic = format!("Basic {}", STANDARD.encode(pair));
    let mut value = HeaderValue::try_from(basic).map_err(|_| ())?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let byte = match rest {
            [b'%', high, low, ..] => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match byte {
            Some((high, low)) => bytes.push(high << 4 | low),
            None => bytes.push(*first),
        }
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    bytes
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

/// Without the user name and the password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_decoded_and_marked() {
        let proxy = Proxy::new("http://us%2Fer:p%40ss%+a%@proxy.example.com").expect("a proxy");
        let value = proxy.authorization().expect("a value");
        let pair = format!("Basic {}", STANDARD.encode("us/er:p@ss%+a%"));
        assert_eq!(value.as_bytes(), pair.as_bytes());
        assert!(value.is_sensitive());
        assert_eq!(proxy.uri(), "http://proxy.example.com:80/");
    }

    #[test]
    fn a_proxy_without_a_user_gets_no_authorization() {
        let proxy = Proxy::new("http://[::1]:3128").expect("a proxy");
        assert!(proxy.authorization().is_none());
        assert_eq!(proxy.uri(), "http://[::1]:3128/");
    }
}
