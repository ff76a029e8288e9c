//! Uploads what a task is made from, downloads what it has made, and prints it on stdout.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use suno_client::{Client, Download};
use suno_types::{Output, Product, TaskId, TaskRecord, Track};

use crate::advice;
use crate::failure::Failure;
use crate::line::{FinishedLine, Line};
use crate::log;
use crate::output;
use crate::progress::Progress;
use crate::shutdown::Shutdown;

/// Prints a finished task: what it has made and, after that, what was saved if `dir` is given. A file
/// that cannot be had stops nothing else.
///
/// # Errors
///
/// A failure if a file is missing, after everything was printed.
pub(crate) async fn tell(
    client: &Client,
    record: &TaskRecord,
    asked: &Product,
    dir: Option<&Path>,
    json: bool,
    progress: &Progress,
) -> Result<(), Failure> {
    let told = match json {
        true => {
            let line = FinishedLine::new(record, asked, "complete");
            output::json(&Line::Finished(Box::new(line)))
        }
        false => tell_people(record),
    };
    told.map_err(Failure::failed)?;
    let Some(dir) = dir else { return Ok(()) };
    make_folder(Some(dir))?;
    let mut missing = Vec::new();
    let downloads = client.downloads(&record.task_id, record.output(), dir);
    for (place, download) in downloads.into_iter().enumerate() {
        if !is_ready(record, place) {
            continue;
        }
        let name = format!("file {}", place + 1);
        let saved = save(download, &name, progress).await;
        tell_saved(&record.task_id, place, &saved, json).map_err(Failure::failed)?;
        missing.extend(saved.err().map(|reason| format!("{name}: {reason}")));
    }
    match missing.len() {
        0 => Ok(()),
        count => Err(Failure::failed(anyhow!(
            "{count} of the files are missing; run the command again to fetch what is missing: {}",
            missing.join("; ")
        ))),
    }
}

/// Whether the file at a place can be downloaded. Of songs, the place is that of the track.
fn is_ready(record: &TaskRecord, place: usize) -> bool {
    match record.output() {
        Output::Songs(tracks) => tracks.get(place).is_some_and(Track::is_ready),
        _ => true,
    }
}

/// Saves a file, unless it is there already. The error is the reason why it is missing.
async fn save(download: Download, name: &str, progress: &Progress) -> Result<PathBuf, String> {
    let download = download.with_progress(progress.downloading(name));
    let saved = download
        .await
        .map_err(|err| advice::with_advice(&err).to_string())?;
    if !saved.is_size_checked && !saved.is_kept {
        progress.step(&format!(
            "{name} was saved, but the server did not send its length, so it may be truncated"
        ));
    }
    Ok(saved.path)
}

fn tell_saved(
    task_id: &TaskId,
    track: usize,
    saved: &Result<PathBuf, String>,
    json: bool,
) -> io::Result<()> {
    let task_id = task_id.as_str();
    match (saved, json) {
        (Ok(path), true) => output::json(&Line::Downloaded {
            task_id,
            track,
            path: &path.to_string_lossy(),
        }),
        (Err(reason), true) => output::json(&Line::NotDownloaded {
            task_id,
            track,
            reason,
        }),
        (Ok(path), false) => {
            output::line(&format!("  file {} saved as {}", track + 1, path.display()))
        }
        (Err(_), false) => output::line(&format!("  file {} is missing", track + 1)),
    }
}

/// Creates the download folder first, so that a wrong path fails before the task is paid for.
pub(crate) fn make_folder(dir: Option<&Path>) -> Result<(), Failure> {
    let Some(dir) = dir else { return Ok(()) };
    std::fs::create_dir_all(dir).map_err(|err| {
        Failure::usage(err).context(format!("cannot make the folder {}", dir.display()))
    })
}

