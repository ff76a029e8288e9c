//! Measures this workspace and tries to break it: `cargo xtask bench`, `crash`, `abuse` and others.
//!
//! Some trials run parts of themselves in separate processes. Those are hidden commands, so a
//! program that offers [`Trial`] as its command line offers them too.

pub mod abuse;
pub mod bench;
pub mod crash;
pub mod endtoend;
pub mod footprint;
pub mod instructions;
mod printing;
mod release;
mod stored;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
pub use suno_testkit::process::cargo;

/// The commands.
#[derive(Debug, clap::Subcommand)]
#[non_exhaustive]
pub enum Trial {
    #[allow(
        missing_docs,
        reason = "the help of a command is the help of its arguments"
    )]
    Crash(crash::Crash),
    #[allow(
        missing_docs,
        reason = "the help of a command is the help of its arguments"
    )]
    EndToEnd(endtoend::EndToEnd),
    #[allow(
        missing_docs,
        reason = "the help of a command is the help of its arguments"
    )]
    Bench(Box<bench::Bench>),
    #[allow(
        missing_docs,
        reason = "the help of a command is the help of its arguments"
    )]
    Instructions(instructions::Instructions),
    #[allow(
        missing_docs,
        reason = "the help of a command is the help of its arguments"
    )]
    Footprint(footprint::Footprint),
    #[allow(
        missing_docs,
        reason = "the help of a command is the help of its arguments"
    )]
    Abuse(abuse::Abuse),
    /// Part of a trial, in a separate process
    #[command(flatten)]
    Part(Part),
}

/// Parts of trials that run in separate processes.
#[derive(Debug, clap::Subcommand)]
#[non_exhaustive]
pub enum Part {
    /// A server to measure, for 'bench'
    #[command(hide = true)]
    BenchSubject {
        /// Server to run
        subject: bench::Subject,
        /// Folder for its data
        dir: PathBuf,
    },
    /// Load, for 'bench'
    #[command(hide = true)]
    BenchLoad(bench::Load),
    /// A store that grows, for 'bench growth'
    #[command(hide = true)]
    BenchGrow(bench::Growing),
    /// Receivers on one server, for 'bench shared'
    #[command(hide = true)]
    BenchShared(bench::Run),
    /// Provider to poll, for 'bench client'
    #[command(hide = true)]
    BenchProvider,
    /// Polling client, for 'bench client'
    #[command(hide = true)]
    BenchAsk(bench::Asking),
    /// Work whose instructions are counted, for 'instructions'
    #[command(hide = true)]
    InstructionsWork(instructions::Work),
    /// Receiver that differs from 'suno listen', for 'crash'
    #[command(hide = true)]
    CrashReceiver {
        /// How it differs
        variant: crash::Variant,
        /// File of its store, or schema: and the name of a schema
        store: stored::StorePlace,
        /// Folder for the locks of running handlers
        running: PathBuf,
    },
    /// Receiver with a known defect, for 'abuse'
    #[command(hide = true)]
    AbuseReceiver {
        /// The defect
        defect: abuse::Defect,
        /// File of its store
        store: PathBuf,
    },
}

impl Trial {
    /// Runs the command. Returns success if no problem was found.
    ///
    /// # Errors
    ///
    /// Returns an error if it could not be run.
    pub fn run(self, out: &mut dyn Write) -> Result<ExitCode> {
        let good = match self {
            Self::Crash(crash) => crash.run(out)?,
            Self::EndToEnd(endtoend) => endtoend.run(out)?,
            Self::Bench(bench) => bench.run(out)?,
            Self::Instructions(instructions) => return instructions.run(out),
            Self::Footprint(footprint) => footprint.run(out)?,
            Self::Abuse(abuse) => abuse.run(out)?,
            Self::Part(part) => {
                part.run()?;
                true
            }
        };
        Ok(match good {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}

impl Part {
    fn run(self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            match self {
                Self::BenchSubject { subject, dir } => bench::serve(subject, &dir).await,
                Self::BenchLoad(load) => bench::send(load).await,
                Self::BenchGrow(growing) => bench::grow(growing).await,
                Self::BenchShared(run) => bench::measure_shared(run).await,
                Self::BenchProvider => bench::provide().await,
                Self::BenchAsk(asking) => bench::ask(asking).await,
                Self::InstructionsWork(work) => work.run().await,
                Self::CrashReceiver {
                    variant,
                    store,
                    running,
                } => crash::receive(variant, &store, &running).await,
                Self::AbuseReceiver { defect, store } => abuse::receive(defect, &store).await,
            }
        })
    }
}
