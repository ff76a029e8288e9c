//! Verifies a signed message, and says why it is refused.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::Mac;
use http::{HeaderMap, HeaderName};

use super::{ID_HEADER, SCHEME, SIGNATURE_HEADER, Secret, TIMESTAMP_HEADER};

/// The largest difference between a timestamp and the time of the consumer, in either direction, that
/// the published packages accept.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// The number of bytes of an HMAC-SHA256.
const MAC_BYTES: usize = 32;

/// The reason why a message was refused. It never contains what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A header is absent, occurs twice, or is not text.
    #[error("the header {0} is missing, occurs twice, or is not text")]
    Header(HeaderName),
    /// The timestamp is not a whole number of seconds.
    #[error("webhook-timestamp is not a whole number of seconds")]
    BadTimestamp,
    /// The header has no signature of the version `v1`.
    #[error("webhook-signature has no signature of the form `v1,BASE64`")]
    NoSignature,
    /// No secret produces one of the signatures.
    #[error(
        "no signature fits: the secret is another one, or the id, the timestamp or the body was changed"
    )]
    BadSignature,
    /// The signature fits, but the timestamp is this long before the tolerance.
    #[error("the signature fits, but the timestamp is {0:?} older than the tolerance allows")]
    TooOld(Duration),
    /// The signature fits, but the timestamp is this long after the tolerance.
    #[error(
        "the signature fits, but the timestamp is {0:?} further ahead than the tolerance allows"
    )]
    TooNew(Duration),
}

/// Verifies that one of `secrets` signed this message at most `tolerance` before or after `now`
/// (Unix seconds), and returns the place of that secret.
///
/// The signature is checked before the timestamp, so that the error of a right signature at a wrong
/// time says so. Signatures are compared in constant time.
///
/// # Errors
///
/// [`VerifyError`] says what does not fit.
pub fn verify(
    secrets: &[Secret],
    headers: &HeaderMap,
    body: &[u8],
    now: u64,
    tolerance: Duration,
) -> Result<usize, VerifyError> {
    let id = single(headers, ID_HEADER)?;
    let digits = single(headers, TIMESTAMP_HEADER)?;
    let signature = single(headers, SIGNATURE_HEADER)?;
    let timestamp = seconds(digits)?;
    let sent: Vec<[u8; MAC_BYTES]> = signature.split(' ').filter_map(code).collect();
    if sent.is_empty() {
        return Err(VerifyError::NoSignature);
    }
    let fits = |secret: &Secret| {
        let mac = secret.mac(id.as_bytes(), digits.as_bytes(), body);
        sent.iter()
            .any(|code| mac.clone().verify_slice(code).is_ok())
    };
    let place = secrets.iter().position(fits);
    let place = place.ok_or(VerifyError::BadSignature)?;
    let difference = now.abs_diff(timestamp).checked_sub(tolerance.as_secs());
    match difference.filter(|seconds| *seconds > 0) {
        None => Ok(place),
        Some(by) if timestamp < now => Err(VerifyError::TooOld(Duration::from_secs(by))),
        Some(by) => Err(VerifyError::TooNew(Duration::from_secs(by))),
    }
}

/// The value of a header that must occur once.
fn single(headers: &HeaderMap, name: HeaderName) -> Result<&str, VerifyError> {
    let mut values = headers.get_all(&name).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    };
    value.ok_or(VerifyError::Header(name))
}

/// Plain digits only: no sign, no space, no point.
fn seconds(digits: &str) -> Result<u64, VerifyError> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = digits.parse().ok().filter(|_| is_plain);
    parsed.ok_or(VerifyError::BadTimestamp)
}

/// The code in a token of the version `v1`.
fn code(token: &str) -> Option<[u8; MAC_BYTES]> {
    let mut code = [0; MAC_BYTES];
    let base64 = token.strip_prefix(SCHEME)?;
    match BASE64_STANDARD.decode_slice(base64, &mut code) {
        Ok(MAC_BYTES) => Some(code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// The example of the published packages' own tests.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const TIME: u64 = 1_614_265_330;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn headers(signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            ID_HEADER,
            HeaderValue::from_static("msg_p5jXN8AQM9LWM0D4loKWxJek"),
        );
        headers.insert(TIMESTAMP_HEADER, HeaderValue::from(TIME));
        headers.insert(SIGNATURE_HEADER, signature.parse().unwrap());
        headers
    }

    fn check(headers: &HeaderMap, now: u64) -> Result<usize, VerifyError> {
        let other = Secret::from_bytes([1; 24]).unwrap();
        let secrets = [other, Secret::parse(SECRET).unwrap()];
        verify(&secrets, headers, BODY, now, TOLERANCE)
    }

    #[test]
    fn the_published_example_is_accepted_alone_and_among_others() {
        for signature in [
            SIGNATURE.to_owned(),
            format!("v1a,abc {SIGNATURE} v1,"),
            format!("v1,!!  v2 {SIGNATURE}"),
        ] {
            assert_eq!(check(&headers(&signature), TIME), Ok(1), "{signature}");
        }
    }

    #[test]
    fn a_message_that_was_changed_anywhere_is_refused() {
        let mut wrong = headers(SIGNATURE);
        wrong.insert(ID_HEADER, HeaderValue::from_static("msg_other"));
        assert_eq!(check(&wrong, TIME), Err(VerifyError::BadSignature));
        let mut wrong = headers(SIGNATURE);
        wrong.insert(TIMESTAMP_HEADER, HeaderValue::from(TIME + 1));
        assert_eq!(check(&wrong, TIME), Err(VerifyError::BadSignature));
        let secrets = [Secret::parse(SECRET).unwrap()];
        let changed = verify(&secrets, &headers(SIGNATURE), b"{}", TIME, TOLERANCE);
        assert_eq!(changed, Err(VerifyError::BadSignature));
    }

    #[test]
    fn the_tolerance_includes_both_ends_and_the_error_says_which_side_is_wrong() {
        let headers = headers(SIGNATURE);
        for now in [TIME - 300, TIME, TIME + 300] {
            assert_eq!(check(&headers, now), Ok(1));
        }
        let second = Duration::from_secs(1);
        assert_eq!(
            check(&headers, TIME + 301),
            Err(VerifyError::TooOld(second))
        );
        assert_eq!(
            check(&headers, TIME - 301),
            Err(VerifyError::TooNew(second))
        );
        let far = check(&headers, u64::MAX);
        assert!(matches!(far, Err(VerifyError::TooOld(_))), "{far:?}");
    }

    #[test]
    fn headers_that_are_missing_doubled_or_malformed_are_named() {
        for name in [ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER] {
            let mut without = headers(SIGNATURE);
            without.remove(&name);
            assert_eq!(
                check(&without, TIME),
                Err(VerifyError::Header(name.clone()))
            );
            let mut doubled = headers(SIGNATURE);
            doubled.append(&name, doubled[&name].clone());
            assert_eq!(check(&doubled, TIME), Err(VerifyError::Header(name)));
        }
        for time in ["", "-1", "+1", "1.5", "1e3", " 1", "99999999999999999999"] {
            let mut wrong = headers(SIGNATURE);
            wrong.insert(TIMESTAMP_HEADER, time.parse().unwrap());
            assert_eq!(
                check(&wrong, TIME),
                Err(VerifyError::BadTimestamp),
                "{time}"
            );
        }
        for none in ["", "v1", "v1a,abc", &SIGNATURE[3..], &SIGNATURE[..46]] {
            let found = check(&headers(none), TIME);
            assert_eq!(found, Err(VerifyError::NoSignature), "{none}");
        }
    }
}
