//! `suno demo`: the whole job on this machine, using only the public API of the crates.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use suno_callback::{Event, HandlerError, handler_fn};
use suno_emulator::{Config, Emulator};
use suno_gateway::admin::{Playground as _, PlaygroundTask};
use suno_store_sqlite::{SqliteHistory, SqliteStore};
use suno_types::{AddInstrumental, Stage, TaskId};
use tokio::sync::mpsc;

use super::emulate::not_started;
use crate::failure::Failure;
use crate::playground::Playground;
use crate::progress::Progress;
use crate::receiving::Receiving;
use crate::shutdown::Shutdown;
use crate::{address, output, song};

/// The speed of the emulated task relative to the provider: it takes about 5 s instead of 90 s.
const SPEED: f64 = 20.0;
/// The time to wait for the last callback.
const DEADLINE: Duration = Duration::from_secs(15);
/// The pause before each of the other tasks.
const OTHERS_INTERVAL: Duration = Duration::from_millis(700);
/// The title of the task that the handler refuses once.
const REFUSED: &str = "Glass Orchard";
/// The tasks that follow on the page: title, style, lyrics, and what happens to them.
const OTHERS: [[&str; 4]; 7] = [
    [
        "Copper Parade",
        "brass band, march, sunny",
        "[Verse]\nBrass on the bandstand, dust in the street,\nthe tuba is half of a second too late.\n\n\
         [Chorus]\nRound by the river and back by the mill,\nthe copper parade is coming down the hill.",
        "forge",
    ],
    [
        "Amber Radio",
        "synthwave, night drive, 112 bpm",
        "[Verse]\nAmber dial, a station from far,\nsomebody singing it into the car.",
        "drop-complete",
    ],
    [
        "Velvet Machine",
        "industrial, slow, distorted bass",
        "[Verse]\nOil on the velvet, rust in the air.",
        "fail=531",
    ],
    [
        "Paper Constellation",
        "chamber pop, strings",
        "[Verse]\nFold me a star from the page of a book.",
        "reorder",
    ],
    [
        REFUSED,
        "bossa nova, brushes",
        "[Verse]\nApples of glass on a silver-grey bough.",
        "",
    ],
    [
        "Lighthouse at Dawn",
        "ambient, piano, tape",
        "[Verse]\nSlow light over the harbour wall.",
        "",
    ],
    [
        "Northern Lullaby",
        "folk, harp, hushed",
        "[Verse]\nSnow on the slipway, light on the sea,\nthe ferry is sleeping as deep as can be.\n\n\
         [Chorus]\nHush, little engine, the harbour is wide,\nthe morning comes in with the turn of the tide.",
        "duplicate",
    ],
];

/// Run the whole job once on this machine: submit, receive signed callbacks, download.
///
/// Starts an emulator of the provider and a receiver on free loopback ports, submits a task over
/// HTTP, handles every callback once, downloads the tracks, and prints the result. Needs no
/// account and no network.
///
/// With --open, it also serves a page that shows the task while it comes, then others that take other
/// courses, and that submits more, until Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  suno demo --dir /tmp/suno-demo")]
pub(crate) struct Arguments {
    /// Folder for the inbox and the audio; a new temporary folder if omitted
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Open a page in the browser that shows the tasks, and stay until Ctrl-C
    #[arg(long)]
    open: bool,
    /// Address of the page
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", requires = "open", value_parser = address::parse)]
    page: SocketAddr,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let shutdown = Shutdown::listen(Shutdown::GRACE)?;
    let dir = folder(arguments.dir)?;
    output::line(&format!("files     {}", dir.display())).map_err(Failure::failed)?;
    let progress = Progress::start();
    let emulator = Emulator::start(Config::default().with_speed(SPEED)).await;
    let emulator = Arc::new(emulator.map_err(not_started)?);
    progress.step(&format!("emulator  {}", emulator.base_url()));
    let (tell, events) = mpsc::unbounded_channel();
    let was_refused = AtomicBool::new(false);
    let handler = handler_fn(move |event: Event| {
        let handled = refuse_once(&event, &was_refused);
        // After the first task, the events are no longer received.
        let _ = tell.send((Instant::now(), event));
        async { handled }
    });
    let (store, history) = open(&dir)?;
    let receiving = Receiving::start(&emulator, store, history, handler).await?;
    progress.step(&format!("receiver  {}", receiving.url));
    let page = match arguments.open {
        true => Some(receiving.show(&emulator, arguments.page).await?),
        false => None,
    };
    if let Some(page) = &page {
        output::line(&format!("page      {}", page.url)).map_err(Failure::failed)?;
        open_in_browser(&page.url);
    }
    let done = job(&emulator, &receiving, events, &dir, &progress).await;
    drop(progress);
    if let Ok(done) = &done {
        done.tell().map_err(Failure::failed)?;
    }
    if let Some(page) = page {
        if done.is_ok() {
            output::line(&format!("page      {} (Ctrl-C ends it)", page.url))
                .map_err(Failure::failed)?;
            tokio::select! {
                _ = shutdown.requested() => {}
                () = others(page.playground.as_ref()) => {}
            }
        }
        page.stop().await;
    }
    receiving.stop().await;
    // The page may still hold the emulator for a moment: it ends with the process.
    if let Ok(emulator) = Arc::try_unwrap(emulator) {
        emulator.shutdown().await;
    }
    done.map(drop)
}

