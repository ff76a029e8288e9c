//! `suno demo`: the whole job on this machine, using only the public API of the crates.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use suno_callback::serve::serve;
use suno_callback::{Event, Pipeline, Receiver, Verification, handler_fn};
use suno_client::{ApiKey, Client};
use suno_emulator::{Config, Emulator};
use suno_store_sqlite::SqliteStore;
use suno_types::{AddInstrumental, Provider, Stage, TaskId};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::emulate::not_started;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::{advice, output, provider, song};

/// The speed of the emulated task relative to the provider: it takes about 5 s instead of 90 s.
const SPEED: f64 = 20.0;
/// The time to wait for the last callback.
const DEADLINE: Duration = Duration::from_secs(15);

/// Run the whole job once on this machine: submit, receive signed callbacks, download.
///
/// Starts an emulator of the provider and a receiver on free loopback ports, submits a task over
/// HTTP, handles every callback once, downloads the tracks, and prints the result. Needs no
/// account and no network.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  suno demo --dir /tmp/suno-demo")]
pub(crate) struct Arguments {
    /// Folder for the inbox and the audio; a new temporary folder if omitted
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let dir = folder(arguments.dir)?;
    output::line(&format!("files     {}", dir.display())).map_err(Failure::failed)?;
    let progress = Progress::start();
    let emulator = Emulator::start(Config::default().with_speed(SPEED))
        .await
        .map_err(not_started)?;
    progress.step(&format!("emulator  {}", emulator.base_url()));
    let client = client(&emulator)?;
    let mut receiving = Receiving::start(&dir, &emulator, client.clone()).await?;
    progress.step(&format!("receiver  {}", receiving.url));
    let done = job(&emulator, &client, &mut receiving, &dir, &progress).await;
    drop(progress);
    receiving.stop().await;
    emulator.shutdown().await;
    done?.tell().map_err(Failure::failed)
}

fn folder(dir: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let Some(dir) = dir else {
        let fresh = tempfile::Builder::new().prefix("suno-demo-").tempdir();
        return Ok(fresh.map_err(Failure::usage)?.keep());
    };
    std::fs::create_dir_all(&dir).map_err(|err| {
        Failure::usage(err).context(format!("cannot make the folder {}", dir.display()))
    })?;
    Ok(dir)
}

/// A running receiver and the events that its handler received.
struct Receiving {
    url: String,
    events: mpsc::UnboundedReceiver<(Instant, Event)>,
    pipeline: Pipeline,
    server: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Receiving {
    async fn start(dir: &Path, emulator: &Emulator, client: Client) -> Result<Self, Failure> {
        let file = dir.join("suno.db");
        let store = SqliteStore::open(&file).map_err(|err| {
            Failure::usage(err).context(format!("cannot open the store {}", file.display()))
        })?;
        let key = emulator
            .webhook_key()
            .ok_or_else(|| Failure::failed(anyhow!("the emulator does not sign callbacks")))?;
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(|err| Failure::failed(err).context("the receiver cannot listen"))?;
        let address = listener.local_addr().map_err(Failure::failed)?;
        let (tell, events) = mpsc::unbounded_channel();
        let handler = handler_fn(move |event| {
            let told = tell.send((Instant::now(), event));
            async move { Ok(told?) }
        });
        let pipeline = Pipeline::builder(Arc::new(store), handler, Verification::webhook_key(key))
            .with_client(client)
            .start()
            .map_err(Failure::failed)?;
        let (stop, stopped) = oneshot::channel();
        Ok(Self {
            url: format!("http://{address}{}", Receiver::PATH),
            events,
            server: tokio::spawn(serve(listener, pipeline.receiver(), async {
                let _ = stopped.await;
            })),
            pipeline,
            stop,
        })
    }

    async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.server.await;
        self.pipeline.stop().await;
    }
}

fn client(emulator: &Emulator) -> Result<Client, Failure> {
    let key = ApiKey::new(emulator.api_key()).map_err(advice::failure)?;
    provider::at(Client::builder(Provider::Kie, key), emulator.base_url())
}

/// Submits a task, follows its callbacks, and downloads its tracks.
async fn job(
    emulator: &Emulator,
    client: &Client,
    receiving: &mut Receiving,
    dir: &Path,
    progress: &Progress,
) -> Result<Done, Failure> {
    let request = AddInstrumental::builder()
        .upload_url(format!("{}/media/your-voice.mp3", emulator.base_url()))
        .title("Harbour lights")
        .tags("warm, acoustic, fingerpicked")
        .negative_tags("heavy drums")
        .callback_url(&*receiving.url)
        .build()
        .map_err(Failure::failed)?;
    let started = Instant::now();
    let submitted = receiving.pipeline.submit(&request).await;
    let submitted =
        submitted.map_err(|err| Failure::failed(err).context("the task could not be submitted"))?;
    progress.step(&format!("submitted {}", submitted.task_id));
    progress.wait_for("waiting for callbacks");
    let stages = follow(&submitted.task_id, receiving, started, progress).await?;
    let Some((_, last)) = stages.last() else {
        return Err(Failure::failed(anyhow!("no callback arrived")));
    };
    song::make_folder(Some(dir))?;
    let saved = song::download(client, last.tracks(), dir, progress).await?;
    Ok(Done {
        task_id: submitted.task_id,
        stages,
        saved,
    })
}

/// A stage, and the time between the submit and its handling.
type Handled = (Duration, Event);

/// The stages of the task; the last one is complete.
async fn follow(
    task_id: &TaskId,
    receiving: &mut Receiving,
    started: Instant,
    progress: &Progress,
) -> Result<Vec<Handled>, Failure> {
    let mut stages = Vec::new();
    let all = async {
        while let Some((at, event)) = receiving.events.recv().await {
            if event.task_id() != task_id {
                continue;
            }
            let after = at.saturating_duration_since(started);
            progress.step(&format!(
                "{:<9} after {:.1} s",
                event.stage().as_str(),
                after.as_secs_f64()
            ));
            let stage = event.stage().clone();
            stages.push((after, event));
            match stage {
                Stage::Complete => return Ok(()),
                Stage::Failed => return Err(Failure::failed(anyhow!("the task failed"))),
                _ => {}
            }
        }
        Err(Failure::failed(anyhow!("the dispatcher stopped")))
    };
    match tokio::time::timeout(DEADLINE, all).await {
        Ok(followed) => followed.map(|()| stages),
        Err(_) => Err(Failure::failed(anyhow!(
            "not every callback arrived within {} s",
            DEADLINE.as_secs()
        ))),
    }
}

/// The result of the demo.
struct Done {
    task_id: TaskId,
    stages: Vec<Handled>,
    saved: Vec<PathBuf>,
}

impl Done {
    fn tell(&self) -> std::io::Result<()> {
        output::line(&format!("task      {}", self.task_id))?;
        for (after, event) in &self.stages {
            output::line(&format!(
                "{:<9} {} ({:.1} s after the submit)",
                event.stage().as_str(),
                event.received_at().strftime("%H:%M:%S%.3f UTC"),
                after.as_secs_f64()
            ))?;
        }
        if let Some((_, last)) = self.stages.last() {
            song::tell_tracks(last.tracks())?;
        }
        for path in &self.saved {
            output::line(&format!("    saved as  {}", path.display()))?;
        }
        Ok(())
    }
}
