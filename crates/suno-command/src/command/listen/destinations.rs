//! The destinations of events, as arguments name them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use suno_client::Client;
use suno_gateway::Observer;
use suno_gateway::body::BodyForm;
use suno_gateway::breaker::BreakerSettings;
use suno_gateway::destination::{Action, DestinationName, Policy};
use suno_gateway::download::DownloadHandler;
use suno_gateway::exec::{ExecCommand, ExecHandler};
use suno_gateway::forward::{ForwardHandler, ForwardHeader};
use suno_gateway::signing::{Secret, Signer};

use crate::environment;
use crate::failure::Failure;
use crate::span::Span;

const HEADING: &str = "Destinations";
/// The default time for which a failing event is retried: a consumer may be down over a weekend.
const RETRY_FOR: Duration = Duration::from_secs(3 * 86_400);

/// The number of requests that a destination gets at a time, unless an option says otherwise.
const FORWARDS_MAX: usize = 16;

/// The number of events whose files are downloaded at a time, unless an option says otherwise.
const DOWNLOADS_MAX: usize = 4;

/// The options about destinations.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// Send each event to this URL as a signed POST; repeat it for several, each with a NAME
    #[arg(long, value_name = "[NAME=]URL", help_heading = HEADING)]
    forward_to: Vec<String>,
    /// Environment variable with a secret that signs what is sent; repeat it during a rotation, the
    /// new one first; `suno signing-key` makes one
    #[arg(long, value_name = "NAME", help_heading = HEADING, requires = "forward_to")]
    signing_key_env: Vec<String>,
    /// Header for a consumer's own authentication, with the environment variable that holds its value
    #[arg(long, value_name = "[DEST:]NAME=ENV", help_heading = HEADING, requires = "forward_to")]
    forward_header: Vec<String>,
    /// Time limit for an answer [default: 20s]
    #[arg(long, value_name = "TIME", help_heading = HEADING, requires = "forward_to")]
    forward_timeout: Option<Span>,
    /// Run this command for each event, with the event as JSON on stdin; it is split into words as a
    /// shell does, but no shell runs it
    #[arg(long, value_name = "[NAME=]CMD", help_heading = HEADING)]
    exec: Vec<String>,
    /// Time limit for a command [default: 60s]
    #[arg(long, value_name = "TIME", help_heading = HEADING, requires = "exec")]
    exec_timeout: Option<Span>,
    /// Archive the files of finished tasks in this folder; a file that is missing is tried again for 14
    /// days, as long as the provider keeps it
    #[arg(long, value_name = "DIR", help_heading = HEADING)]
    download: Option<PathBuf>,
    /// Maximum number of events that a destination handles at a time [default: 16, and 4 for a command]
    #[arg(long, value_name = "COUNT", help_heading = HEADING,
          value_parser = clap::value_parser!(u16).range(1..=1_024))]
    concurrency: Option<u16>,
    /// Send only ids, stage and code; the consumer fetches the rest, such as from the API of --admin
    #[arg(long, help_heading = HEADING)]
    thin: bool,
    /// Time for which an event that fails is tried again, before it is a dead letter [default: 3d; for
    /// files 14d]
    #[arg(long, value_name = "TIME", help_heading = HEADING)]
    retry_for: Option<Span>,
    /// Time between the requests that a destination gets while it is down [default: 10s]
    #[arg(long, value_name = "TIME", help_heading = HEADING)]
    probe_interval: Option<Span>,
    /// Time between the requests that a destination gets while it is paused [default: 10m]
    #[arg(long, value_name = "TIME", help_heading = HEADING)]
    paused_interval: Option<Span>,
    /// What answers with these statuses mean: done, retry, bad_event (a few attempts, then a dead
    /// letter), abandon (a dead letter at once) or pause (the destination is left alone)
    #[arg(long, value_name = "STATUS,…=ACTION", help_heading = HEADING, requires = "forward_to")]
    on_status: Vec<StatusRule>,
    /// Attempts for an event that the destination calls bad [default: 3]
    #[arg(long, value_name = "COUNT", help_heading = HEADING,
          value_parser = clap::value_parser!(u32).range(1..))]
    bad_event_attempts: Option<u32>,
}

/// What some statuses mean.
#[derive(Debug, Clone)]
struct StatusRule {
    statuses: Vec<http::StatusCode>,
    action: Action,
}

impl std::str::FromStr for StatusRule {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "it must be written like 409,422=abandon, with statuses from 100 to 599 and one of \
             done, retry, bad_event, abandon and pause";
        let (statuses, action) = text.split_once('=').ok_or(FORM)?;
        let status = |text: &str| {
            let status: u16 = text.trim().parse().ok()?;
            let status = (100..600).contains(&status).then_some(status)?;
            http::StatusCode::from_u16(status).ok()
        };
        let statuses: Option<Vec<_>> = statuses.split(',').map(status).collect();
        Ok(Self {
            statuses: statuses.ok_or(FORM)?,
            action: Action::from_word(action.trim()).ok_or(FORM)?,
        })
    }
}