/// Fails once for one of the tasks, to show a dead letter on the page.
fn refuse_once(event: &Event, was_refused: &AtomicBool) -> Result<(), HandlerError> {
    let mut titles = event.tracks().iter().map(|track| track.title.as_deref());
    let is_it = event.stage() == &Stage::Complete && titles.any(|title| title == Some(REFUSED));
    match is_it && !was_refused.swap(true, Ordering::Relaxed) {
        true => Err(HandlerError::give_up(
            "the demo refuses this song once: try it again",
        )),
        false => Ok(()),
    }
}

/// Submits the other tasks, one after the other. Never ends.
async fn others(playground: Option<&Playground>) {
    for [title, style, prompt, scenario] in OTHERS {
        tokio::time::sleep(OTHERS_INTERVAL).await;
        let Some(playground) = playground else { break };
        let mut task = PlaygroundTask::default();
        task.title = title.to_owned();
        task.style = style.to_owned();
        task.prompt = prompt.to_owned();
        task.scenario = scenario.to_owned();
        if let Err(err) = playground.submit(task).await {
            tracing::warn!(err, "a task of the demo could not be submitted");
        }
    }
    std::future::pending().await
}

/// Asks the desktop to open a page. Without a desktop, its URL was printed.
fn open_in_browser(url: &str) {
    let program = match cfg!(target_os = "macos") {
        true => "open",
        false => "xdg-open",
    };
    let started = Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(err) = started {
        tracing::debug!(%err, "the browser could not be asked to open the page");
    }
}

/// Opens the store and the history of the demo.
fn open(dir: &Path) -> Result<(Arc<SqliteStore>, Arc<SqliteHistory>), Failure> {
    let file = dir.join("suno.db");
    let failed = |err: suno_callback::StoreError| {
        Failure::usage(err).context(format!("cannot open the store {}", file.display()))
    };
    let store = SqliteStore::open(&file).map_err(failed)?;
    let history = SqliteHistory::open(&file).map_err(failed)?;
    Ok((Arc::new(store), Arc::new(history)))
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

/// Submits a task, follows its callbacks, and downloads its tracks.
async fn job(
    emulator: &Emulator,
    receiving: &Receiving,
    mut events: Events,
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
    let stages = follow(&submitted.task_id, &mut events, started, progress).await?;
    let Some((_, last)) = stages.last() else {
        return Err(Failure::failed(anyhow!("no callback arrived")));
    };
    song::make_folder(Some(dir))?;
    let saved = song::download(&receiving.client, last.tracks(), dir, progress).await?;
    Ok(Done {
        task_id: submitted.task_id,
        stages,
        saved,
    })
}

/// The events that the handler received, each with the time.
type Events = mpsc::UnboundedReceiver<(Instant, Event)>;
/// A stage, and the time between the submit and its handling.
type Handled = (Duration, Event);

/// The stages of the task; the last one is complete.
async fn follow(
    task_id: &TaskId,
    events: &mut Events,
    started: Instant,
    progress: &Progress,
) -> Result<Vec<Handled>, Failure> {
    let mut stages = Vec::new();
    let all = async {
        while let Some((at, event)) = events.recv().await {
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
