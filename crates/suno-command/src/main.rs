//! The command `suno`: arguments, environment, signals and the terminal. The work itself is done by
//! the libraries.

mod acknowledging;
mod address;
mod advice;
mod command;
mod config;
mod environment;
mod failure;
mod line;
mod log;
mod notify;
mod otel;
mod output;
mod playground;
mod printer;
mod progress;
mod provider;
mod receiving;
mod shutdown;
mod song;
mod span;
mod store;
mod tls;
mod watching;

use std::borrow::Cow;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::anyhow;
use clap::{CommandFactory, Parser, Subcommand};

use crate::command::{
    check_config, completions, conformance, credits, demo, doctor, emulate, health, inbox, listen,
    man, signing_key, submit, trigger, verify, wait,
};
use crate::config::{Problem, Setting};
use crate::failure::Failure;
use crate::log::LogFormat;

/// Generate music with the Suno API, and receive its callbacks safely.
///
/// Exit codes: 0 success; 1 the task or the job failed, something is missing, or a stop took too long;
/// 2 wrong usage or configuration; 3 a submit was refused or could not be sent, and nothing was paid; 4 it is
/// unknown whether a submit created a task, which may have been paid for; 74 the reader of `suno listen` has
/// closed stdout; 128 plus the number of a second signal that ended the process at once.
///
/// Secrets are never arguments: options take the names of environment variables. If the variable NAME is not
/// set, the file that NAME_FILE names is read.
///
/// Logs go to stderr; set RUST_LOG to change how much is logged, such as RUST_LOG=debug, and --log-format
/// to get them as JSON.
#[derive(Debug, Parser)]
#[command(
    name = "suno",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "\
Example:
  suno demo                            # the whole job on this machine, without an account"
)]
struct Arguments {
    /// Format of the log lines on stderr; by default that in SUNO_LOG_FORMAT, or text
    #[arg(
        long,
        value_enum,
        global = true,
        value_name = "FORMAT",
        help_heading = "Logs"
    )]
    log_format: Option<LogFormat>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Emulate(emulate::Arguments),
    Listen(Box<listen::Arguments>),
    #[command(about = check_config::ABOUT, long_about = check_config::LONG_ABOUT)]
    CheckConfig(Box<listen::Arguments>),
    SigningKey(signing_key::Arguments),
    Submit(submit::Arguments),
    Wait(wait::Arguments),
    Credits(credits::Arguments),
    Inbox(Box<inbox::Arguments>),
    Conformance(Box<conformance::Arguments>),
    Doctor(doctor::Arguments),
    Health(health::Arguments),
    Trigger(trigger::Arguments),
    Verify(verify::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

fn main() -> ExitCode {
    let words = submit::with_command(std::env::args_os());
    let parsed = match config::parse::<Arguments>(words.into_iter()) {
        Ok(parsed) => parsed,
        Err(Problem::CommandLine(err)) => {
            print(&err);
            return ExitCode::from(u8::try_from(err.exit_code()).unwrap_or(Failure::USAGE));
        }
        Err(Problem::File(failure)) => {
            let code = failure.report();
            log::flush();
            return code;
        }
    };
    let format = log_format(parsed.arguments.log_format);
    log::start(*format.as_ref().unwrap_or(&LogFormat::Text));
    let run = |_| run(parsed.arguments.command, &parsed.origins);
    let code = match format.and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    };
    log::flush();
    code
}

/// Returns the format that was chosen by the option, or else by the variable, or else text.
fn log_format(option: Option<LogFormat>) -> Result<LogFormat, Failure> {
    if let Some(format) = option {
        return Ok(format);
    }
    let name = environment::LOG_FORMAT;
    match environment::optional(name)?.as_deref().map(str::trim) {
        None | Some("text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        Some(_) => Err(Failure::usage(anyhow!(
            "the environment variable {name} must be text or json"
        ))),
    }
}

/// Prints help, the version, or why the arguments are wrong. A closed stdout cannot be reported.
fn print(err: &clap::Error) {
    match store::without_passwords(&err.render().to_string()) {
        Cow::Borrowed(_) => drop(err.print()),
        // An argument in the wrong place is repeated in the error.
        Cow::Owned(text) => drop(io::stderr().write_all(text.as_bytes())),
    }
}

fn run(command: Command, settings: &[Setting]) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|err| Failure::failed(err).context("the async runtime could not start"))?;
    runtime.block_on(async {
        match command {
            Command::Demo(arguments) => demo::run(arguments).await,
            Command::Emulate(arguments) => emulate::run(arguments).await,
            Command::Listen(arguments) => listen::run(*arguments).await,
            Command::CheckConfig(arguments) => check_config::run(&arguments, settings),
            Command::SigningKey(_) => signing_key::run(),
            Command::Submit(arguments) => submit::run(arguments).await,
            Command::Wait(arguments) => wait::run(arguments).await,
            Command::Credits(arguments) => credits::run(arguments).await,
            Command::Inbox(arguments) => inbox::run(*arguments).await,
            Command::Conformance(arguments) => conformance::run(*arguments).await,
            Command::Doctor(arguments) => doctor::run(arguments).await,
            Command::Health(arguments) => health::run(arguments).await,
            Command::Trigger(arguments) => trigger::run(arguments).await,
            Command::Verify(arguments) => verify::run(&arguments),
            Command::Completions(arguments) => completions::run(&arguments, Arguments::command()),
            Command::Man(arguments) => man::run(&arguments, Arguments::command()),
        }
    })
}
