//! Verifies the sender of a callback: by a signature, a token in the URL, or both.

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderMap;
use suno_types::signature::{SentSignature, SignatureError, SignatureHeaders, WebhookKey};
use suno_types::{CallbackRef, DecodeError, Peek};

use crate::content::Content;
use crate::origin::VerifiedBy;
use crate::token::{Token, TokenPlace};

/// The maximum size of a body that is decoded before its signature is verified, in bytes. Nearly
/// every callback is smaller, and decoding also yields the task id that the signature covers. In a
/// larger body, the task id is searched first, which takes a third more time, so that only signed
/// bodies are decoded.
const DECODED_UNVERIFIED_BYTES_MAX: usize = 16 * 1_024;

/// The methods by which deliveries are verified. Every configured method must succeed.
#[derive(Debug, Clone)]
pub struct Verification {
    keys: Vec<WebhookKey>,
    tokens: Vec<Token>,
    token_place: TokenPlace,
    window: Duration,
}

/// An error: no callback could be verified with these settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidVerification {
    /// Neither a key nor a token is set.
    #[error("callbacks cannot be verified: there is neither a webhook key nor a token")]
    Nothing,
    /// A key is empty or only white space.
    #[error("the webhook key is blank")]
    BlankKey,
}

/// The reason why a delivery is rejected. It never reveals what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The signature is not valid for the delivery.
    #[error("the delivery is not signed by a known key")]
    Signature(#[source] SignatureError),
    /// The URL does not contain the token.
    #[error("the callback URL does not contain the token")]
    Token,
    /// There is no single task id to check a signature against.
    #[error("the body names no single task")]
    Unverifiable(#[source] DecodeError),
}

/// The credentials from the head of a request. The token was already checked. The signature has a
/// valid form and time; it can be verified when the task is known, which only the body names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Credentials {
    has_token: bool,
    signature: Option<SentSignature>,
}

impl Verification {
    /// The default maximum difference between a timestamp and now, in either direction.
    pub const WINDOW: Duration = Duration::from_secs(300);

    /// Accepts callbacks signed with this webhook key. A blank key is public knowledge, so it never
    /// verifies. To reject a blank key before the start, use [`new`](Self::new).
    #[must_use]
    pub fn webhook_key(key: impl AsRef<[u8]>) -> Self {
        Self::dangerous_none().with_webhook_key(key)
    }

    /// Accepts callbacks to a URL with this token after the receiver's path, or elsewhere: see
    /// [`with_token_in`](Self::with_token_in).
    #[must_use]
    pub fn token(token: Token) -> Self {
        Self::dangerous_none().with_token(token)
    }

    /// Accepts callbacks that are signed with one of these webhook keys, if there are any, and
    /// whose URL contains one of these tokens, if there are any. Use it if both are optional in
    /// your configuration.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidVerification`] if there is neither a key nor a token, or if a key is blank.
    pub fn new<K: AsRef<[u8]>>(
        webhook_keys: impl IntoIterator<Item = K>,
        tokens: impl IntoIterator<Item = Token>,
    ) -> Result<Self, InvalidVerification> {
        let mut verification = Self::dangerous_none();
        for key in webhook_keys {
            if key.as_ref().trim_ascii().is_empty() {
                return Err(InvalidVerification::BlankKey);
            }
            verification = verification.with_webhook_key(key);
        }
        verification.tokens.extend(tokens);
        match verification.is_none() {
            true => Err(InvalidVerification::Nothing),
            false => Ok(verification),
        }
    }

    /// Accepts every callback: anyone who can reach the URL can forge them. For experiments only.
    #[must_use]
    pub fn dangerous_none() -> Self {
        Self {
            keys: Vec::new(),
            tokens: Vec::new(),
            token_place: TokenPlace::Path,
            window: Self::WINDOW,
        }
    }

