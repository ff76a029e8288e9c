//! The webhook signature of kie.ai: sign and verify.
//!
//! The signature is base64 of HMAC-SHA256 over `TASK_ID + "." + TIMESTAMP` (`PROTOCOL.md 3.2`). It
//! **does not cover the body** (`PROTOCOL.md 3.4`): anyone who has seen one signed callback can
//! send any body for the same task while the timestamp is fresh. A signature authenticates a task
//! and a time, not the statements about the task.
//!
//! ```
//! use std::time::Duration;
//! use suno_types::TaskId;
//! use suno_types::signature::{SignatureHeaders, WebhookKey, verify};
//!
//! let key = WebhookKey::new("whk_demo_key");
//! let task_id = TaskId::new("5c79000000000000000000000000be8e")?;
//! let signature = key.sign(&task_id, 1_735_689_600);
//! let headers = SignatureHeaders::find([
//!     ("X-Webhook-Timestamp", b"1735689600".as_slice()),
//!     ("x-webhook-signature", signature.as_bytes()),
//! ])?;
//! let five_minutes = Duration::from_secs(300);
//! verify(&[key], task_id.as_str(), headers, 1_735_689_700, five_minutes)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod diagnosis;

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::TaskId;
pub use diagnosis::{Diagnosis, Evidence, Mistake, diagnose};

/// The header with the Unix time in seconds at which the callback was signed.
pub const TIMESTAMP_HEADER: &str = "x-webhook-timestamp";
/// The header with the signature.
pub const SIGNATURE_HEADER: &str = "x-webhook-signature";

/// The number of bytes of an HMAC-SHA256.
const MAC_BYTES: usize = 32;
/// The number of digits of the largest 64-bit number.
const DIGITS_MAX: usize = 20;

/// A key that signs callbacks. `Debug` does not show it.
#[derive(Clone)]
pub struct WebhookKey {
    /// The state after the key, which is computed once and not for each callback.
    state: Hmac<Sha256>,
    /// An empty key is public knowledge, so it never verifies.
    is_empty: bool,
}

impl WebhookKey {
    /// Creates a key from the text on the provider's settings page. Leading and trailing white
    /// space is removed, such as the line break of a file. An empty key never verifies.
    #[must_use]
    pub fn new(key: impl AsRef<[u8]>) -> Self {
        let key = key.as_ref().trim_ascii();
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let state = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
        Self {
            state,
            // HMAC pads keys with zeros, so a key of zeros is the same as the empty key.
            is_empty: key.iter().all(|byte| *byte == 0),
        }
    }

    /// Returns the signature that the provider would send.
    #[must_use]
    pub fn sign(&self, task_id: &TaskId, timestamp: u64) -> String {
        let mac = self.mac(task_id.as_str(), timestamp.to_string().as_bytes());
        BASE64_STANDARD.encode(mac.finalize().into_bytes())
    }

    fn mac(&self, task_id: &str, timestamp: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.state.clone();
        mac.update(task_id.as_bytes());
        mac.update(b".");
        mac.update(timestamp);
        mac
    }
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookKey(…)")
    }
}

/// The reason why a signature was rejected. It never contains the expected signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// A header is absent, or occurs twice with different values.
    #[error("a signature header is missing or ambiguous")]
    MissingHeader,
    /// The timestamp is not a whole number of seconds in plain digits.
    #[error("the timestamp is not a number of seconds")]
    BadTimestamp,
    /// The timestamp is too far from now. A wrong local clock has the same effect.
    #[error("the timestamp is outside the window")]
    OutsideWindow,
    /// No key produces this signature.
    #[error("the signature does not fit")]
    BadSignature,
}

/// The two headers of a signed callback, as they were sent.
#[derive(Debug, Clone, Copy)]
pub struct SignatureHeaders<'a> {
    timestamp: &'a [u8],
    signature: &'a [u8],
}