/// The handler of a destination.
#[derive(Debug, Clone)]
pub(super) enum Handler {
    Forward(Arc<ForwardHandler>),
    Exec(Arc<ExecHandler>),
    Download(Arc<DownloadHandler>),
}

/// A destination that can be started.
#[derive(Debug)]
pub(super) struct Destination {
    pub(super) name: DestinationName,
    /// What may be shown of the URL or the command.
    pub(super) target: String,
    pub(super) handler: Handler,
    pub(super) concurrency: usize,
    /// The time for which an event that fails is tried again.
    pub(super) retry_for: Duration,
}

impl Destination {
    /// Returns what is done with each event, for people.
    pub(super) fn sentence(&self) -> String {
        let (name, target) = (&self.name, &self.target);
        match self.handler {
            Handler::Forward(_) => format!("forwards each event to {name} at {target}"),
            Handler::Exec(_) => format!("runs {target} for each event, as {name}"),
            Handler::Download(_) => format!("archives finished files in {target}"),
        }
    }
}

impl Handler {
    /// Returns the kind as one word.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Forward(_) => "forward",
            Self::Exec(_) => "exec",
            Self::Download(_) => "download",
        }
    }

    /// Lets no event wait any more, before a stop.
    pub(super) fn close(&self) {
        match self {
            Self::Forward(handler) => handler.close(),
            Self::Exec(handler) => handler.close(),
            Self::Download(_) => {}
        }
    }
}

impl Arguments {
    /// Returns whether there is none, so that events are printed.
    pub(super) fn is_empty(&self) -> bool {
        self.forward_to.is_empty() && self.exec.is_empty() && self.download.is_none()
    }

    /// Builds the handlers, which report to `observer`. `client` is what downloads are made with, and
    /// `secrets` are further variables that no command inherits.
    pub(super) fn build(
        &self,
        observer: &Arc<dyn Observer>,
        secrets: &[String],
        client: impl FnOnce() -> Result<Client, Failure>,
    ) -> Result<Vec<Destination>, Failure> {
        let mut all = Vec::new();
        for text in &self.forward_to {
            all.push(self.forward(text, observer)?);
        }
        for text in &self.exec {
            all.push(self.command(text, secrets, observer)?);
        }
        if let Some(folder) = &self.download {
            all.push(self.archive(folder, client()?, observer)?);
        }
        let mut names = BTreeSet::new();
        for one in &all {
            if !names.insert(one.name.as_str()) {
                return Err(Failure::usage(anyhow!(
                    "two destinations have the name {}; give each a name of its own, as in \
                     --forward-to shop=https://shop.example/suno",
                    one.name
                )));
            }
        }
        self.check_headers(&names)?;
        Ok(all)
    }

    fn forward(&self, text: &str, observer: &Arc<dyn Observer>) -> Result<Destination, Failure> {
        // The URL may have a "=" in its query.
        let has_name = !text.starts_with("http://") && !text.starts_with("https://");
        let (name, url) = match text.split_once('=').filter(|_| has_name) {
            Some((name, url)) => (name, url),
            None => ("forward", text),
        };
        let name = destination_name("--forward-to", name)?;
        let mut builder = ForwardHandler::builder(name.clone(), url, self.signer()?)
            .map_err(|err| {
                Failure::usage(err).context("the URL given with --forward-to is not valid")
            })?
            .with_timeout(
                self.forward_timeout
                    .map_or(ForwardHandler::TIMEOUT, |it| it.0),
            )
            .with_body_form(self.form())
            .with_policy(self.policy())
            .with_observer(observer.clone());
        for header in self.headers_of(&name)? {
            builder = builder.with_header(header);
        }
        let concurrency = self.concurrency.map_or(FORWARDS_MAX, usize::from);
        let handler = builder.with_breaker(self.breaker(concurrency)).build();
        let handler = handler.map_err(|err| {
            Failure::usage(err).context(format!("the destination {name} cannot be used"))
        })?;
        Ok(Destination {
            target: shown_url(url),
            handler: Handler::Forward(Arc::new(handler)),
            concurrency,
            retry_for: self.retry_for(RETRY_FOR),
            name,
        })
    }

    fn command(
        &self,
        text: &str,
        secrets: &[String],
        observer: &Arc<dyn Observer>,
    ) -> Result<Destination, Failure> {
        // A command whose first word has a "=" needs a name.
        let (name, command) = match text.split_once('=') {
            Some((name, command)) if DestinationName::new(name).is_ok() => (name, command),
            _ => ("exec", text),
        };
        let name = destination_name("--exec", name)?;
        let mut words = shlex::split(command).unwrap_or_default().into_iter();
        let program = words.next().filter(|program| !program.is_empty());
        let program = program.ok_or_else(|| {
            Failure::usage(anyhow!(
                "the command given with --exec is empty, or a quote in it is not closed"
            ))
        })?;
        let target = program.clone();
        let mut command = words.fold(ExecCommand::new(program), ExecCommand::with_argument);
        for variable in self.secret_variables().chain(secrets.iter().cloned()) {
            command = command.without_variable(variable);
        }
        let concurrency = self
            .concurrency
            .map_or(ExecHandler::CONCURRENCY, usize::from);
        let handler = ExecHandler::builder(name.clone(), command)
            .with_timeout(self.exec_timeout.map_or(ExecHandler::TIMEOUT, |it| it.0))
            .with_body_form(self.form())
            .with_policy(self.policy())
            .with_breaker(self.breaker(concurrency))
            .with_observer(observer.clone())
            .build();
        Ok(Destination {
            name,
            target,
            handler: Handler::Exec(Arc::new(handler)),
            concurrency,
            retry_for: self.retry_for(RETRY_FOR),
        })
    }

