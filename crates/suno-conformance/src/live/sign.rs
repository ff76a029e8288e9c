//! Signs as the provider does (`PROTOCOL.md 3.2`), independently of the crates under test.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Returns the value of `X-Webhook-Signature`.
pub(crate) fn signature(key: &str, task_id: &str, timestamp: u64) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key of any length");
    mac.update(format!("{task_id}.{timestamp}").as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_of_the_protocol_is_signed_alike() {
        let signature = signature("ключ-ü", "5c79000000000000000000000000be8e", 1_735_689_600);
        assert_eq!(signature, "kRPvw70nacqZOWH/48EZUAD6AicWE5EMfqsLG8LvjiA=");
    }
}
