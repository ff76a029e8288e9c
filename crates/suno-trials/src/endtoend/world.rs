//! One world: a provider, a receiver, and an application that submits, step by step.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use fastrand::Rng;
use suno_callback::{Receiver, Round, Submitter};
use suno_client::{ApiKey, Client, Retry};
use suno_emulator::{Config, Emulator};
use suno_testkit::clock::HandClock;
use suno_types::{Provider, Route};
use tempfile::TempDir;
use tokio::net::TcpSocket;

use super::jobs::{Jobs, Submitters};
use super::options::Broken;
use super::ours::{Handled, Ours, Outside};
use super::verdict::{Evidence, WorldReport};

/// The start time of every world, in milliseconds since 1970. The provider's clock advances along
/// with it.
const START_MS: u64 = 1_790_000_000_000;
/// The step of the clock while submits are made: the window of the provider's rate limit.
const SUBMITTING: Duration = Duration::from_secs(10);
/// The number of submits in that time: one more than the provider accepts.
const SUBMITS: usize = 21;
/// The step of the clock afterwards, well within the window of a signature's timestamp.
const WAITING: Duration = Duration::from_secs(30);
/// The maximum number of such steps: a day, after which tasks are given up.
const STEPS_MAX: usize = 2_880;
/// The number of steps after everything seems to be done, to see what still arrives.
const STEPS_AFTER: usize = 40;
/// In one of this many steps the receiver is killed.
const KILLS: usize = 40;
/// The maximum real time of a kill after the start of the step. Most steps take that long, and the
/// rest of a step continues without a receiver.
const KILL_WITHIN: Duration = Duration::from_millis(8);
/// The number of delivery attempts that are kept for the verdict, for each task.
const ATTEMPTS_PER_TASK: usize = 64;

/// A provider, a receiver, an application, and time.
pub(super) struct World {
    emulator: Emulator,
    outside: Outside,
    ours: Ours,
    submitters: Submitters,
    callback_url: String,
    jobs: Jobs,
    dice: Rng,
    rounds: Vec<Round>,
    kills: usize,
    seed: u64,
    dir: TempDir,
    /// Reserves the receiver's address while it is down.
    _reserved: TcpSocket,
}

impl World {
    pub(super) async fn start(tasks: usize, seed: u64, broken: Option<Broken>) -> Result<Self> {
        let dir = tempfile::tempdir().context("cannot make a folder for the store")?;
        let config = Config::default()
            .with_seed(seed)
            .with_driven_clock(START_MS)
            .with_credits(u64::from(u32::MAX))
            .with_tasks_kept_max(tasks.max(1) * 2)
            .with_attempts_kept_max(tasks.max(1) * ATTEMPTS_PER_TASK);
        let emulator = Emulator::start(config).await?;
        let key = emulator
            .webhook_key()
            .context("the emulator does not sign callbacks")?;
        let (reserved, address) = reserve()?;
        let outside = Outside {
            file: dir.path().join("suno.db"),
            address,
            webhook_key: key.to_owned(),
            client: client(&emulator, Route::Direct)?,
            clock: HandClock::at_millis(START_MS.cast_signed()),
            handled: Handled::default(),
            broken,
        };
        let ours = Ours::start(&outside).await?;
        Ok(Self {
            submitters: submitters(&emulator, &ours, &outside)?,
            callback_url: format!("http://{}{}", outside.address, Receiver::PATH),
            emulator,
            outside,
            ours,
            jobs: Jobs::new(tasks),
            dice: Rng::with_seed(seed),
            rounds: Vec::new(),
            kills: 0,
            seed,
            dir,
            _reserved: reserved,
        })
    }

    /// Submits everything, lets time pass until all is done, and checks the result.
    pub(super) async fn live(mut self) -> Result<WorldReport> {
        while !self.jobs.are_submitted() {
            let submitting = self.jobs.submit(
                SUBMITS,
                &self.submitters,
                &self.callback_url,
                &mut self.dice,
            );
            submitting.await?;
            self = self.step(SUBMITTING).await?;
        }
        let mut steps_left = STEPS_MAX;
        while !self.is_done().await? {
            let Some(left) = steps_left.checked_sub(1) else {
                break;
            };
            steps_left = left;
            self = self.step(WAITING).await?;
        }
        for _ in 0..STEPS_AFTER {
            self = self.step(WAITING).await?;
        }
        self.judge().await
    }

    /// Lets some time pass, and sometimes kills the receiver in the meantime.
    async fn step(mut self, by: Duration) -> Result<Self> {
        self.outside.clock.step(by);
        if self.dice.usize(..KILLS) == 0 {
            let delay = KILL_WITHIN.mul_f64(self.dice.f64());
            let ours = self.ours;
            let kill = async {
                tokio::time::sleep(delay).await;
                ours.kill().await
            };
            let (advanced, killed) = tokio::join!(self.emulator.advance(by), kill);
            advanced?;
            killed?;
            self.kills += 1;
            self.ours = Ours::start(&self.outside).await?;
            self.submitters = submitters(&self.emulator, &self.ours, &self.outside)?;
        } else {
            self.emulator.advance(by).await?;
        }
        self.ours.settle_down().await?;
        self.rounds.extend(self.ours.reconcile().await?);
        self.ours.settle_down().await?;
        Ok(self)
    }

    /// Whether every task has a handled end, as far as that can be known.
    async fn is_done(&self) -> Result<bool> {
        let evidence = self.evidence().await?;
        Ok(evidence.is_complete())
    }

    async fn evidence(&self) -> Result<Evidence> {
        Evidence::gather(&self.emulator, &self.ours.store, &self.outside.handled).await
    }

    async fn judge(self) -> Result<WorldReport> {
        let evidence = self.evidence().await?;
        let verdict = evidence.judge(&self.jobs, &self.rounds, self.kills, self.seed);
        self.ours.kill().await?;
        self.emulator.shutdown().await;
        self.dir.close().context("cannot remove the folder")?;
        Ok(verdict)
    }
}

fn client(emulator: &Emulator, route: Route) -> Result<Client> {
    // Limits and pauses use real time, which does not pass here, so requests are rejected instead.
    let client = Client::builder(Provider::Kie, ApiKey::new(emulator.api_key())?)
        .base_url(emulator.base_url())
        .route(route)
        .submit_limit(None)
        .poll_limit(None)
        .retry(Retry::new().with_attempts_max(1))
        .build()?;
    Ok(client)
}

fn submitters(emulator: &Emulator, ours: &Ours, outside: &Outside) -> Result<Submitters> {
    let by = |route| -> Result<Submitter> {
        let submitter = Submitter::new(client(emulator, route)?, ours.store.clone());
        Ok(submitter.with_clock(outside.clock.clone()))
    };
    Ok(Submitters {
        direct: by(Route::Direct)?,
        jobs: by(Route::Jobs)?,
    })
}

/// Reserves an address. It stays reserved as long as the socket exists, even if no receiver is
/// listening.
fn reserve() -> Result<(TcpSocket, SocketAddr)> {
    let reserve = || {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = socket.local_addr()?;
        Ok::<_, std::io::Error>((socket, address))
    };
    reserve().context("no port is free")
}
