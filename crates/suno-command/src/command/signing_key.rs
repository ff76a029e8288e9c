//! `suno signing-key`: makes a key that signs what `suno listen --forward-to` sends.

use suno_gateway::signing::Secret;

use crate::failure::Failure;
use crate::output;

/// Make a key that signs what `suno listen --forward-to` sends.
///
/// It has the form of Standard Webhooks, "whsec_" and base64, and is printed on stdout. Keep it in an
/// environment variable: `suno listen` takes its name with --signing-key-env, and the consumer verifies
/// with the same key. To replace a key, name the new one first and the old one second, give the new one
/// to the consumer, and then leave out the old one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  export SHOP_KEY=$(suno signing-key)")]
pub(crate) struct Arguments {}

pub(crate) fn run() -> Result<(), Failure> {
    let secret = Secret::generate();
    let secret = secret.map_err(|err| Failure::failed(err).context("no random bytes"))?;
    output::line(&secret.reveal()).map_err(Failure::failed)
}
