//! `cargo xtask abuse`: loads `suno listen` as strangers on the Internet could, while a legitimate
//! sender sends signed callbacks. Checks that the sender is answered in time and that its events
//! are handled, and measures the memory of the process.
//!
//! It does not search for new attacks. Each scenario is a known one, and all connections, requests
//! and bytes are limited, so that it can run on a machine that is also used by others. Strangers
//! and sender share the machine with the receiver: compare a figure with `quiet` of the same run,
//! not with another run.

mod disk;
mod pace;
mod receiver;
mod report;
mod scenario;
mod signed;
mod stage;
mod strangers;
mod subject;
mod verdict;

use std::io::Write;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::ValueEnum;

pub use self::receiver::Defect;
pub(crate) use self::receiver::receive;
use self::scenario::Scenario;
use self::verdict::Bounds;

/// The maximum duration of a scenario, in seconds.
const SECONDS_MAX: u64 = 60;
/// The maximum factor for the time limit.
const SLACK_MAX: i64 = 20;

/// Load `suno listen` as strangers could, while signed callbacks arrive
///
/// Prints a table. Exit codes: 0 all limits were kept; 1 a limit was exceeded; 2 the test could not
/// be run.
#[derive(Debug, clap::Args)]
pub struct Abuse {
    /// Duration of each scenario
    #[arg(
        long,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX),
        default_value_t = 5
    )]
    seconds: u64,
    /// Test a receiver with a known defect, which must be detected: exit code 1
    #[arg(long = "break", value_name = "WHAT")]
    broken: Option<Defect>,
    /// Factor for the time limit, for machines that are slow or shared
    #[arg(
        long,
        value_name = "TIMES",
        value_parser = clap::value_parser!(u32).range(1..=SLACK_MAX),
        default_value_t = 1
    )]
    slack: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Abuse {
    /// Runs the scenarios one after the other, each against its own process, and reports. Returns
    /// true if all limits were kept.
    ///
    /// # Errors
    ///
    /// Returns an error if the receiver cannot be built or started, if the strangers could send
    /// nothing, or if a defective receiver exceeds the limits even without strangers, so that the
    /// run would show nothing.
    pub fn run(&self, out: &mut dyn Write) -> Result<bool> {
        let duration = Duration::from_secs(self.seconds);
        let quiet = stage::run(Scenario::Quiet, self.broken, duration)?;
        let bounds = Bounds::after(&quiet).with_slack(self.slack);
        ensure!(
            self.broken.is_none() || bounds.judge(&quiet).is_empty(),
            "the defective receiver exceeds the limits even without strangers: {}",
            bounds.judge(&quiet).join("; ")
        );
        let mut all = vec![quiet];
        for scenario in self.scenarios() {
            all.push(stage::run(scenario, self.broken, duration)?);
        }
        report::write(&bounds, &all, self.json, out)?;
        Ok(all.iter().all(|figures| bounds.judge(figures).is_empty()))
    }

    /// The scenarios after the reference.
    fn scenarios(&self) -> Vec<Scenario> {
        match self.broken {
            Some(defect) => vec![defect.caught_by()],
            None => Scenario::value_variants()
                .iter()
                .copied()
                .filter(|scenario| *scenario != Scenario::Quiet)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Args;

    use super::*;

    fn parsed(words: &str) -> Result<clap::ArgMatches, clap::Error> {
        Abuse::augment_args(clap::Command::new("abuse"))
            .try_get_matches_from(["abuse"].into_iter().chain(words.split_whitespace()))
    }

    #[test]
    fn a_run_of_no_length_or_without_an_end_is_refused_with_exit_code_2() {
        for good in ["", "--seconds 1", "--seconds 60", "--json"] {
            assert!(parsed(good).is_ok(), "{good}");
        }
        for bad in ["0", "61", "-1", "2.5", "x", ""] {
            let err = parsed(&format!("--seconds={bad}")).unwrap_err();
            assert_eq!(err.exit_code(), 2, "{bad}");
        }
    }

    #[test]
    fn only_what_can_be_broken_is_taken() {
        for good in ["header-checks", "log-thread"] {
            assert!(parsed(&format!("--break {good}")).is_ok(), "{good}");
        }
        assert_eq!(parsed("--break x").unwrap_err().exit_code(), 2);
    }
}
