//! The options that choose a part of a list.

use suno_callback::EventId;

use super::event_id;

/// Which part of a list is printed.
#[derive(Debug, clap::Args)]
pub(super) struct Paging {
    /// Maximum number of lines
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    limit: u32,
    /// Print everything that matches
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Continue after this number
    #[arg(long, value_name = "ID", value_parser = event_id)]
    pub(super) after: Option<EventId>,
    /// Exit with 3 if nothing matches
    #[arg(long)]
    pub(super) exit_code: bool,
}

impl Paging {
    /// Returns the maximum number of lines.
    pub(super) fn lines_max(&self) -> u64 {
        match self.all {
            true => u64::MAX,
            false => self.limit.into(),
        }
    }
}
