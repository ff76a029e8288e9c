//! The options of the benchmark.

use std::fmt;

use super::bound;
use super::load::BODY_BYTES;
use super::subject::Subject;

/// The options of the benchmark.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Options {
    /// Subjects to measure; all if omitted
    #[arg(long, value_enum, value_delimiter = ',')]
    subjects: Vec<Subject>,
    /// Number of connections that send at the same time; several are measured one after the
    /// other
    #[arg(
        long,
        value_name = "COUNT",
        value_delimiter = ',',
        value_parser = bound::count::<usize>(bound::AT_ONCE_MAX),
        default_value = "64"
    )]
    connections: Vec<usize>,
    /// Size of bodies, in bytes; several are measured one after the other
    #[arg(
        long,
        value_name = "BYTES",
        value_delimiter = ',',
        value_parser = bound::body_bytes(),
        default_values_t = [BODY_BYTES]
    )]
    body_bytes: Vec<usize>,
    /// Duration of each run
    #[arg(long, value_parser = bound::seconds, default_value_t = 5.0)]
    pub(super) seconds: f64,
    /// Number of runs of each subject
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = bound::count::<usize>(bound::ROUNDS_MAX),
        default_value_t = 3
    )]
    pub(super) rounds: usize,
    /// Percentage of deliveries that are duplicates
    #[arg(
        long,
        value_name = "PERCENT",
        value_parser = clap::value_parser!(u8).range(..=100),
        default_value_t = 0
    )]
    pub(super) duplicates: u8,
    /// After each run, send this fraction of the answered load by a fixed schedule, for
    /// latency without coordinated omission; 0 disables it
    #[arg(long, value_name = "PART", value_parser = bound::part, default_value_t = 0.5)]
    pub(super) paced: f64,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

impl Options {
    pub(super) fn subjects(&self) -> Vec<Subject> {
        match self.subjects.is_empty() {
            true => Subject::all(),
            false => self.subjects.clone(),
        }
    }

    /// Returns the cases that are measured in one round.
    pub(super) fn cases(&self) -> Vec<BenchCase> {
        let mut cases = Vec::new();
        for &connections in &self.connections {
            for &body_bytes in &self.body_bytes {
                cases.extend(self.subjects().into_iter().map(|subject| BenchCase {
                    subject,
                    connections,
                    body_bytes,
                }));
            }
        }
        cases
    }
}

/// A subject with its load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BenchCase {
    pub(super) subject: Subject,
    pub(super) connections: usize,
    pub(super) body_bytes: usize,
}

impl fmt::Display for BenchCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            subject,
            connections,
            body_bytes,
        } = self;
        write!(f, "{subject:<15} {connections:>3} × {body_bytes:>5} B")
    }
}
