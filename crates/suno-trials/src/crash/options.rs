//! What can be chosen, and what is fixed.

use std::fmt;
use std::time::Duration;

/// How many events are sent in a round at most.
pub(super) const EVENTS_PER_ROUND_MAX: u64 = 400;

/// Kill `suno listen` again and again under load, and look for what it lost
///
/// Exit codes: 0 nothing was lost; 1 something was lost; 2 it could not be run.
#[derive(Debug, Clone, clap::Args)]
#[non_exhaustive]
pub struct Crash {
    /// How often to kill it
    #[arg(long, value_name = "COUNT", default_value_t = 25)]
    pub(super) rounds: u32,
    /// How many connections send at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 16)]
    pub(super) connections: usize,
    /// Decides when to kill; the same seed sends the same and kills at the same moments
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(super) seed: u64,
    /// Test a receiver that is broken, which must be caught (exit code 1): it answers before the
    /// commit or, with --in-transaction, settles in a second transaction
    #[arg(long)]
    broken: bool,
    /// Test a receiver whose handler ends the process now and then
    #[arg(long, conflicts_with_all = ["broken", "in_transaction"])]
    handler_kills: bool,
    /// Test a receiver whose handler writes a row and settles the event in one transaction: each
    /// event must have exactly one row
    #[arg(long)]
    in_transaction: bool,
}

impl Crash {
    /// How the receiver differs from `suno listen`, which is the one without a variant.
    pub(super) fn variant(&self) -> Option<Variant> {
        match (self.in_transaction, self.broken) {
            (true, false) => Some(Variant::InTransaction),
            (true, true) => Some(Variant::TwoTransactions),
            (false, true) => Some(Variant::AnswersEarly),
            (false, false) => self.handler_kills.then_some(Variant::HandlerKills),
        }
    }
}

/// How a receiver differs from `suno listen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Variant {
    /// It answers 200 before the commit, which must be caught.
    AnswersEarly,
    /// Its handler ends the process now and then; nothing may be lost.
    HandlerKills,
    /// Its handler writes a row and settles the event in one transaction: one row for each event.
    InTransaction,
    /// Its handler writes a row and settles the event in a second transaction, which must be caught.
    TwoTransactions,
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AnswersEarly => "answers-early",
            Self::HandlerKills => "handler-kills",
            Self::InTransaction => "in-transaction",
            Self::TwoTransactions => "two-transactions",
        })
    }
}

/// How a round ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kill {
    /// At a moment, whatever is under way.
    After(Duration),
    /// When so many events were handled, while the next ones are: as a handler that kills the
    /// process does.
    AtHandled(usize),
}

impl Variant {
    /// True if the handler writes a row for each event.
    pub(super) fn writes_songs(self) -> bool {
        matches!(self, Self::InTransaction | Self::TwoTransactions)
    }
}
