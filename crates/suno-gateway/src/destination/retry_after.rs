//! Reads `Retry-After`: seconds, or a date.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

/// The reason why a `Retry-After` has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum IgnoredRetryAfter {
    /// It is neither a number of seconds nor a date.
    #[error("Retry-After is neither a whole number of seconds nor an HTTP date")]
    Malformed,
    /// The date is not in the future.
    #[error("Retry-After is a date in the past")]
    Past,
}

/// Returns how long the answer asks to wait; `None` if it does not ask.
///
/// A date is compared with the `Date` of the same answer, if it has one, so that a clock that is
/// off does not matter; else with `now`. A number that is too large becomes the longest time.
pub(super) fn read(
    headers: &HeaderMap,
    now: SystemTime,
) -> Result<Option<Duration>, IgnoredRetryAfter> {
    let Some(value) = headers.get(RETRY_AFTER) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| IgnoredRetryAfter::Malformed)?;
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX))));
    }
    let until = httpdate::parse_http_date(text).map_err(|_| IgnoredRetryAfter::Malformed)?;
    let now = date(headers).unwrap_or(now);
    match until.duration_since(now) {
        Ok(wait) if !wait.is_zero() => Ok(Some(wait)),
        _ => Err(IgnoredRetryAfter::Past),
    }
}

/// Returns the time at which the server says that it answered.
pub(crate) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> SystemTime {
        httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap()
    }

    fn read(value: &str, date: Option<&str>) -> Result<Option<u64>, IgnoredRetryAfter> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        super::read(&headers, now()).map(|wait| wait.map(|wait| wait.as_secs()))
    }

    #[test]
    fn seconds_and_dates_are_read_and_the_rest_is_ignored() {
        for (value, expected) in [
            ("2", Ok(Some(2))),
            ("0", Ok(Some(0))),
            (" 120 ", Ok(Some(120))),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Ok(Some(60))),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Ok(Some(60))),
            ("Sun Nov  6 08:50:37 1994", Ok(Some(60))),
            ("999999999999999999999", Ok(Some(u64::MAX))),
            (
                "Sun, 06 Nov 1994 08:49:37 GMT",
                Err(IgnoredRetryAfter::Past),
            ),
            (
                "Sat, 05 Nov 1994 08:50:37 GMT",
                Err(IgnoredRetryAfter::Past),
            ),
            ("-1", Err(IgnoredRetryAfter::Malformed)),
            ("+1", Err(IgnoredRetryAfter::Malformed)),
            ("1.5", Err(IgnoredRetryAfter::Malformed)),
            ("soon", Err(IgnoredRetryAfter::Malformed)),
            ("", Err(IgnoredRetryAfter::Malformed)),
        ] {
            assert_eq!(read(value, None), expected, "{value}");
        }
        assert_eq!(super::read(&HeaderMap::new(), now()), Ok(None));
    }

    #[test]
    fn a_date_is_compared_with_the_clock_of_the_server() {
        let until = "Sun, 06 Nov 1994 08:50:37 GMT";
        let ahead = "Sun, 06 Nov 1994 08:50:27 GMT";
        assert_eq!(read(until, Some(ahead)), Ok(Some(10)));
        assert_eq!(read(until, Some("no date")), Ok(Some(60)));
    }
}
