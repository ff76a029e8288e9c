//! `suno emulate`: the provider on a desk.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use suno_callback::{Clock, SystemClock};
use suno_emulator::{Activity, Config, Emulator, EmulatorError, Profile, Script};
use tokio::process::Command;

use crate::failure::Failure;
use crate::output;
use crate::shutdown::Shutdown;
use crate::span::Span;
use crate::{address, environment, log};

mod activity;

use activity::ActivityLine;

/// Run an emulator of the provider: tasks, signed callbacks, polling and media, without an account.
///
/// Prints what a client needs as lines that a shell understands, and serves until Ctrl-C. With a
/// command after --, runs it with these variables set, stops when it ends, and ends with its exit
/// code.
///
/// Writes a line to stderr for each submit and for each attempt to deliver a callback: the time in UTC,
/// the first characters of the task id, the stage, the destination, and the HTTP status of the answer or
/// the reason why there was none. A path that may hold a token is shown as /…, and a query is never
/// shown. If stderr is read too slowly, lines are dropped and counted.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  suno emulate --addr 127.0.0.1:4010 --speed 10x
  suno emulate --speed 60x --scenario duplicate,reorder -- npm test
  suno emulate --driven-clock --seed 7   # then POST BASE_URL/_emulator/clock/advance

The words of --scenario are listed at BASE_URL/_emulator/words and in docs/EMULATOR.md.")]
pub(crate) struct Arguments {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = address::parse)]
    addr: SocketAddr,
    /// Allow an address that other machines can reach
    #[arg(long)]
    allow_public: bool,
    /// The URL under which others reach the emulator, for the media URLs in its bodies
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Whose dialect to speak
    #[arg(long, value_enum, default_value = "kie")]
    provider: Dialect,
    /// The environment variable with the API key; without it, a fresh one is made
    #[arg(long, value_name = "NAME")]
    api_key_env: Option<String>,
    /// The environment variable with the webhook key; without it, a fresh one is made
    #[arg(long, value_name = "NAME")]
    webhook_key_env: Option<String>,
    /// Sign no callbacks, as for an account without a webhook key
    #[arg(long, conflicts_with = "webhook_key_env")]
    no_webhook_key: bool,
    /// How many times faster than real a task's life is
    #[arg(long, value_name = "FACTOR", default_value = "1")]
    speed: Speed,
    /// Time stands still until POST /_emulator/clock/advance moves it; it begins now, or at this
    /// moment in milliseconds since 1970
    #[arg(long, value_name = "UNIX_MS", num_args = 0..=1, require_equals = true, conflicts_with = "speed")]
    driven_clock: Option<Option<u64>>,
    /// The number that ids, times and chance follow from; differs with every start if not given
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// What happens to tasks that choose nothing by themselves: words, separated by commas
    #[arg(long, value_name = "WORDS")]
    scenario: Option<String>,
    /// A file with a script that tasks can choose; give it several times for several
    #[arg(long, value_name = "FILE")]
    script: Vec<PathBuf>,
    /// The pauses before the retries of a failed callback; as many retries as pauses
    #[arg(
        long,
        value_name = "TIMES",
        value_delimiter = ',',
        default_value = "5s,15s,45s"
    )]
    retry_pauses: Vec<Span>,
    /// Send the later stages of a task although a callback failed for good
    #[arg(long)]
    later_stages_after_failure: bool,
    /// A file with certificates in PEM that https:// callback URLs may have besides the system's
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Take any number of submits and polls
    #[arg(long)]
    no_rate_limits: bool,
    /// Bodies as the provider's pages describe them, instead of as they were observed
    #[arg(long)]
    documented: bool,
    /// How many credits the account begins with
    #[arg(long, value_name = "CREDITS")]
    credits: Option<u64>,
    /// Write the lines on stderr as one JSON object each
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
    /// Write no lines about submits and callbacks to stderr
    #[arg(long)]
    quiet: bool,
    /// A command to run against the emulator, and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Dialect {
    /// kie.ai: signs callbacks
    Kie,
    /// sunoapi.org: signs nothing
    Sunoapi,
}

/// A factor above 0.
#[derive(Debug, Clone, Copy)]
struct Speed(f64);

impl std::str::FromStr for Speed {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim_end_matches('x').parse::<f64>() {
            Ok(factor) if factor > 0.0 && factor <= 1_000.0 => Ok(Self(factor)),
            _ => Err("a speed is a number above 0 and up to 1000, such as 10 or 10x"),
        }
    }
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let shutdown = Shutdown::listen(Shutdown::GRACE)?;
    let config = config(&arguments)?;
    let emulator = Emulator::start(config).await.map_err(not_started)?;
    let ended = match arguments.command.split_first() {
        Some((program, rest)) => run_command(program, rest, &emulator, shutdown).await,
        None => {
            for (name, value) in variables(&emulator) {
                output::line(&format!("{name}={value}")).map_err(Failure::failed)?;
            }
            shutdown.requested().await;
            Ok(())
        }
    };
    emulator.shutdown().await;
    ended
}

