//! `suno emulate`: the provider on a desk.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use suno_emulator::{Config, Emulator, EmulatorError, Profile, Script};
use tokio::process::Command;

use crate::environment;
use crate::failure::Failure;
use crate::output;
use crate::shutdown::Shutdown;

/// Run an emulator of the provider: tasks, signed callbacks, polling and media, without an account.
///
/// Prints what a client needs as lines that a shell understands, and serves until Ctrl-C. With a
/// command behind --, runs it with these variables set, stops when it ends, and ends with its exit
/// code.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  suno emulate --addr 127.0.0.1:4010 --speed 10x
  suno emulate --speed 60x --scenario duplicate,reorder -- npm test

The words of --scenario are listed at BASE_URL/_emulator/words and in docs/EMULATOR.md.")]
pub(crate) struct Arguments {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    addr: SocketAddr,
    /// Allow an address that other machines can reach
    #[arg(long)]
    allow_public: bool,
    /// Whose dialect to speak
    #[arg(long, value_enum, default_value = "kie")]
    provider: Dialect,
    /// The environment variable with the webhook key; without it, a fresh one is made
    #[arg(long, value_name = "NAME")]
    webhook_key_env: Option<String>,
    /// How many times faster than real a task's life is
    #[arg(long, value_name = "FACTOR", default_value = "1")]
    speed: Speed,
    /// The number that ids, times and chance follow from; differs with every start if not given
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// What happens to tasks that choose nothing by themselves: words, separated by commas
    #[arg(long, value_name = "WORDS")]
    scenario: Option<String>,
    /// A file with a script that tasks can choose; give it several times for several
    #[arg(long, value_name = "FILE")]
    script: Vec<PathBuf>,
    /// Bodies as the provider's pages describe them, instead of as they were observed
    #[arg(long)]
    documented: bool,
    /// How many credits the account begins with
    #[arg(long, value_name = "CREDITS")]
    credits: Option<u64>,
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
    let shutdown = Shutdown::listen()?;
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
    let mut config = Config::default()
        .with_addr(arguments.addr)
        .with_speed(arguments.speed.0)
        .with_provider(match arguments.provider {
            Dialect::Kie => Profile::Kie,
            Dialect::Sunoapi => Profile::SunoApi,
        });
    if arguments.allow_public {
        config = config.with_public_binding_allowed();
    }
    if let Some(name) = &arguments.webhook_key_env {
        config = config.with_webhook_key(environment::required(name)?);
    }
    if let Some(seed) = arguments.seed {
        config = config.with_seed(seed);
    }
    if let Some(words) = &arguments.scenario {
        config = config.with_scenario(words);
    }
    for file in &arguments.script {
        config = config.with_script(script(file)?);
    }
    if arguments.documented {
        config = config.with_documented_bodies();
    }
    if let Some(credits) = arguments.credits {
        config = config.with_credits(credits);
    }
    Ok(config)
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
    Failure::usage(err).context("the emulator did not start")
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
        () = shutdown.requested() => return Ok(()),
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
