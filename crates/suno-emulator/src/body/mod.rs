//! The bodies that the provider sends, built member by member.
//!
//! It shares no code with the parsers in other crates, so that a mistake in one shows as a difference between the two.

use serde_json::Value;

use crate::profile::Profile;
use crate::task::facts::Facts;

pub(crate) mod callback;
pub(crate) mod envelope;
pub(crate) mod product;
pub(crate) mod record;
pub(crate) mod track;

/// The style of bodies.
#[derive(Clone, Debug)]
pub(crate) struct BodyStyle {
    /// Whether bodies follow the provider's pages instead of observed bodies.
    pub(crate) is_documented: bool,
    /// The base URL of media, without a trailing slash.
    pub(crate) media_base: String,
    pub(crate) profile: Profile,
}

impl BodyStyle {
    /// Returns the URL of a file of a task.
    fn media_url(&self, facts: &Facts, file: &str) -> String {
        format!("{}/media/{}/{file}", self.media_base, facts.task_id)
    }

    /// Renders a time as in `createTime`: milliseconds as observed, or text as in the samples on
    /// the provider's pages (`PROTOCOL.md 2.16`, `2.17`).
    pub(crate) fn time(&self, unix_ms: u64) -> Value {
        if self.is_documented {
            Value::from(date_time(unix_ms))
        } else {
            Value::from(unix_ms)
        }
    }
}

/// Formats a time like `2025-01-01 00:00:00`, in UTC. The pages do not name a time zone.
pub(crate) fn date_time(unix_ms: u64) -> String {
    let seconds = unix_ms / 1000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// Returns the date of a day counted from 1970-01-01. Years begin in March, so that the leap day is
/// the last day of a year.
fn civil(day_number: u64) -> (u64, u64, u64) {
    let shifted = day_number + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::date_time;

    #[test]
    fn a_moment_is_written_as_the_pages_write_it() {
        assert_eq!(date_time(0), "1970-01-01 00:00:00");
        assert_eq!(date_time(1_735_689_600_000), "2025-01-01 00:00:00");
        assert_eq!(date_time(1_709_251_199_999), "2024-02-29 23:59:59");
        assert_eq!(date_time(1_709_251_200_000), "2024-03-01 00:00:00");
    }
}
