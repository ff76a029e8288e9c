//! What may be asked for: a figure of nothing is none.

use clap::builder::RangedU64ValueParser;
use suno_callback::Receiver;

/// How many connections, tasks or waits there are at the same time at most.
pub(super) const AT_ONCE_MAX: u64 = 10_000;
/// How often something is run at most.
pub(super) const ROUNDS_MAX: u64 = 100;
/// How many minutes a measurement may take at most.
pub(super) const MINUTES_MAX: u64 = 600;
/// How many events a store is grown to at most.
pub(super) const EVENTS_MAX: u64 = 100_000_000;
/// How long a run lasts at most, in seconds.
const SECONDS_MAX: f64 = 600.0;
/// How big a body is at least: one track without lyrics is a little smaller.
const BODY_BYTES_MIN: u64 = 700;
/// How big a body is at most: the receiver takes no bigger one.
const BODY_BYTES_MAX: u64 = Receiver::BODY_BYTES_MAX as u64;

/// A whole number from 1 to `max`.
pub(super) fn count<T: TryFrom<u64>>(max: u64) -> RangedU64ValueParser<T> {
    RangedU64ValueParser::new().range(1..=max)
}

/// How big a body is, in bytes.
pub(super) fn body_bytes() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(BODY_BYTES_MIN..=BODY_BYTES_MAX)
}

/// How long something lasts, in seconds.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok();
    seconds
        .filter(|seconds| *seconds > 0.0 && *seconds <= SECONDS_MAX)
        .ok_or_else(|| format!("more than 0 and at most {SECONDS_MAX} seconds"))
}

/// A part of a whole.
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