fn config(arguments: &Arguments) -> Result<Config, Failure> {
    let pauses: Vec<Duration> = arguments.retry_pauses.iter().map(|span| span.0).collect();
    let mut config = Config::default()
        .with_addr(arguments.addr)
        .with_speed(arguments.speed.0)
        .with_retry_pauses(&pauses)
        .with_later_stages_after_failure(arguments.later_stages_after_failure)
        .with_provider(match arguments.provider {
            Dialect::Kie => Profile::Kie,
            Dialect::Sunoapi => Profile::SunoApi,
        });
    if arguments.allow_public {
        config = config.with_public_binding_allowed();
    }
    if let Some(url) = &arguments.public_url {
        config = config.with_public_base_url(url);
    }
    if let Some(from_unix_ms) = arguments.driven_clock {
        config = config.with_driven_clock(from_unix_ms.unwrap_or_else(now_unix_ms));
    }
    if let Some(seed) = arguments.seed {
        config = config.with_seed(seed);
    }
    if arguments.no_rate_limits {
        config = config.without_rate_limits();
    }
    if arguments.documented {
        config = config.with_documented_bodies();
    }
    if let Some(credits) = arguments.credits {
        config = config.with_credits(credits);
    }
    if !arguments.quiet {
        config = config.with_observer(observer(arguments.json));
    }
    with_files(with_keys(config, arguments)?, arguments)
}

/// Writes a line for each activity, without waiting for the reader of stderr.
fn observer(json: bool) -> impl Fn(&Activity) + Send + Sync + 'static {
    move |activity| {
        let Some(line) = ActivityLine::new(activity) else {
            return;
        };
        match json {
            true => {
                if let Ok(line) = output::json_line(&line) {
                    log::line(&line);
                }
            }
            false => log::line(&line.sentence()),
        }
    }
}

fn with_keys(mut config: Config, arguments: &Arguments) -> Result<Config, Failure> {
    if let Some(name) = &arguments.api_key_env {
        config = config.with_api_key(environment::named_by("--api-key-env", name)?);
    }
    if let Some(name) = &arguments.webhook_key_env {
        config = config.with_webhook_key(environment::named_by("--webhook-key-env", name)?);
    }
    if arguments.no_webhook_key {
        config = config.without_webhook_key();
    }
    Ok(config)
}

/// What is said in words and in files.
fn with_files(mut config: Config, arguments: &Arguments) -> Result<Config, Failure> {
    if let Some(words) = &arguments.scenario {
        config = config.with_scenario(words);
    }
    for file in &arguments.script {
        config = config.with_script(script(file)?);
    }
    if let Some(file) = &arguments.trust {
        let pem = std::fs::read(file).map_err(|err| {
            Failure::usage(err).context(format!("cannot read the certificates {}", file.display()))
        })?;
        config = config.with_extra_roots_pem(pem);
    }
    Ok(config)
}

fn now_unix_ms() -> u64 {
    u64::try_from(SystemClock.now().as_millisecond()).unwrap_or_default()
}

fn script(file: &Path) -> Result<Script, Failure> {
    let text = std::fs::read_to_string(file).map_err(|err| {
        Failure::usage(err).context(format!("cannot read the script {}", file.display()))
    })?;
    Script::from_json(&text)
        .map_err(|err| Failure::usage(err).context(format!("in the script {}", file.display())))
}

/// An emulator that does not start is a matter of configuration.
pub(crate) fn not_started(err: EmulatorError) -> Failure {
    let what = match err {
        EmulatorError::NotLoopback { .. } => "the emulator did not start without --allow-public",
        _ => "the emulator did not start",
    };
    Failure::usage(err).context(what)
}

/// What a client needs.
fn variables(emulator: &Emulator) -> Vec<(&'static str, &str)> {
    let mut variables = vec![
        (environment::BASE_URL, emulator.base_url()),
        (environment::API_KEY, emulator.api_key()),
    ];
    variables.extend(
        emulator
            .webhook_key()
            .map(|key| (environment::WEBHOOK_KEY, key)),
    );
    variables
}

/// Runs a command with the variables set, until it ends or this process is asked to stop.
async fn run_command(
    program: &str,
    arguments: &[String],
    emulator: &Emulator,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let mut child = Command::new(program)
        .args(arguments)
        .envs(variables(emulator))
        .kill_on_drop(true)
        .spawn()
        .map_err(|err| Failure::usage(err).context(format!("cannot run {program}")))?;
    let status = tokio::select! {
        status = child.wait() => status.map_err(Failure::failed)?,
        _ = shutdown.requested() => return Ok(()),
    };
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Failure::of_command(
            code,
            anyhow!("{program} ended with exit code {code}"),
        )),
        None => Err(Failure::failed(anyhow!("{program} was ended by a signal"))),
    }
}