    /// Also accepts signatures with this key, to rotate keys: add the new key, change it at the
    /// provider, remove the old one.
    #[must_use]
    pub fn with_webhook_key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.keys.push(WebhookKey::new(key));
        self
    }

    /// Requires a token in the callback URL. Called again, it also accepts another token, to
    /// rotate tokens: add the new one, submit with it, remove the old one when its tasks have
    /// ended.
    #[must_use]
    pub fn with_token(mut self, token: Token) -> Self {
        self.tokens.push(token);
        self
    }

    /// Sets where in the callback URL the token is expected: by default in the path.
    #[must_use]
    pub fn with_token_in(mut self, place: TokenPlace) -> Self {
        self.token_place = place;
        self
    }

    /// Sets the maximum difference between a timestamp and now, in either direction.
    #[must_use]
    pub fn with_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Whether every callback is accepted unverified.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.keys.is_empty() && self.tokens.is_empty()
    }

    /// Where a token is expected; `None` if none is.
    pub(crate) fn token_place(&self) -> Option<&TokenPlace> {
        (!self.tokens.is_empty()).then_some(&self.token_place)
    }

    /// Whether a text has one of the tokens as a word: between characters that are not allowed in a
    /// token.
    pub(crate) fn has_token_in(&self, text: &[u8]) -> bool {
        !self.tokens.is_empty()
            && Token::words(text).any(|word| Token::is_among(&self.tokens, word))
    }

    /// Verifies everything that does not need the body.
    pub(crate) fn verify_head(
        &self,
        token: Option<&str>,
        headers: &HeaderMap,
        now: u64,
    ) -> Result<Credentials, Refusal> {
        let signature = match self.keys.is_empty() {
            true => None,
            false => Some(self.parse_signature(headers, now)?),
        };
        let has_token = match token {
            _ if self.tokens.is_empty() => false,
            Some(token) if Token::is_among(&self.tokens, token) => true,
            _ => return Err(Refusal::Token),
        };
        Ok(Credentials {
            has_token,
            signature,
        })
    }

    fn parse_signature(&self, headers: &HeaderMap, now: u64) -> Result<SentSignature, Refusal> {
        let pairs = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()));
        SignatureHeaders::find(pairs)
            .and_then(|headers| headers.parse(now, self.window))
            .map_err(Refusal::Signature)
    }

    /// Verifies the signature and decodes the body, in one pass if possible: the signature covers
    /// the task id that only the body contains.
    pub(crate) fn verify_body(
        &self,
        credentials: &Credentials,
        body: &[u8],
    ) -> Result<(Content, VerifiedBy), Refusal> {
        let mut unverified = credentials.signature.as_ref();
        if body.len() > DECODED_UNVERIFIED_BYTES_MAX && unverified.is_some() {
            self.find_task(body, unverified)?;
            unverified = None;
        }
        let verified_by = VerifiedBy {
            signature: credentials.signature.is_some(),
            token: credentials.has_token,
            ..VerifiedBy::default()
        };
        Ok((self.read(body, unverified)?, verified_by))
    }

    /// Decodes the body. `unverified` is the signature, if it must still be verified.
    fn read(&self, body: &[u8], unverified: Option<&SentSignature>) -> Result<Content, Refusal> {
        match CallbackRef::decode(body) {
            Ok(callback) => {
                self.verify_task(callback.task_id(), unverified)?;
                Ok(Content::event(&callback))
            }
            Err(reason) => {
                // A body that cannot be decoded may still name its task.
                let task_id = self.find_task(body, unverified)?;
                Ok(Content::undecodable(reason, task_id.as_deref()))
            }
        }
    }

    /// Finds the task that the body names, and verifies that the signature covers it. Returns
    /// `None` if the body does not name a single task and no signature needs to be verified.
    fn find_task<'a>(
        &self,
        body: &'a [u8],
        unverified: Option<&SentSignature>,
    ) -> Result<Option<Cow<'a, str>>, Refusal> {
        match Peek::callback(body) {
            Ok(peek) => {
                self.verify_task(&peek.task_id, unverified)?;
                Ok(Some(peek.task_id))
            }
            Err(err) if unverified.is_some() => Err(Refusal::Unverifiable(err)),
            Err(_) => Ok(None),
        }
    }

    fn verify_task(
        &self,
        task_id: &str,
        unverified: Option<&SentSignature>,
    ) -> Result<(), Refusal> {
        match unverified {
            Some(signature) => signature
                .verify(&self.keys, task_id)
                .map(|_| ())
                .map_err(Refusal::Signature),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use suno_types::TaskId;

    use super::*;

    const NOW: u64 = 1_780_000_000;
    const KEY: &str = "whk-amber-otter";

    /// Returns the shortest time of several attempts.
    fn fastest(attempt: impl Fn()) -> Duration {
        let attempts = (0..20).map(|_| {
            let begun = Instant::now();
            attempt();
            begun.elapsed()
        });
        attempts.min().unwrap_or_default()
    }

    #[test]
    fn a_large_body_that_is_signed_by_nobody_is_not_decoded() {
        let tracks = vec![format!(r#"{{"prompt":"{}"}}"#, "\\u0078".repeat(600)); 256].join(",");
        let body = Bytes::from(format!(
            r#"{{"code":200,"data":{{"task_id":"t","data":[{tracks}]}}}}"#
        ));
        let verification = Verification::webhook_key(KEY);
        let verify = |key: &str| {
            let task_id = TaskId::new("t").unwrap();
            let signature = WebhookKey::new(key).sign(&task_id, NOW);
            let headers = [
                ("x-webhook-timestamp", NOW.to_string()),
                ("x-webhook-signature", signature),
            ];
            let headers = SignatureHeaders::find(
                headers
                    .iter()
                    .map(|(name, value)| (*name, value.as_bytes())),
            );
            let credentials = Credentials {
                has_token: false,
                signature: Some(headers.unwrap().parse(NOW, Verification::WINDOW).unwrap()),
            };
            let (verification, body) = (verification.clone(), body.clone());
            move || verification.verify_body(&credentials, &body)
        };
        let (right, wrong) = (verify(KEY), verify("whk-of-somebody"));
        assert!(right().is_ok() && wrong().is_err());
        let taken = fastest(|| drop(right()));
        let refused = fastest(|| drop(wrong()));
        assert!(refused * 2 < taken, "refused {refused:?}, taken {taken:?}");
    }
}
