//! The URL that requests are sent to.

use std::fmt;

use http::{HeaderValue, Uri};

/// The maximum length of a URL.
const URL_BYTES_MAX: usize = 8_192;

/// An `http` or `https` URL. It is sent as it was given, with its query. `Debug` shows the host only,
/// because path and query can contain a token.
#[derive(Clone)]
pub(super) struct ForwardUrl {
    /// The address to connect to.
    pub(super) uri: Uri,
    /// The path and the query, for the request line.
    pub(super) target: Uri,
    /// The value of `Host`.
    pub(super) host: HeaderValue,
    is_https: bool,
}

/// The error for text that is no URL to forward to. It never contains the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidForwardUrl {
    /// It is not an absolute `http` or `https` URL.
    #[error(
        "the URL must be absolute and begin with http:// or https://, with other characters than ASCII percent-encoded"
    )]
    Form,
    /// It has a user name or a password.
    #[error("the URL must not contain a user name or a password: give them as a header")]
    User,
    /// It has a fragment, which is never sent.
    #[error("the URL must not have a fragment (`#`)")]
    Fragment,
}

impl ForwardUrl {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidForwardUrl> {
        if text.contains('#') {
            return Err(InvalidForwardUrl::Fragment);
        }
        let uri: Uri = text.parse().map_err(|_| InvalidForwardUrl::Form)?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(InvalidForwardUrl::Form),
        };
        let authority = uri.authority().ok_or(InvalidForwardUrl::Form)?.as_str();
        if authority.contains('@') {
            return Err(InvalidForwardUrl::User);
        }
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let target = match target {
            query if query.starts_with('?') => format!("/{query}"),
            target => target.to_owned(),
        };
        let is_usable = text.len() <= URL_BYTES_MAX && uri.host().is_some_and(|it| !it.is_empty());
        let parsed = target
            .parse()
            .ok()
            .zip(HeaderValue::try_from(authority).ok());
        let (target, host) = parsed
            .filter(|_| is_usable)
            .ok_or(InvalidForwardUrl::Form)?;
        Ok(Self {
            target,
            host,
            is_https,
            uri,
        })
    }

    pub(super) fn is_https(&self) -> bool {
        self.is_https
    }
}

impl fmt::Debug for ForwardUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForwardUrl({:?}, …)", self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_sent_as_it_was_given() {
        for (text, target, host) in [
            (
                "http://127.0.0.1:9/hook?a=%20b&c",
                "/hook?a=%20b&c",
                "127.0.0.1:9",
            ),
            ("https://a.example", "/", "a.example"),
            ("https://a.example?x=1", "/?x=1", "a.example"),
            ("http://[::1]:80/a//b/", "/a//b/", "[::1]:80"),
        ] {
            let url = ForwardUrl::parse(text).unwrap();
            assert_eq!(
                (url.target.to_string().as_str(), url.host.to_str().unwrap()),
                (target, host)
            );
            assert_eq!(url.is_https(), text.starts_with("https"));
        }
        let url = ForwardUrl::parse("http://a.example/canary?canary").unwrap();
        assert!(!format!("{url:?}").contains("canary"), "{url:?}");
    }

    #[test]
    fn what_cannot_be_sent_to_is_refused() {
        for (text, expected) in [
            ("", InvalidForwardUrl::Form),
            ("/hook", InvalidForwardUrl::Form),
            ("a.example/hook", InvalidForwardUrl::Form),
            ("ftp://a.example", InvalidForwardUrl::Form),
            ("http://", InvalidForwardUrl::Form),
            ("http:///hook", InvalidForwardUrl::Form),
            ("http://a.example/ü b", InvalidForwardUrl::Form),
            ("http://a.example/\r\nX: 1", InvalidForwardUrl::Form),
            ("http://u:p@a.example/", InvalidForwardUrl::User),
            ("http://a.example/#x", InvalidForwardUrl::Fragment),
        ] {
            assert_eq!(ForwardUrl::parse(text).unwrap_err(), expected, "{text}");
        }
    }
}
