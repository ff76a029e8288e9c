//! Limits for options: a figure of zero runs measures nothing.

use clap::builder::RangedU64ValueParser;
use suno_callback::Receiver;

/// The maximum number of connections, tasks or waits at the same time.
pub(super) const AT_ONCE_MAX: u64 = 10_000;
/// The maximum number of runs.
pub(super) const ROUNDS_MAX: u64 = 100;
/// The maximum duration of a measurement, in minutes.
pub(super) const MINUTES_MAX: u64 = 600;
/// The maximum number of events that a store is filled with.
pub(super) const EVENTS_MAX: u64 = 100_000_000;
/// The maximum duration of a run, in seconds.
const SECONDS_MAX: f64 = 600.0;
/// The minimum size of a body: one track without lyrics is a little smaller.
const BODY_BYTES_MIN: u64 = 700;
/// The maximum size of a body: the receiver accepts no larger one.
const BODY_BYTES_MAX: u64 = Receiver::BODY_BYTES_MAX as u64;

/// Parses a whole number from 1 to `max`.
pub(super) fn count<T: TryFrom<u64>>(max: u64) -> RangedU64ValueParser<T> {
    RangedU64ValueParser::new().range(1..=max)
}

/// Parses the size of a body, in bytes.
pub(super) fn body_bytes() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(BODY_BYTES_MIN..=BODY_BYTES_MAX)
}

/// Parses a duration, in seconds.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok();
    seconds
        .filter(|seconds| *seconds > 0.0 && *seconds <= SECONDS_MAX)
        .ok_or_else(|| format!("more than 0 and at most {SECONDS_MAX} seconds"))
}

/// Parses a fraction.
pub(super) fn part(text: &str) -> Result<f64, String> {
    let part = text.parse().ok();
    part.filter(|part| (0.0..=1.0).contains(part))
        .ok_or_else(|| "a number from 0 to 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use suno_testkit::callback::body;

    #[test]
    fn what_would_measure_nothing_is_refused() {
        for bad in ["0", "-1", "601", "nan", "inf", "", "x"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        assert_eq!(seconds("0.5"), Ok(0.5));
        for bad in ["-0.1", "1.1", "nan", "x"] {
            assert!(part(bad).is_err(), "{bad}");
        }
        assert_eq!(part("0"), Ok(0.0));
        assert_eq!(part("1"), Ok(1.0));
    }

    #[test]
    fn the_smallest_body_is_as_small_as_it_is_said_to_be() {
        let bytes = usize::try_from(BODY_BYTES_MIN).unwrap();
        let body = body(&"T".repeat(32), bytes);
        assert_eq!(body.len(), bytes);
    }
}
