//! The check of the settings.

use std::collections::BTreeSet;

use super::{Config, WebhookKeyChoice};
use crate::error::EmulatorError;
use crate::provider::SCRIPTS_MAX;
use crate::scenario::script::Script;

const SPEED_MIN: f64 = 0.001;
const SPEED_MAX: f64 = 1_000_000.0;
const RETRIES_MAX: usize = 32;
const AT_ONCE_MAX: usize = 1_000_000;

impl Config {
    /// Returns an error for the first invalid setting.
    pub(crate) fn check(&self) -> Result<(), EmulatorError> {
        let wrong = |name, rule| Err(EmulatorError::Setting { name, rule });
        if !self.is_public_binding_allowed && !self.addr.ip().is_loopback() {
            return Err(EmulatorError::NotLoopback { addr: self.addr });
        }
        if !(self.speed.is_finite() && self.speed >= SPEED_MIN && self.speed <= SPEED_MAX) {
            return wrong("speed", "must be a number from 0.001 to 1000000");
        }
        if !self.timing.is_in_order() {
            return wrong("stage times", "must be in the order text, first, complete");
        }
        if self.retry.pauses_ms.len() > RETRIES_MAX {
            return wrong("retry pauses", "must be at most 32");
        }
        if self
            .api_key
            .as_ref()
            .is_some_and(|key| !key.is_header_value())
        {
            return wrong("API key", "must be visible ASCII characters, at least one");
        }
        if matches!(&self.webhook_key, WebhookKeyChoice::Given(key) if key.reveal().is_empty()) {
            return wrong(
                "webhook key",
                "must not be empty: start without one instead",
            );
        }
        if self
            .public_base_url
            .as_deref()
            .is_some_and(|url| !is_web_url(url))
        {
            return wrong(
                "public base URL",
                "must begin with http:// or https:// and a host",
            );
        }
        if self.scripts.len() > SCRIPTS_MAX {
            return wrong("scripts", "must be at most 256");
        }
        let names: BTreeSet<&str> = self.scripts.iter().map(Script::name).collect();
        if names.len() < self.scripts.len() {
            return wrong("scripts", "must have names that differ");
        }
        let at_once = [self.connections_max, self.deliveries_at_once_max];
        if at_once.iter().any(|max| !(1..=AT_ONCE_MAX).contains(max)) {
            return wrong(
                "connections and deliveries at once",
                "must be from 1 to 1000000",
            );
        }
        if self.tasks_kept_max == 0 || self.attempts_kept_max == 0 {
            return wrong("tasks kept and attempts kept", "must be at least 1");
        }
        Ok(())
    }
}

fn is_web_url(url: &str) -> bool {
    url::Url::parse(url)
        .is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host())
}
