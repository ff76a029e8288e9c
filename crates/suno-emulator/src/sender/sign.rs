//! The signature of a callback, as the provider makes it (`PROTOCOL.md 3.2`).
//!
//! It shares no code with the verification in other crates, so that a mistake there is found.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The header with the time of signing, in seconds since 1970.
pub(crate) const TIMESTAMP_HEADER: &str = "x-webhook-timestamp";
/// The header with the signature.
pub(crate) const SIGNATURE_HEADER: &str = "x-webhook-signature";

/// Returns the value of `X-Webhook-Signature` for a task and the text of `X-Webhook-Timestamp`.
#[must_use]
pub fn signature(webhook_key: &str, task_id: &str, timestamp: &str) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(webhook_key.as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(task_id.as_bytes());
    mac.update(b".");
    mac.update(timestamp.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}