    fn archive(
        &self,
        folder: &Path,
        client: Client,
        observer: &Arc<dyn Observer>,
    ) -> Result<Destination, Failure> {
        let name = destination_name("--download", "download")?;
        let handler = DownloadHandler::new(name.clone(), client, folder);
        Ok(Destination {
            name,
            target: folder.display().to_string(),
            handler: Handler::Download(Arc::new(handler.with_observer(observer.clone()))),
            concurrency: self.concurrency.map_or(DOWNLOADS_MAX, usize::from),
            retry_for: self.retry_for(DownloadHandler::RETRY_FOR),
        })
    }

    fn retry_for(&self, default: Duration) -> Duration {
        self.retry_for.map_or(default, |span| span.0)
    }

    fn signer(&self) -> Result<Signer, Failure> {
        let secret = |name: &String| {
            let text = environment::named_by("--signing-key-env", name)?;
            Secret::parse(text.trim()).map_err(|err| {
                Failure::usage(err).context(
                    "the variable named by --signing-key-env does not contain a signing key; \
                     `suno signing-key` makes one",
                )
            })
        };
        let secrets = self.signing_key_env.iter().map(secret);
        let secrets = secrets.collect::<Result<Vec<_>, _>>()?;
        if secrets.is_empty() {
            return Err(Failure::usage(anyhow!(
                "what --forward-to sends must be signed; make a key with `suno signing-key`, put it \
                 into an environment variable, and name that with --signing-key-env"
            )));
        }
        Signer::new(secrets)
            .map_err(|err| Failure::usage(err).context("the keys named by --signing-key-env"))
    }

    fn headers_of(&self, name: &DestinationName) -> Result<Vec<ForwardHeader>, Failure> {
        let texts = self.forward_header.iter().map(|text| header(text));
        let own = texts.filter(|(of, _)| of.is_none_or(|of| of == name.as_str()));
        let headers = own.map(|(_, text)| {
            ForwardHeader::from_env_text(text, |variable| std::env::var(variable).ok())
                .map_err(|err| Failure::usage(err).context("--forward-header"))
        });
        headers.collect()
    }

    fn check_headers(&self, names: &BTreeSet<&str>) -> Result<(), Failure> {
        for text in &self.forward_header {
            if let (Some(of), _) = header(text)
                && !names.contains(of)
            {
                return Err(Failure::usage(anyhow!(
                    "--forward-header names a destination that does not exist; there are {}",
                    names.iter().copied().collect::<Vec<_>>().join(", ")
                )));
            }
        }
        Ok(())
    }

    /// Returns the variables with secrets of this program, which no command needs.
    fn secret_variables(&self) -> impl Iterator<Item = String> {
        let headers = self.forward_header.iter();
        let headers = headers.filter_map(|text| Some(text.split_once('=')?.1.to_owned()));
        self.signing_key_env.iter().cloned().chain(headers)
    }

    fn form(&self) -> BodyForm {
        match self.thin {
            true => BodyForm::Thin,
            false => BodyForm::Full,
        }
    }

    fn breaker(&self, concurrency: usize) -> BreakerSettings {
        let mut breaker = BreakerSettings::new().with_in_flight_max(concurrency);
        if let Some(interval) = self.probe_interval {
            breaker = breaker.with_interval(interval.0);
        }
        match self.paused_interval {
            Some(interval) => breaker.with_paused_interval(interval.0),
            None => breaker,
        }
    }

    fn policy(&self) -> Policy {
        let mut policy = Policy::new();
        for rule in &self.on_status {
            for status in &rule.statuses {
                policy = policy.with_status(*status, rule.action);
            }
        }
        match self.bad_event_attempts {
            Some(attempts) => policy.with_bad_event_attempts(attempts),
            None => policy,
        }
    }
}

/// Splits `[DEST:]NAME=ENV` before the header. The name of a header has no ":".
fn header(text: &str) -> (Option<&str>, &str) {
    let name = text.split('=').next().unwrap_or_default();
    match name.split_once(':') {
        Some((of, _)) => (Some(of), &text[of.len() + 1..]),
        None => (None, text),
    }
}

fn destination_name(option: &str, name: &str) -> Result<DestinationName, Failure> {
    // The text may be a URL with a password in the wrong place, so it is not shown.
    DestinationName::new(name)
        .map_err(|err| Failure::usage(err).context(format!("the name before \"=\" in {option}")))
}

/// Returns the scheme and the host of a URL: the rest may contain a secret.
fn shown_url(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(url) => url.origin().ascii_serialization(),
        Err(_) => String::new(),
    }
}
