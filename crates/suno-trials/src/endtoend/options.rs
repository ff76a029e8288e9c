//! The options.

/// Submit, receive, handle and poll against the emulator with random faults, and check for songs
/// that were lost, paid for twice, or forged
///
/// Time advances in steps: minutes pass in milliseconds. Exit codes: 0 no problem was found; 1 a
/// problem was found; 2 the test could not be run.
#[derive(Debug, Clone, clap::Args)]
pub struct EndToEnd {
    /// Number of tasks to submit
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    pub tasks: usize,
    /// Seed for the faults
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Number of worlds that share the tasks, each with its own provider and receiver
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    pub worlds: usize,
    /// Disable one protection, which must be detected: exit code 1
    #[arg(long, value_name = "WHAT")]
    pub broken: Option<Broken>,
}

/// The protection to disable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Broken {
    /// Callbacks are handled as they arrive, without confirmation by the provider's record.
    Unconfirmed,
    /// The provider is not asked about tasks whose callbacks are lost.
    Unreconciled,
}
