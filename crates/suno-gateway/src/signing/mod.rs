//! The signature of what is sent, in the form of [Standard Webhooks]: secrets, signing, verifying.
//!
//! The signed text is `id.timestamp.body`. Sign the very bytes that are sent: a body that is
//! serialised a second time may differ.
//!
//! ```
//! use suno_callback::EventKey;
//! use suno_gateway::signing::{MessageId, Secret, Signer};
//! use suno_types::{Stage, TaskId};
//!
//! let old = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
//! let new = Secret::generate()?;
//! let signer = Signer::new([new, old])?;
//!
//! let id = MessageId::of(&EventKey::new(TaskId::new("5c79be8e")?, Stage::Complete));
//! let headers = signer.sign(&id, 1_780_000_000, br#"{"type":"suno.songs.complete"}"#);
//! assert_eq!(headers.id, "5c79be8e_complete_0");
//! assert_eq!(headers.signature.split(' ').count(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [Standard Webhooks]: https://www.standardwebhooks.com

mod id;
mod secret;
mod verify;

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::Mac;
use http::{HeaderMap, HeaderName, HeaderValue};

pub use id::MessageId;
pub use secret::{InvalidSecret, Secret};
pub use verify::{TOLERANCE, VerifyError, verify};

/// The header with the id of the event, which is the same on every attempt.
pub const ID_HEADER: HeaderName = HeaderName::from_static("webhook-id");
/// The header with the time of the attempt, in Unix seconds.
pub const TIMESTAMP_HEADER: HeaderName = HeaderName::from_static("webhook-timestamp");
/// The header with the signatures, one for each secret.
pub const SIGNATURE_HEADER: HeaderName = HeaderName::from_static("webhook-signature");

/// The version of the signature scheme: HMAC-SHA256.
const SCHEME: &str = "v1,";

/// Signs messages with one to five secrets.
///
/// All secrets sign every message, so that a consumer may know any one of them. To replace a
/// secret, put the new one first, give it to the consumer, and remove the old one later.
#[derive(Debug, Clone)]
pub struct Signer {
    secrets: Vec<Secret>,
}

/// The error for a list of secrets that no [`Signer`] can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSecrets {
    /// The list is empty.
    #[error("a signer needs at least one secret")]
    None,
    /// There are more than [`Signer::SECRETS_MAX`].
    #[error(
        "a signer takes at most {} secrets; remove the oldest",
        Signer::SECRETS_MAX
    )]
    TooMany,
    /// Two secrets are the same.
    #[error("two of the secrets are the same; remove one")]
    Duplicate,
}

impl Signer {
    /// The maximum number of secrets. Each adds 48 bytes to the header.
    pub const SECRETS_MAX: usize = 5;

    /// Creates a signer. The signatures have the order of the secrets.
    ///
    /// # Errors
    ///
    /// [`InvalidSecrets`] unless there are one to five different secrets.
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Result<Self, InvalidSecrets> {
        // One more than allowed is enough to know.
        let secrets: Vec<Secret> = secrets.into_iter().take(Self::SECRETS_MAX + 1).collect();
        if secrets.is_empty() {
            return Err(InvalidSecrets::None);
        }
        if secrets.len() > Self::SECRETS_MAX {
            return Err(InvalidSecrets::TooMany);
        }
        let is_repeated = |(place, secret): (usize, &Secret)| {
            secrets[..place].iter().any(|other| other.is_same(secret))
        };
        if secrets.iter().enumerate().any(is_repeated) {
            return Err(InvalidSecrets::Duplicate);
        }
        Ok(Self { secrets })
    }

    /// Returns the secrets.
    #[must_use]
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// Signs a message. `timestamp` is the time of this attempt, in Unix seconds; consumers refuse
    /// one that differs from their own time by more than five minutes.
    #[must_use]
    pub fn sign(&self, id: &MessageId, timestamp: u64, body: &[u8]) -> SignedHeaders {
        let timestamp = timestamp.to_string();
        let mut signature = String::with_capacity(self.secrets.len() * 48);
        for secret in &self.secrets {
            if !signature.is_empty() {
                signature.push(' ');
            }
            let mac = secret.mac(id.as_str().as_bytes(), timestamp.as_bytes(), body);
            signature.push_str(SCHEME);
            BASE64_STANDARD.encode_string(mac.finalize().into_bytes(), &mut signature);
        }
        SignedHeaders {
            id: id.as_str().to_owned(),
            timestamp,
            signature,
        }
    }
}

