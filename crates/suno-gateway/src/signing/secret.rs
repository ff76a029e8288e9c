//! A secret, and the texts that it is read from and written as.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The prefix of the text of a secret.
const PREFIX: &str = "whsec_";
/// The number of bytes of a secret that is generated.
const GENERATED_BYTES: usize = 32;
/// The standard alphabet, with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A secret that both sides of a webhook know. `Debug` does not show it, and neither does any error.
#[derive(Clone)]
pub struct Secret {
    bytes: Box<[u8]>,
    /// The state after the key, which is computed once and not for each message.
    state: Hmac<Sha256>,
}

/// The error for text or bytes that are no secret. It never contains them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSecret {
    /// The text does not begin with `whsec_`.
    #[error("a secret must begin with `whsec_`")]
    NoPrefix,
    /// The text is in the URL-safe alphabet, which the packages that verify do not read.
    #[error("a secret must be in standard base64: write `+` and `/` instead of `-` and `_`")]
    UrlSafe,
    /// The rest of the text is not base64.
    #[error("a secret must be `whsec_` and standard base64")]
    NotBase64,
    /// The number of bytes, which is not between 24 and 64.
    #[error("a secret must have 24 to 64 bytes, and this one has {0}")]
    Length(usize),
    /// The operating system has no random numbers.
    #[error("the operating system returned no random bytes for a secret")]
    NoRandomness,
}

impl Secret {
    /// The minimum number of bytes.
    pub const BYTES_MIN: usize = 24;
    /// The maximum number of bytes.
    pub const BYTES_MAX: usize = 64;

    /// Reads a secret from text such as `whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw`. White space around
    /// it is removed, such as the line break of a file. Padding may be missing.
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] says which rule the text does not keep.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let base64 = text
            .trim()
            .strip_prefix(PREFIX)
            .ok_or(InvalidSecret::NoPrefix)?;
        if base64.contains(['-', '_']) {
            return Err(InvalidSecret::UrlSafe);
        }
        let bytes = LENIENT
            .decode(base64)
            .map_err(|_| InvalidSecret::NotBase64)?;
        Self::from_bytes(bytes)
    }

    /// Creates a secret from its bytes, which must be random.
    ///
    /// # Errors
    ///
    /// [`InvalidSecret::Length`] unless there are 24 to 64 bytes.
    pub fn from_bytes(bytes: impl Into<Box<[u8]>>) -> Result<Self, InvalidSecret> {
        let bytes = bytes.into();
        if !(Self::BYTES_MIN..=Self::BYTES_MAX).contains(&bytes.len()) {
            return Err(InvalidSecret::Length(bytes.len()));
        }
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let state = Hmac::new_from_slice(&bytes).expect("HMAC takes keys of any length");
        Ok(Self { bytes, state })
    }

    /// Generates a secret of 32 random bytes.
    ///
    /// # Errors
    ///
    /// [`InvalidSecret::NoRandomness`] if the operating system returns no random bytes.
    pub fn generate() -> Result<Self, InvalidSecret> {
        let mut bytes = [0; GENERATED_BYTES];
        getrandom::fill(&mut bytes).map_err(|_| InvalidSecret::NoRandomness)?;
        Self::from_bytes(bytes)
    }

    /// Returns the secret as text, padded and in the standard alphabet, which every package reads.
    /// Show it only to those who may know it.
    #[must_use]
    pub fn reveal(&self) -> String {
        let mut text = PREFIX.to_owned();
        BASE64_STANDARD.encode_string(&self.bytes, &mut text);
        text
    }

    /// Returns whether two secrets are the same. Both are secrets of this process, so the time that
    /// the comparison takes reveals nothing to others.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }

    /// Computes the code of a message. A timestamp is passed as the digits that are sent.
    pub(super) fn mac(&self, id: &[u8], timestamp: &[u8], body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.state.clone();
        mac.update(id);
        mac.update(b".");
        mac.update(timestamp);
        mac.update(b".");
        mac.update(body);
        mac
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl FromStr for Secret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_as_it_is_written_with_or_without_padding() {
        for bytes in 24..=64_u8 {
            let secret = Secret::from_bytes(vec![bytes; usize::from(bytes)]).unwrap();
            let text = secret.reveal();
            let bare = text.trim_end_matches('=');
            for text in [text.as_str(), bare, &format!(" {text}\r\n")] {
                assert!(Secret::parse(text).unwrap().is_same(&secret), "{bytes}");
            }
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_with_the_rule_and_not_the_text() {
        let of_length = |bytes: usize| format!("whsec_{}", BASE64_STANDARD.encode(vec![7; bytes]));
        for (text, expected) in [
            ("", InvalidSecret::NoPrefix),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", InvalidSecret::NoPrefix),
            (
                "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                InvalidSecret::NoPrefix,
            ),
            ("whsec_", InvalidSecret::Length(0)),
            (
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_",
                InvalidSecret::UrlSafe,
            ),
            (
                "whsec_MfKQ9r8GKYqrTwjU PD8ILPZIo2LaLaSw",
                InvalidSecret::NotBase64,
            ),
            (
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!",
                InvalidSecret::NotBase64,
            ),
            (&of_length(23), InvalidSecret::Length(23)),
            (&of_length(65), InvalidSecret::Length(65)),
        ] {
            let refused = Secret::parse(text).unwrap_err();
            assert_eq!(refused, expected, "{text}");
            assert!(!refused.to_string().contains("MfKQ"), "{refused}");
        }
    }

    #[test]
    fn generated_secrets_differ() {
        let (one, other) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert!(!one.is_same(&other));
        assert_eq!(one.reveal().len(), "whsec_".len() + 44);
    }
}