impl<'a> SignatureHeaders<'a> {
    /// Finds the two headers among all headers. The case of their names does not matter.
    ///
    /// # Errors
    ///
    /// [`SignatureError::MissingHeader`] if one is absent, or occurs twice with different values.
    pub fn find<'n>(
        headers: impl IntoIterator<Item = (&'n str, &'a [u8])>,
    ) -> Result<Self, SignatureError> {
        let (mut timestamp, mut signature) = (None, None);
        for (name, value) in headers {
            let slot = if name.eq_ignore_ascii_case(TIMESTAMP_HEADER) {
                &mut timestamp
            } else if name.eq_ignore_ascii_case(SIGNATURE_HEADER) {
                &mut signature
            } else {
                continue;
            };
            if slot.is_some_and(|other| other != value) {
                return Err(SignatureError::MissingHeader);
            }
            *slot = Some(value);
        }
        match (timestamp, signature) {
            (Some(timestamp), Some(signature)) => Ok(Self {
                timestamp,
                signature,
            }),
            _ => Err(SignatureError::MissingHeader),
        }
    }

    /// Checks everything that can be checked without a key and a task: that the timestamp is at
    /// most `window` before or after `now` (Unix seconds), and that the signature has its form.
    ///
    /// The window includes both ends (`PROTOCOL.md 7.26`).
    ///
    /// # Errors
    ///
    /// [`SignatureError::BadTimestamp`], [`OutsideWindow`](SignatureError::OutsideWindow), or
    /// [`BadSignature`](SignatureError::BadSignature) for text that no key can produce.
    pub fn parse(self, now: u64, window: Duration) -> Result<SentSignature, SignatureError> {
        let timestamp = SentTimestamp::parse(self.timestamp)?;
        if now.abs_diff(timestamp.seconds) > window.as_secs() {
            return Err(SignatureError::OutsideWindow);
        }
        let mut mac = [0; MAC_BYTES];
        match BASE64_STANDARD.decode_slice(self.signature, &mut mac) {
            Ok(MAC_BYTES) => Ok(SentSignature { timestamp, mac }),
            _ => Err(SignatureError::BadSignature),
        }
    }
}

/// A signature whose timestamp was inside the window when it was parsed. It is not verified yet:
/// see [`verify`](Self::verify).
#[derive(Clone, Copy)]
pub struct SentSignature {
    timestamp: SentTimestamp,
    mac: [u8; MAC_BYTES],
}

impl SentSignature {
    /// Verifies that one of `keys` signed a callback for `task_id`, and returns the place of that
    /// key. Signatures are compared in constant time (`PROTOCOL.md 7.27`).
    ///
    /// # Errors
    ///
    /// [`SignatureError::BadSignature`] if no key produces this signature.
    pub fn verify(&self, keys: &[WebhookKey], task_id: &str) -> Result<usize, SignatureError> {
        keys.iter()
            .position(|key| {
                let mac = key.mac(task_id, self.timestamp.digits());
                !key.is_empty && mac.verify_slice(&self.mac).is_ok()
            })
            .ok_or(SignatureError::BadSignature)
    }
}

impl fmt::Debug for SentSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentSignature")
            .field("timestamp", &self.timestamp.seconds)
            .finish_non_exhaustive()
    }
}

/// A timestamp with the digits that were sent, because the signature covers those.
#[derive(Clone, Copy)]
struct SentTimestamp {
    seconds: u64,
    digits: [u8; DIGITS_MAX],
    digits_count: u8,
}

impl SentTimestamp {
    /// Plain digits only: no sign, no space, no point, nothing that wraps.
    fn parse(sent: &[u8]) -> Result<Self, SignatureError> {
        let seconds = std::str::from_utf8(sent)
            .ok()
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse().ok());
        let mut digits = [0; DIGITS_MAX];
        match (
            seconds,
            digits.get_mut(..sent.len()),
            u8::try_from(sent.len()),
        ) {
            (Some(seconds), Some(copy), Ok(digits_count)) => {
                copy.copy_from_slice(sent);
                Ok(Self {
                    seconds,
                    digits,
                    digits_count,
                })
            }
            _ => Err(SignatureError::BadTimestamp),
        }
    }

    fn digits(&self) -> &[u8] {
        &self.digits[..usize::from(self.digits_count)]
    }
}

/// Verifies that one of `keys` signed a callback for `task_id` at most `window` before or after
/// `now` (Unix seconds), and returns the place of that key: [`SignatureHeaders::parse`] and
/// [`SentSignature::verify`] in one call.
///
/// # Errors
///
/// [`SignatureError`], whose kinds are those of [`SignatureHeaders::parse`] and
/// [`SentSignature::verify`].
pub fn verify(
    keys: &[WebhookKey],
    task_id: &str,
    headers: SignatureHeaders<'_>,
    now: u64,
    window: Duration,
) -> Result<usize, SignatureError> {
    headers.parse(now, window)?.verify(keys, task_id)
}
