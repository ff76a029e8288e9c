//! Parses durations as people write them.

use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

/// A duration above zero, such as `90s`, `15m`, `1h` or `3d`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Days are not part of what is parsed, because some have 23 or 25 hours. Here all have 24.
        let days = text.strip_suffix('d').and_then(|days| days.parse().ok());
        let time = match days {
            Some(days) => u64::checked_mul(days, 86_400).map(Duration::from_secs),
            None => text
                .parse::<SignedDuration>()
                .ok()
                .and_then(|time| time.try_into().ok()),
        };
        time.filter(|time| !time.is_zero())
            .map(Self)
            .ok_or("a duration is a number above zero with a unit, such as 90s, 15m, 1h or 3d")
    }
}
