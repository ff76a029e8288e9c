//! What can be chosen.

/// Submit, receive, handle and ask against the emulator under faults drawn at random, and look for
/// songs that were lost, paid for twice, or a stranger's
///
/// Time is stepped: minutes pass in milliseconds. Exit codes: 0 all is well; 1 something is wrong; 2
/// it could not be run.
#[derive(Debug, Clone, clap::Args)]
pub struct EndToEnd {
    /// How many tasks are submitted
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    pub tasks: usize,
    /// Decides the faults
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// How many worlds share the tasks, each with a provider and a receiver of its own
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    pub worlds: usize,
    /// Leave something out, which must be caught: exit code 1
    #[arg(long, value_name = "WHAT")]
    pub broken: Option<Broken>,
}

/// What can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Broken {
    /// Callbacks are handled as they come, not as the provider's record confirms them.
    Unconfirmed,
    /// Nobody asks about tasks whose callbacks are lost.
    Unreconciled,
}
