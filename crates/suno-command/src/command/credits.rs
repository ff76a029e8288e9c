//! `suno credits`: prints the remaining credits of the account.

use suno_types::Route;

use crate::failure::Failure;
use crate::line::Line;
use crate::{advice, output, provider};

/// Print how many credits are left in the account.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  export SUNO_API_KEY=…
  suno credits")]
pub(crate) struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    provider: provider::Arguments,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let client = arguments.provider.client(Route::Direct)?;
    let credits = client.credits().await.map_err(advice::failure)?.0;
    let told = if arguments.json {
        output::json(&Line::Credits { credits })
    } else {
        output::line(&format!("{credits} credits left"))
    };
    told.map_err(Failure::failed)
}
