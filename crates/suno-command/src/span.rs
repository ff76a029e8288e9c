//! Parses durations as people write them.

use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

/// A duration above zero, such as `90s`, `15m` or `1h`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<SignedDuration>().map(Duration::try_from) {
            Ok(Ok(time)) if !time.is_zero() => Ok(Self(time)),
            _ => Err("a duration must be written like 90s, 15m or 1h"),
        }
    }
}
