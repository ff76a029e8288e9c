//! Tokens in the callback URL, which prove that the sender was told the URL.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// An unguessable part of the callback URL; see [`TokenPlace`] for its place. It is never
/// displayed.
#[derive(Clone)]
pub struct Token {
    /// Hashed, so that the time of a comparison does not reveal how much of a guess was right.
    hash: [u8; 32],
}

/// An error: the token could be guessed, or contains characters that are not allowed in a URL path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a token must consist of {} to {} letters, digits, '-' or '_'",
    Token::CHARS_MIN,
    Token::CHARS_MAX
)]
#[non_exhaustive]
pub struct InvalidToken;

impl Token {
    /// The minimum length of a token, in characters: 16 characters of base64 are 96 bits.
    pub const CHARS_MIN: usize = 16;
    /// The maximum length of a token, in characters.
    pub const CHARS_MAX: usize = 256;

    /// Creates a token, if it is long enough and fits into a URL as it is.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidToken`] unless the text consists of 16 to 256 letters, digits, `-` or `_`.
    pub fn new(token: &str) -> Result<Self, InvalidToken> {
        if !(Self::CHARS_MIN..=Self::CHARS_MAX).contains(&token.len())
            || !token.bytes().all(is_token_byte)
        {
            return Err(InvalidToken);
        }
        Ok(Self {
            hash: Sha256::digest(token).into(),
        })
    }

    /// Returns the words of a text that could be a token: they consist of the characters that are
    /// allowed in one, and are long enough.
    pub(crate) fn words(text: &[u8]) -> impl Iterator<Item = &str> {
        let words = text.split(|byte| !is_token_byte(*byte));
        let words = words.filter(|word| word.len() >= Self::CHARS_MIN);
        words.filter_map(|word| std::str::from_utf8(word).ok())
    }

    /// Whether one of `tokens` was sent. Every token is compared, so that the time says nothing
    /// about which of them it was.
    pub(crate) fn is_among(tokens: &[Self], sent: &str) -> bool {
        if sent.len() > Self::CHARS_MAX {
            return false;
        }
        let hash: [u8; 32] = Sha256::digest(sent).into();
        let is = |token: &Self| {
            let bytes = token.hash.iter().zip(hash);
            bytes.fold(0, |all, (a, b)| all | (a ^ b)) == 0
        };
        tokens.iter().fold(false, |found, token| found | is(token))
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The place of the token in the callback URL.
///
/// ```
/// use suno_callback::TokenPlace;
///
/// let place: TokenPlace = "query:secret".parse()?;
/// assert_eq!(place, TokenPlace::query("secret")?);
/// assert_eq!("path".parse(), Ok(TokenPlace::Path));
/// # Ok::<(), suno_callback::InvalidTokenPlace>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TokenPlace {
    /// The path segment after the receiver's path.
    #[default]
    Path,
    /// The query parameter with this name.
    Query(Box<str>),
}

/// An error: the text does not name a place for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the place of a token must be path, or query: and the name of a parameter of 1 to {} letters, \
     digits, '-', '_' or '.'",
    TokenPlace::NAME_CHARS_MAX
)]
#[non_exhaustive]
pub struct InvalidTokenPlace;

impl TokenPlace {
    /// The maximum length of a parameter's name, in characters.
    pub const NAME_CHARS_MAX: usize = 64;

    /// The query parameter with this name.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidTokenPlace`] unless the name consists of 1 to 64 letters, digits, `-`, `_`
    /// or `.`, which URLs contain as they are.
    pub fn query(name: &str) -> Result<Self, InvalidTokenPlace> {
        let fits = |byte: u8| is_token_byte(byte) || byte == b'.';
        if !(1..=Self::NAME_CHARS_MAX).contains(&name.len()) || !name.bytes().all(fits) {
            return Err(InvalidTokenPlace);
        }
        Ok(Self::Query(name.into()))
    }
}

/// `path`, or `query:` and the name of the parameter.
impl FromStr for TokenPlace {
    type Err = InvalidTokenPlace;

    fn from_str(text: &str) -> Result<Self, InvalidTokenPlace> {
        match text.strip_prefix("query:") {
            Some(name) => Self::query(name),
            None if text == "path" => Ok(Self::Path),
            None => Err(InvalidTokenPlace),
        }
    }
}

/// The maximum length of a path in a log line, in characters.
const PATH_CHARS_MAX: usize = 128;

/// A path as a log line may show it: without segments that are so long that they could be or contain a
/// token or the id of a submit, and without the end of a long path.
pub(crate) fn shown_path(path: &str) -> String {
    let segments = path
        .split('/')
        .map(|segment| match segment.len() < Token::CHARS_MIN {
            true => segment,
            false => "…",
        });
    let shown = segments.collect::<Vec<_>>().join("/");
    match shown.char_indices().nth(PATH_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_several_tokens_is_recognized_and_nothing_else_is() {
        let tokens =
            ["a-token-of-16-ch", "another_token_of_more"].map(|text| Token::new(text).unwrap());
        let is = |sent: &str| Token::is_among(&tokens, sent);
        assert!(is("a-token-of-16-ch") && is("another_token_of_more"));
        let long = "x".repeat(Token::CHARS_MAX + 1);
        for wrong in ["", "a-token-of-16-c", "a-token-of-16-ch/", &long] {
            assert!(!is(wrong), "{wrong}");
        }
        assert!(!Token::is_among(&[], "a-token-of-16-ch"));
    }

    #[test]
    fn a_place_is_the_path_or_a_parameter_that_needs_no_escapes() {
        for wrong in [
            "",
            "query",
            "query:",
            "query:a b",
            "query:a%20",
            "Path",
            "header:x",
        ] {
            assert_eq!(
                wrong.parse::<TokenPlace>(),
                Err(InvalidTokenPlace),
                "{wrong}"
            );
        }
        let long = format!("query:{}", "n".repeat(TokenPlace::NAME_CHARS_MAX + 1));
        assert!(long.parse::<TokenPlace>().is_err());
    }

    #[test]
    fn a_path_is_shown_without_what_could_be_a_token_and_with_a_bound() {
        for (path, expected) in [
            ("/webhook/suno", "/webhook/suno"),
            ("/suno/callback/q7Zr0x4b9c2d8e1f/a", "/suno/callback/…/a"),
            ("/q7Zr0x4b9c2d8e1f6a5b3c7d", "/…"),
            ("/short-segment", "/short-segment"),
            ("/a/q7Zr0x4b9c2d8e1f.", "/a/…"),
            ("/a/q7Zr0x%2D4b9c2d8e1f", "/a/…"),
        ] {
            assert_eq!(shown_path(path), expected);
        }
        let long = shown_path(&"/ab".repeat(1_000));
        assert_eq!(long.chars().count(), PATH_CHARS_MAX + 1);
        assert!(long.ends_with('…'));
    }
}
