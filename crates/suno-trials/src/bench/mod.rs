//! `cargo xtask bench`: benchmarks the receiver against a raw server and the usual alternatives.
//!
//! Every subject runs in its own process and is loaded from another one, each pinned to a core if
//! `taskset` is installed. Subjects take turns over several rounds, so that other load on the
//! machine affects all of them: compare the ratios, not the figures.

mod bound;
mod client;
mod connection;
mod goals;
mod growth;
mod load;
mod machine;
mod measured;
mod memory;
mod options;
mod receive;
mod report;
mod send;
mod shared;
mod statistics;
mod subject;

use std::io::Write;

use anyhow::Result;

pub use self::client::Asking;
pub(crate) use self::client::{ask, provide};
pub use self::growth::Growing;
pub(crate) use self::growth::delivery;
pub(crate) use self::growth::grow;
pub use self::load::Load;
pub(crate) use self::send::send;
pub(crate) use self::shared::measure as measure_shared;
pub use self::shared::{Run, Shared};
pub use self::subject::Subject;
pub(crate) use self::subject::serve;

use self::machine::Program;

/// Benchmark the receiver against a raw server and the usual alternatives
///
/// Prints Markdown; progress goes to stderr. Figures vary from run to run: compare the ratios
/// within one run. A subject that cannot run is listed with the reason.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Bench {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    receive: options::Options,
}

#[derive(Debug, clap::Subcommand)]
enum Other {
    Growth(growth::Options),
    Memory(memory::Options),
    Client(client::Options),
    Shared(shared::Options),
    Snapshot(shared::snapshot::Options),
}

impl Bench {
    /// Builds, measures and reports. Returns true if every subject that can run on this machine
    /// succeeded.
    ///
    /// # Errors
    ///
    /// Returns an error if the release build fails, or if nothing could be measured.
    pub fn run(&self, out: &mut dyn Write) -> Result<bool> {
        let program = Program::build()?;
        match &self.other {
            None => receive::run(&program, &self.receive, out),
            Some(Other::Growth(options)) => growth::run(&program, options, out).map(|()| true),
            Some(Other::Memory(options)) => memory::run(&program, options, out).map(|()| true),
            Some(Other::Client(options)) => client::run(&program, options, out).map(|()| true),
            Some(Other::Shared(options)) => shared::run(&program, options, out).map(|()| true),
            Some(Other::Snapshot(options)) => {
                shared::snapshot::run(&program, options, out).map(|()| true)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Args;

    use super::*;

    #[test]
    fn a_command_that_would_measure_nothing_is_refused() {
        let is_taken = |words: &str| {
            Bench::augment_args(clap::Command::new("bench"))
                .try_get_matches_from(["bench"].into_iter().chain(words.split(' ')))
                .is_ok()
        };
        for (option, good, bad) in [
            ("--connections", "64", "0"),
            ("--connections", "1,8", "1,0"),
            ("--connections", "10000", "10001"),
            ("--body-bytes", "700,1048576", "699"),
            ("--body-bytes", "1700", "4194305"),
            ("--seconds", "0.5", "0"),
            ("--rounds", "1", "0"),
            ("--duplicates", "100", "101"),
            ("--paced", "0", "1.1"),
            ("growth --events", "1000", "0"),
            ("growth --waiting", "1000", "0"),
            ("growth --ready", "1,1000", "1,0"),
            ("growth --body-bytes", "700", "699"),
            ("growth --minutes-max", "1", "0"),
            ("growth --turn-over", "1", "0"),
            ("growth --rounds", "1", "0"),
            ("memory --connections", "1", "0"),
            ("memory --events", "1", "0"),
            ("client --tasks", "1", "0"),
            ("client --seconds", "1", "0"),
            ("client --rounds", "1", "0"),
            ("client --waits", "1", "0"),
            ("client --interval", "1", "0"),
        ] {
            assert!(is_taken(&format!("{option} {good}")), "{option} {good}");
            assert!(!is_taken(&format!("{option} {bad}")), "{option} {bad}");
        }
    }
}
