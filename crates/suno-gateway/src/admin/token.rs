//! The token of the service, and the session that a page gets for it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The bearer token of the service. It is never displayed.
#[derive(Clone)]
pub struct AdminToken {
    /// Hashed, so that the time of a comparison does not reveal how much of a guess was right.
    hash: [u8; 32],
    session: Box<str>,
}

/// An error: the token could be guessed, or cannot be sent in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a token must consist of {} to {} visible ASCII characters without spaces",
    AdminToken::CHARS_MIN,
    AdminToken::CHARS_MAX
)]
#[non_exhaustive]
pub struct InvalidAdminToken;

impl AdminToken {
    /// The minimum length of a token, in characters.
    pub const CHARS_MIN: usize = 16;
    /// The maximum length of a token, in characters.
    pub const CHARS_MAX: usize = 256;

    /// Creates a token.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidAdminToken`] unless the text consists of 16 to 256 visible ASCII characters.
    pub fn new(token: &str) -> Result<Self, InvalidAdminToken> {
        let is_long = (Self::CHARS_MIN..=Self::CHARS_MAX).contains(&token.len());
        if !is_long || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidAdminToken);
        }
        // HMAC takes keys of any length.
        let mac = Hmac::<Sha256>::new_from_slice(token.as_bytes());
        let mut mac = mac.map_err(|_| InvalidAdminToken)?;
        mac.update(b"suno admin session");
        let session = mac.finalize().into_bytes();
        Ok(Self {
            hash: Sha256::digest(token).into(),
            session: session.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// Whether `sent` is the token. Takes the same time for every text of one length.
    pub(super) fn is(&self, sent: &[u8]) -> bool {
        sent.len() <= Self::CHARS_MAX && is_same(&self.hash, &Sha256::digest(sent).into())
    }

    /// The value of the cookie that stands for the token. It is the same after a restart, so that a
    /// page stays signed in, and the token cannot be computed from it.
    pub(super) fn session(&self) -> &str {
        &self.session
    }

    /// Whether `sent` is the value of the cookie.
    pub(super) fn is_session(&self, sent: &[u8]) -> bool {
        let expected: [u8; 32] = Sha256::digest(&*self.session).into();
        sent.len() <= Self::CHARS_MAX && is_same(&expected, &Sha256::digest(sent).into())
    }
}

fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let bytes = one.iter().zip(other);
    bytes.fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_compared_as_a_whole_and_never_shown() {
        let token = AdminToken::new("correct-horse-battery").unwrap();
        assert!(token.is(b"correct-horse-battery"));
        for wrong in [
            "",
            "correct-horse-batter",
            "correct-horse-battery1",
            "Correct-horse-battery",
        ] {
            assert!(!token.is(wrong.as_bytes()), "{wrong}");
        }
        assert!(token.is_session(token.session().as_bytes()));
        assert!(!token.is_session(b"correct-horse-battery"));
        assert!(!format!("{token:?}").contains("correct"));
        for weak in [
            "short",
            "has a space in the middle",
            "ünï-cödé-is-no-token",
            &"x".repeat(257),
        ] {
            assert_eq!(AdminToken::new(weak).err(), Some(InvalidAdminToken));
        }
    }
}
