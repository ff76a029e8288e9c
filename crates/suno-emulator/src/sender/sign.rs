//! The signature of a callback, as the provider makes it (`PROTOCOL.md 3.2`).
//!
//! Written without a look at the verifying side, so that a mistake there shows.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The header with the Unix time in seconds at which an attempt was signed.
pub(crate) const TIMESTAMP_HEADER: &str = "x-webhook-timestamp";
/// The header with the signature.
pub(crate) const SIGNATURE_HEADER: &str = "x-webhook-signature";

/// The value of `X-Webhook-Signature` for a task and the text of `X-Webhook-Timestamp`.
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
