//! The options shared by the commands that run the cases.

use std::path::PathBuf;

use crate::{ConformanceError, Events, Fixtures, Format, Options, Pattern, Target};

/// Options of a command that runs the cases.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Arguments {
    /// Run only cases whose id matches, such as 'receiver/*' or '*duplicate*'
    #[arg(long, value_name = "GLOB")]
    filter: Option<Pattern>,
    /// List the ids of the cases without running them
    #[arg(long)]
    list: bool,
    /// Format of the report
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// JSON object of ids and reasons: cases that are expected to fail
    #[arg(long, value_name = "FILE")]
    expectations: Option<PathBuf>,
    /// Read the cases from this folder
    #[arg(long, value_name = "FOLDER")]
    fixtures: Option<PathBuf>,
    /// Send the cases of receiver/ to the receiver at this callback URL (without its token), as the
    /// provider would
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// Environment variable with a webhook key of the target; repeat it for a second key
    #[arg(long, value_name = "NAME", requires = "target")]
    webhook_key_env: Vec<String>,
    /// Environment variable with the token of the target
    #[arg(long, value_name = "NAME", requires = "target")]
    token_env: Option<String>,
    /// URL or file in which the target lists its handled events, as JSON lines like those of 'suno
    /// listen --json'
    #[arg(long, value_name = "URL|FILE", requires = "target")]
    events: Option<Events>,
    /// Maximum size of a body that the target accepts, in bytes
    #[arg(long, value_name = "BYTES", requires = "target")]
    body_bytes_max: Option<usize>,
}

impl Arguments {
    /// Converts the arguments to options, with the cases of `fixtures` unless a folder was given.
    /// `variable` reads a secret from an environment variable; its arguments are the name of the
    /// option and that of the variable.
    ///
    /// # Errors
    ///
    /// Returns the error of `variable`, or an error if the URL of the target is invalid.
    pub fn options<E: From<ConformanceError>>(
        &self,
        fixtures: Fixtures,
        variable: impl Fn(&str, &str) -> Result<String, E>,
    ) -> Result<Options, E> {
        let fixtures = self.fixtures.clone().map_or(fixtures, Fixtures::Folder);
        let mut options = Options::new(fixtures);
        options.filter = self.filter.clone();
        options.list = self.list;
        options.format = self.format;
        options.target = self.target(variable)?;
        options.expectations = self.expectations.clone();
        Ok(options)
    }

    fn target<E: From<ConformanceError>>(
        &self,
        variable: impl Fn(&str, &str) -> Result<String, E>,
    ) -> Result<Option<Target>, E> {
        let Some(url) = &self.target else {
            return Ok(None);
        };
        let mut target = Target::new(url)?;
        for name in &self.webhook_key_env {
            target = target.with_webhook_key(variable("--webhook-key-env", name)?);
        }
        if let Some(name) = &self.token_env {
            target = target.with_token(variable("--token-env", name)?);
        }
        if let Some(events) = &self.events {
            target = target.with_events(events.clone());
        }
        if let Some(bytes_max) = self.body_bytes_max {
            target = target.with_body_bytes_max(bytes_max);
        }
        Ok(Some(target))
    }
}
