//! `suno emulate`: an emulator of the provider on this machine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use suno_callback::history::MemoryHistory;
use suno_callback::{Clock, MemoryStore, SystemClock, handler_fn};
use suno_emulator::{Activity, Config, Emulator, EmulatorError, Profile, Script};
use tokio::process::Command;

use crate::failure::Failure;
use crate::output;
use crate::receiving::{Page, Receiving};
use crate::shutdown::Shutdown;
use crate::span::Span;
use crate::{address, environment, log};

mod activity;

pub(crate) use activity::ActivityLine;

/// Emulate the provider without an account: tasks, signed callbacks, polling and media.
///
/// Prints the base URL and keys as shell variables, and serves until Ctrl-C. With a command after --,
/// runs it with these variables set, stops when it ends, and returns its exit code.
///
/// Writes a line to stderr for each submit and for each attempt to deliver a callback: the time in UTC,
/// the first characters of the task id, the stage, the destination, and either the HTTP status of the
/// response or the reason why there was none. A path that may contain a token is shown as /…, and a
/// query is never shown. If stderr is read too slowly, lines are dropped and counted.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  suno emulate --addr 127.0.0.1:4010 --speed 10x
  suno emulate --provider sunoapi --speed 60x -- python3 my_client.py
  suno emulate --speed 60x --scenario duplicate,reorder -- npm test
  suno emulate --driven-clock --seed 7   # then POST BASE_URL/_emulator/clock/advance

The words of --scenario are listed at BASE_URL/_emulator/words and in docs/EMULATOR.md.")]
pub(crate) struct Arguments {
    /// Address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = address::parse)]
    addr: SocketAddr,
    /// Allow an address that other machines can reach
    #[arg(long)]
    allow_public: bool,
    /// URL under which other machines reach the emulator, for the media URLs in its bodies
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Which provider to emulate
    #[arg(long, value_enum, default_value = "kie")]
    provider: Dialect,
    /// Environment variable with the API key; a new key is generated if omitted
    #[arg(long, value_name = "NAME")]
    api_key_env: Option<String>,
    /// Environment variable with the webhook key; a new key is generated if omitted
    #[arg(long, value_name = "NAME")]
    webhook_key_env: Option<String>,
    /// Do not sign callbacks, like an account without a webhook key
    #[arg(long, conflicts_with = "webhook_key_env")]
    no_webhook_key: bool,
    /// How many times faster than the provider tasks run
    #[arg(long, value_name = "FACTOR", default_value = "1")]
    speed: Speed,
    /// Freeze the clock, and advance it with POST /_emulator/clock/advance; it starts at this time in
    /// milliseconds since 1970, or now if omitted
    #[arg(long, value_name = "UNIX_MS", num_args = 0..=1, require_equals = true, conflicts_with = "speed")]
    driven_clock: Option<Option<u64>>,
    /// Random seed, for ids, times and random choices; differs with every start if omitted
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Default scenario for tasks that do not name one: words, separated by commas
    #[arg(long, value_name = "WORDS")]
    scenario: Option<String>,
    /// File with a script that tasks can name; may be repeated
    #[arg(long, value_name = "FILE")]
    script: Vec<PathBuf>,
    /// Pauses before the retries of a failed callback; there are as many retries as pauses
    #[arg(
        long,
        value_name = "TIMES",
        value_delimiter = ',',
        default_value = "5s,15s,45s"
    )]
    retry_pauses: Vec<Span>,
    /// Send the later stages of a task even after the last retry of a callback failed
    #[arg(long)]
    later_stages_after_failure: bool,
    /// Send callbacks also to hosts other than this machine; without this they are recorded, and count as
    /// answered with 200
    #[arg(long)]
    deliver_outside: bool,
    /// File with extra trusted CA certificates (PEM) for https:// callback URLs
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Accept any number of submits and polls
    #[arg(long)]
    no_rate_limits: bool,
    /// Send bodies as the provider documents them, instead of as they were observed
    #[arg(long)]
    documented: bool,
    /// Initial credits of the account
    #[arg(long, value_name = "CREDITS")]
    credits: Option<u64>,
    /// Write each line on stderr as a JSON object
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
    /// Do not write lines about submits and callbacks to stderr
    #[arg(long)]
    quiet: bool,
    /// Serve a page on this address that submits tasks and shows what a receiver makes of their callbacks
    #[arg(long, value_name = "ADDR", value_parser = address::parse, conflicts_with_all = ["no_webhook_key", "driven_clock"])]
    page: Option<SocketAddr>,
    /// Command to run against the emulator, and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Dialect {
    /// kie.ai: signs callbacks
    Kie,
    /// sunoapi.org: does not sign callbacks
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
            _ => Err("the speed must be a number above 0 and up to 1000, such as 10 or 10x"),
        }
    }
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let shutdown = Shutdown::listen(Shutdown::GRACE)?;
    let config = config(&arguments)?;
    let emulator = Emulator::start(config).await.map_err(not_started)?;
    let emulator = Arc::new(emulator);
    let shown = match arguments.page {
        Some(addr) => Some(show(&emulator, addr).await?),
        None => None,
    };
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
    if let Some((receiving, page)) = shown {
        page.stop().await;
        receiving.stop().await;
    }
    // The page may still hold the emulator for a moment: it ends with the process.
    if let Ok(emulator) = Arc::try_unwrap(emulator) {
        emulator.shutdown().await;
    }
    ended
}

/// Starts a receiver that keeps everything in memory, and a page that shows it.
async fn show(emulator: &Arc<Emulator>, addr: SocketAddr) -> Result<(Receiving, Page), Failure> {
    let store = Arc::new(MemoryStore::new());
    let history = Arc::new(MemoryHistory::new());
    let handler = handler_fn(async |_| Ok(()));
    let receiving = Receiving::start(emulator, store, history, handler).await?;
    let page = receiving.show(emulator, addr).await?;
    output::line(&format!("SUNO_PAGE={}", page.url)).map_err(Failure::failed)?;
    Ok((receiving, page))
}

fn config(arguments: &Arguments) -> Result<Config, Failure> {
    let pauses: Vec<Duration> = arguments.retry_pauses.iter().map(|span| span.0).collect();
    let mut config = Config::default()
        .with_addr(arguments.addr)
        .with_speed(arguments.speed.0)
        .with_retry_pauses(&pauses)
        .with_later_stages_after_failure(arguments.later_stages_after_failure)
        .with_deliver_outside(arguments.deliver_outside)
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

/// Adds the settings that are given as scenario words and as files.
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

/// Reports an emulator that did not start as a configuration error.
pub(crate) fn not_started(err: EmulatorError) -> Failure {
    let what = match err {
        EmulatorError::NotLoopback { .. } => "the emulator did not start without --allow-public",
        _ => "the emulator did not start",
    };
    Failure::usage(err).context(what)
}

/// The environment variables that a client needs.
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
        None => Err(Failure::failed(anyhow!("{program} was killed by a signal"))),
    }
}
