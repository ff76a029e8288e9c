//! Whether a delivery can be trusted: a signature, a token in the URL, both, or dangerously none.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use sha2::{Digest, Sha256};
use suno_types::signature::{SignatureError, SignatureHeaders, WebhookKey, verify};
use suno_types::{CallbackRef, DecodeError, Peek};

use crate::delivery::{Content, VerifiedBy};

/// How deliveries are verified. Every method that is set must agree.
#[derive(Debug, Clone)]
pub struct Verification {
    keys: Vec<WebhookKey>,
    token: Option<Token>,
    window: Duration,
}

/// An unguessable last segment of the callback URL's path. It is never shown.
#[derive(Clone)]
pub struct Token {
    /// Hashed, so that a comparison tells nothing of how much was right.
    hash: [u8; 32],
}

/// A token that could be guessed, or that cannot stand in a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a token is {} to {} letters, digits, '-' or '_'",
    Token::CHARS_MIN,
    Token::CHARS_MAX
)]
#[non_exhaustive]
pub struct InvalidToken;

impl Token {
    /// How many characters a token has at least: 16 characters of base64 are 96 bits.
    pub const CHARS_MIN: usize = 16;
    /// How many characters a token has at most.
    pub const CHARS_MAX: usize = 256;

    /// The token, if it is long enough and fits into a path.
    ///
    /// # Errors
    ///
    /// [`InvalidToken`] unless it is 16 to 256 letters, digits, `-` or `_`.
    pub fn new(token: &str) -> Result<Self, InvalidToken> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !(Self::CHARS_MIN..=Self::CHARS_MAX).contains(&token.len()) || !token.bytes().all(fits) {
            return Err(InvalidToken);
        }
        Ok(Self {
            hash: Sha256::digest(token).into(),
        })
    }

    fn is(&self, segment: &str) -> bool {
        let hash: [u8; 32] = Sha256::digest(segment).into();
        let differing = self
            .hash
            .iter()
            .zip(hash)
            .fold(0, |all, (a, b)| all | (a ^ b));
        differing == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Why a delivery is not taken. It never says what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The signature does not speak for the delivery.
    #[error("the delivery is not signed by a known key")]
    Signature(#[source] SignatureError),
    /// The URL does not carry the token.
    #[error("the path does not end in the token")]
    Token,
    /// There is no task id that a signature could be checked against.
    #[error("the body names no single task")]
    Unverifiable(#[source] DecodeError),
}

/// A body whose sender was verified, and how: the proof that [`Verification::verify`] returns.
///
/// A signature speaks for the task that the body names, so that the body was read to verify it:
/// once, and what was read is kept for [`Delivery::decode`](crate::Delivery::decode).
#[derive(Clone)]
pub struct Verified {
    body: Bytes,
    by: VerifiedBy,
    content: Result<Content, DecodeError>,
}

impl Verified {
    pub(crate) fn into_parts(self) -> (Bytes, VerifiedBy, Result<Content, DecodeError>) {
        (self.body, self.by, self.content)
    }

    /// What spoke for the sender.
    #[must_use]
    pub fn by(&self) -> VerifiedBy {
        self.by
    }
}

/// Without the body.
impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("by", &self.by)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

impl Verification {
    /// How far a timestamp may be from now, each way, unless set otherwise.
    pub const WINDOW: Duration = Duration::from_secs(300);

    /// By signatures of one webhook key.
    #[must_use]
    pub fn webhook_key(key: impl AsRef<[u8]>) -> Self {
        Self::dangerous_none().with_webhook_key(key)
    }

    /// By a token at the end of the callback URL's path.
    #[must_use]
    pub fn token(token: Token) -> Self {
        Self::dangerous_none().with_token(token)
    }

    /// Not at all: whoever reaches the URL is believed. For experiments only.
    #[must_use]
    pub fn dangerous_none() -> Self {
        Self {
            keys: Vec::new(),
            token: None,
            window: Self::WINDOW,
        }
    }

    /// Also accepts signatures of this key, so that keys can be rotated: add the new one, change
    /// it at the provider, remove the old one.
    #[must_use]
    pub fn with_webhook_key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.keys.push(WebhookKey::new(key));
        self
    }

    /// Also demands a token at the end of the callback URL's path.
    #[must_use]
    pub fn with_token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// How far a timestamp may be from now, each way.
    #[must_use]
    pub fn with_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// True if nothing is verified.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.keys.is_empty() && self.token.is_none()
    }

    /// True if the path must end in a token.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Verifies a delivery. `segment` is what stood behind the callback path, if a token is
    /// expected there; `now` is Unix time in seconds.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if a method that is set does not agree.
    pub fn verify(
        &self,
        segment: Option<&str>,
        headers: &HeaderMap,
        body: Bytes,
        now: u64,
    ) -> Result<Verified, Refusal> {
        let mut by = VerifiedBy::default();
        if let Some(token) = &self.token {
            if !segment.is_some_and(|segment| token.is(segment)) {
                return Err(Refusal::Token);
            }
            by.token = true;
        }
        by.signature = !self.keys.is_empty();
        let content = match CallbackRef::decode(&body) {
            Ok(callback) => {
                self.verify_signature(callback.task_id(), headers, now)
                    .map_err(Refusal::Signature)?;
                Ok(Content::event(&callback))
            }
            Err(reason) => {
                // What cannot be decoded may name its task all the same.
                let task_id = Peek::callback(&body).map(|peek| peek.task_id);
                match &task_id {
                    Ok(task_id) => self
                        .verify_signature(task_id, headers, now)
                        .map_err(Refusal::Signature)?,
                    Err(err) if by.signature => return Err(Refusal::Unverifiable(err.clone())),
                    Err(_) => {}
                }
                Content::undecodable(reason, task_id.ok().as_deref())
            }
        };
        Ok(Verified { body, by, content })
    }

    /// Verifies the signature, if one is demanded.
    fn verify_signature(
        &self,
        task_id: &str,
        headers: &HeaderMap,
        now: u64,
    ) -> Result<(), SignatureError> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let pairs = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()));
        let headers = SignatureHeaders::find(pairs)?;
        verify(&self.keys, task_id, headers, now, self.window).map(|_| ())
    }
}
