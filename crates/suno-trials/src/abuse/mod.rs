//! `cargo xtask abuse`: loads `suno listen` as strangers on the Internet could, beside a sender that
//! signs, and checks that the sender is answered in time, that its events are handled, and how much
//! memory the process takes.
//!
//! It does not search for new attacks. Each scenario is a known one, and all connections, requests and
//! bytes are bounded, so that it can run on a machine that others use. Strangers and sender share the
//! machine with the receiver: compare a figure with `quiet` of the same run, not with another run.

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

/// How long a scenario may last, in seconds.
const SECONDS_MAX: u64 = 60;
/// By how much the bound on time can be multiplied at most.
const SLACK_MAX: i64 = 20;

/// Load `suno listen` as strangers could, beside a sender that signs
///
/// Prints a table. Exit codes: 0 all bounds held; 1 a bound did not hold; 2 it could not be run.
#[derive(Debug, clap::Args)]
pub struct Abuse {
    /// How long each scenario lasts
    #[arg(
        long,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX),
        default_value_t = 5
    )]
    seconds: u64,
    /// Test a receiver that is broken, which must be caught: exit code 1
    #[arg(long = "break", value_name = "WHAT")]
    broken: Option<Defect>,
    /// By how much to multiply the bound on time, for machines that are slow or that others use
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
    /// Runs the scenarios one after the other, each against a process of its own, and reports. Returns
    /// true if all bounds held.
    ///
    /// # Errors
    ///
    /// If the receiver cannot be built or started, the strangers could send nothing, or a broken
    /// receiver does not hold the bounds without strangers either, so that the run would show nothing.
    pub fn run(&self, out: &mut dyn Write) -> Result<bool> {
        let duration = Duration::from_secs(self.seconds);
        let quiet = stage::run(Scenario::Quiet, self.broken, duration)?;
        let bounds = Bounds::after(&quiet).with_slack(self.slack);
        ensure!(
            self.broken.is_none() || bounds.judge(&quiet).is_empty(),
            "the broken receiver does not hold the bounds without strangers: {}",
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
