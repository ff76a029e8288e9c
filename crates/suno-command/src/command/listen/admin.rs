//! The admin service of `suno listen`: its options.

use std::net::SocketAddr;

use suno_callback::Pipeline;
use suno_client::Client;
use suno_gateway::admin::{AdminServer, AdminToken, InvalidAdmin};

use super::destinations::{Destination, Handler};
use crate::failure::Failure;
use crate::watching::Watching;
use crate::{address, environment};

const HEADING: &str = "Admin";

/// The options of the admin service.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// Serve a page for people, /livez, /readyz, /metrics and the API under /v1 on this address
    #[arg(long, value_name = "ADDR", help_heading = HEADING, value_parser = address::parse)]
    admin: Option<SocketAddr>,
    /// Environment variable with the token that the API asks for; needed for an address that is not loopback
    #[arg(long, value_name = "NAME", help_heading = HEADING, requires = "admin")]
    admin_token_env: Option<String>,
    /// Host name under which the admin address is also reached; localhost and addresses need not be named
    #[arg(long, value_name = "HOST", help_heading = HEADING, requires = "admin")]
    admin_host: Vec<String>,
    /// Answer /metrics without the token
    #[arg(long, help_heading = HEADING, requires = "admin_token_env")]
    admin_open_metrics: bool,
}

impl Arguments {
    /// Returns the environment variable with the token.
    pub(super) fn secret_variable(&self) -> Option<&str> {
        self.admin_token_env.as_deref()
    }

    /// Checks what can be checked without listening, and says what would be served.
    pub(super) fn plan(&self) -> Result<Option<String>, Failure> {
        let Some(addr) = self.admin else {
            return Ok(None);
        };
        if let Some(name) = &self.admin_token_env {
            token(name)?;
        } else if !addr.ip().to_canonical().is_loopback() {
            return Err(Failure::usage(InvalidAdmin::NoToken(addr)));
        }
        Ok(Some(format!(
            "serves a page, metrics and an API on http://{addr}"
        )))
    }

    /// Listens, if there is an address.
    pub(super) async fn bind(
        &self,
        watching: &Watching,
        pipeline: &Pipeline,
        destinations: &[Destination],
        media: impl FnOnce() -> Result<Client, Failure>,
        must_confirm: bool,
    ) -> Result<Option<AdminServer>, Failure> {
        watching.set_monitor(pipeline);
        let Some(addr) = self.admin else {
            return Ok(None);
        };
        let mut admin = watching.admin(media()?);
        if let Some(name) = &self.admin_token_env {
            admin = admin.with_token(token(name)?);
        }
        for host in &self.admin_host {
            admin = admin.with_host(host);
        }
        if self.admin_open_metrics {
            admin = admin.with_open_metrics();
        }
        if must_confirm {
            admin = admin.with_confirmation();
        }
        if let Some(submitter) = pipeline.submitter() {
            admin = admin.with_submitter(submitter.clone());
        }
        for one in destinations {
            admin = match &one.handler {
                Handler::Forward(handler) => admin.with_destination(handler.clone()),
                Handler::Exec(handler) => admin.with_destination(handler.clone()),
                // It has no breaker: each file is tried by itself.
                Handler::Download(_) => admin,
            };
        }
        let server = admin.bind(addr).await;
        server.map(Some).map_err(Failure::usage)
    }
}

fn token(name: &str) -> Result<AdminToken, Failure> {
    let token = environment::named_by("--admin-token-env", name)?;
    AdminToken::new(token.trim())
        .map_err(|err| Failure::usage(err).context("the variable named by --admin-token-env"))
}