/// The three headers of a signed message.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignedHeaders {
    /// The value of `webhook-id`.
    pub id: String,
    /// The value of `webhook-timestamp`.
    pub timestamp: String,
    /// The value of `webhook-signature`: a token `v1,<base64>` for each secret, with one space
    /// between them.
    pub signature: String,
}

impl SignedHeaders {
    /// Sets the three headers.
    pub fn insert_into(&self, headers: &mut HeaderMap) {
        for (name, value) in [
            (ID_HEADER, &self.id),
            (TIMESTAMP_HEADER, &self.timestamp),
            (SIGNATURE_HEADER, &self.signature),
        ] {
            #[expect(
                clippy::expect_used,
                reason = "ids, digits and base64 are visible ASCII"
            )]
            let value = HeaderValue::try_from(value).expect("visible ASCII");
            headers.insert(name, value);
        }
    }
}

/// Leaves out the signature: with it, anyone can send the message again.
impl fmt::Debug for SignedHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedHeaders")
            .field("id", &self.id)
            .field("timestamp", &self.timestamp)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use suno_callback::EventKey;
    use suno_types::{Stage, TaskId};

    use super::*;

    fn secret(byte: u8) -> Secret {
        Secret::from_bytes([byte; 32]).unwrap()
    }

    fn id() -> MessageId {
        MessageId::of(&EventKey::new(TaskId::new("t").unwrap(), Stage::Complete))
    }

    #[test]
    fn every_secret_signs_in_its_order_on_one_line() {
        let signer = Signer::new([secret(1), secret(2)]).unwrap();
        let both = signer.sign(&id(), 1_780_000_000, b"{}").signature;
        let single = |byte| {
            let signer = Signer::new([secret(byte)]).unwrap();
            signer.sign(&id(), 1_780_000_000, b"{}").signature
        };
        assert_eq!(both, format!("{} {}", single(1), single(2)));
        for token in both.split(' ') {
            let base64 = token.strip_prefix("v1,").unwrap();
            assert!(base64.len() == 44 && base64.ends_with('='), "{token}");
        }
    }

    #[test]
    fn a_signature_is_for_one_id_one_time_and_one_body() {
        let signer = Signer::new([secret(1)]).unwrap();
        let other = MessageId::of(&EventKey::new(TaskId::new("u").unwrap(), Stage::Complete));
        let all = [
            signer.sign(&id(), 1, b"a").signature,
            signer.sign(&other, 1, b"a").signature,
            signer.sign(&id(), 2, b"a").signature,
            signer.sign(&id(), 1, b"b").signature,
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(!all[..place].contains(one), "{place}");
        }
    }

    #[test]
    fn there_are_one_to_five_different_secrets() {
        let signer = |bytes: &[u8]| Signer::new(bytes.iter().map(|byte| secret(*byte))).err();
        assert_eq!(signer(&[]), Some(InvalidSecrets::None));
        assert_eq!(signer(&[1, 2, 3, 4, 5]), None);
        assert_eq!(signer(&[1, 2, 3, 4, 5, 6]), Some(InvalidSecrets::TooMany));
        assert_eq!(signer(&[1, 2, 1]), Some(InvalidSecrets::Duplicate));
    }

    #[test]
    fn no_debug_output_shows_a_secret_or_a_signature() {
        let signer = Signer::new([secret(b'k')]).unwrap();
        let headers = signer.sign(&id(), 1, b"a");
        let shown = format!("{signer:?} {headers:?}");
        assert!(!shown.contains("kkk") && !shown.contains("107"), "{shown}");
        assert!(!shown.contains("v1,") && !shown.contains("a2tr"), "{shown}");
    }
}
