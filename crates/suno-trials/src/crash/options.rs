//! The options and the fixed settings.

use std::fmt;
use std::time::Duration;

/// The maximum number of events that are sent in a round.
pub(super) const EVENTS_PER_ROUND_MAX: u64 = 400;

/// Kill `suno listen` repeatedly under load, and check that no event is lost
///
/// With --store, two receivers share a store in PostgreSQL, and either is killed. Their handler reports
/// if another one works for the same event; `suno listen` handles what is left in the end.
///
/// Exit codes: 0 no event was lost; 1 an event was lost; 2 the test could not be run.
#[derive(Debug, Clone, clap::Args)]
#[non_exhaustive]
pub struct Crash {
    /// Number of kills
    #[arg(long, value_name = "COUNT", default_value_t = 25)]
    pub(super) rounds: u32,
    /// Number of connections that send at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 16)]
    pub(super) connections: usize,
    /// Seed for the times of the kills; the same seed sends the same callbacks and kills at the same times
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(super) seed: u64,
    /// Test a receiver with a known defect, which must be detected (exit code 1): it responds
    /// before the commit or, with --in-transaction, settles in a second transaction
    #[arg(long)]
    broken: bool,
    /// Test a receiver whose handler exits the process at random
    #[arg(long, conflicts_with_all = ["broken", "in_transaction"])]
    handler_kills: bool,
    /// Test a receiver whose handler writes a row and settles the event in one transaction: each
    /// event must have exactly one row
    #[arg(long)]
    in_transaction: bool,
    /// URL of a PostgreSQL server with the store of two receivers; one or the other is killed. They use
    /// a schema of their own, which is dropped at the end
    #[arg(long, value_name = "URL", conflicts_with = "in_transaction")]
    pub(super) store: Option<String>,
    /// Test receivers with a known defect, which must be detected (exit code 1): the store ends their
    /// leases while their handlers run
    #[arg(long, requires = "store", conflicts_with_all = ["broken", "handler_kills"])]
    short_leases: bool,
}

impl Crash {
    /// How the receiver differs from `suno listen`; `suno listen` itself has no variant.
    pub(super) fn variant(&self) -> Option<Variant> {
        match (self.in_transaction, self.broken) {
            (true, false) => Some(Variant::InTransaction),
            (true, true) => Some(Variant::TwoTransactions),
            (false, true) => Some(Variant::AnswersEarly),
            (false, false) if self.handler_kills => Some(Variant::HandlerKills),
            (false, false) if self.short_leases => Some(Variant::ShortLeases),
            (false, false) => self.store.as_ref().map(|_| Variant::Watched),
        }
    }
}

/// The way in which a receiver differs from `suno listen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Variant {
    /// It responds with 200 before the commit, which must be detected.
    AnswersEarly,
    /// Its handler exits the process at random; no event may be lost.
    HandlerKills,
    /// Its handler reports whether another handler works for the same event.
    Watched,
    /// Its handler reports the same, and its leases end while the handler runs, which must be
    /// detected.
    ShortLeases,
    /// Its handler writes a row and settles the event in one transaction: one row for each event.
    InTransaction,
    /// Its handler writes a row and settles the event in a second transaction, which must be
    /// detected.
    TwoTransactions,
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AnswersEarly => "answers-early",
            Self::HandlerKills => "handler-kills",
            Self::Watched => "watched",
            Self::ShortLeases => "short-leases",
            Self::InTransaction => "in-transaction",
            Self::TwoTransactions => "two-transactions",
        })
    }
}

/// The way in which a round ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kill {
    /// At a given time, whatever is in progress.
    After(Duration),
    /// After this many events were handled, while the next ones are being handled, as if a handler
    /// kills the process.
    AtHandled(usize),
}

impl Variant {
    /// Whether the handler reports other handlers of the same event.
    pub(super) fn watches(self) -> bool {
        matches!(self, Self::Watched | Self::ShortLeases)
    }

    /// Whether the handler writes a row for each event.
    pub(super) fn writes_songs(self) -> bool {
        matches!(self, Self::InTransaction | Self::TwoTransactions)
    }
}