fn tell_people(record: &TaskRecord) -> io::Result<()> {
    output::line(&format!("{} complete", record.task_id))?;
    match record.output() {
        Output::Songs(tracks) => tell_tracks(tracks),
        Output::Lyrics(all) => {
            for lyrics in all {
                let title = lyrics.title.as_deref().unwrap_or("(no title)");
                output::line(&format!("  lyrics    {}", output::visible(title)))?;
                for line in lyrics.text.as_deref().unwrap_or_default().lines() {
                    output::line(&format!("    {}", output::visible(line)))?;
                }
            }
            Ok(())
        }
        Output::Voice(voice) => {
            let told = [("phrase", &voice.phrase), ("voice id", &voice.voice_id)];
            for (name, text) in told {
                if let Some(text) = text {
                    output::line(&format!("  {name:<9} {}", output::visible(text)))?;
                }
            }
            Ok(())
        }
        Output::Midi(midi) => {
            for instrument in &midi.instruments {
                let name = instrument.name.as_deref().unwrap_or("(no name)");
                let count = instrument.notes.len();
                output::line(&format!("  {}: {count} notes", output::visible(name)))?;
            }
            output::line("  --json prints the notes")
        }
        Output::Other(_) => output::line("  no result was found in the record"),
        files => {
            for (place, file) in files.files().iter().enumerate() {
                let (role, url) = (output::visible(&file.role), output::visible(file.url));
                output::line(&format!("  file {}    {role:<12} {url}", place + 1))?;
            }
            Ok(())
        }
    }
}

/// Prints title, tags, duration and address of each track, for people.
pub(crate) fn tell_tracks(tracks: &[Track]) -> io::Result<()> {
    for track in tracks {
        let title = output::visible(track.title.as_deref().unwrap_or("(no title)"));
        output::line(&format!("  track {}   {title}", track.position + 1))?;
        if let Some(tags) = &track.tags {
            output::line(&format!("    tags      {}", output::visible(tags)))?;
        }
        if let Some(seconds) = track.duration {
            output::line(&format!("    duration  {seconds} s"))?;
        }
        match track.ready_url() {
            Some(url) => output::line(&format!("    audio     {}", output::visible(url)))?,
            None => output::line("    not ready")?,
        }
    }
    Ok(())
}

/// Saves the ready tracks of a task, and prints their paths.
///
/// # Errors
///
/// A failure for the first track that cannot be had.
pub(crate) async fn download(
    client: &Client,
    tracks: &[Track],
    dir: &Path,
    progress: &Progress,
) -> Result<Vec<PathBuf>, Failure> {
    let mut paths = Vec::new();
    for track in tracks.iter().filter(|track| track.is_ready()) {
        let name = format!("track {}", track.position + 1);
        let saved = save(client.download(track, dir), &name, progress).await;
        paths.push(saved.map_err(|reason| Failure::failed(anyhow!("{name}: {reason}")))?);
    }
    Ok(paths)
}

/// Uploads a local file, and returns the URL that the provider gave it.
pub(crate) async fn upload(
    client: &Client,
    path: &Path,
    json: bool,
    shutdown: Shutdown,
) -> Result<String, Failure> {
    let progress = Progress::start();
    progress.wait_for(&format!("uploading {}", path.display()));
    let uploaded = tokio::select! {
        biased;
        uploaded = client.upload(path) => uploaded.map_err(|err| {
            advice::failure(err).context(format!("{} could not be uploaded", path.display()))
        })?,
        _ = shutdown.requested() => {
            return Err(Failure::failed(anyhow!("stopped during the upload; nothing was submitted")));
        }
    };
    let shown = path.to_string_lossy();
    match json {
        true => {
            let line = Line::Uploaded {
                path: &shown,
                url: &uploaded.url,
            };
            output::json(&line).map_err(Failure::failed)?;
        }
        false => progress.step(&format!("uploaded {}", output::visible(&shown))),
    }
    Ok(uploaded.url)
}

/// Prints a new task on stdout at once, as a line of JSON if one is given, so that its id is not
/// lost.
pub(crate) fn tell_submitted(task_id: &TaskId, json: Option<&Line<'_>>) -> Result<(), Failure> {
    let told = match json {
        Some(line) => output::json(line),
        None => output::line(&format!("{task_id} submitted")),
    };
    let Err(err) = told else { return Ok(()) };
    // The task is paid for, and its id exists nowhere else: if stdout is closed, print it on
    // stderr.
    let lost = format!("{task_id} was submitted, but stdout cannot be written: {err}");
    if err.kind() == io::ErrorKind::BrokenPipe {
        log::line(&format!("suno: {lost}"));
        return Ok(());
    }
    Err(Failure::failed(anyhow!(lost)))
}
