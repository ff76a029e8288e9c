//! Downloads a finished task, and prints it on stdout.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use suno_client::Client;
use suno_types::{TaskId, TaskRecord, Track};

use crate::advice;
use crate::failure::Failure;
use crate::log;
use crate::output::{self, Line, TrackLine};
use crate::progress::Progress;

/// Prints a finished task: its tracks, and where their audio was saved if `dir` is given.
pub(crate) async fn tell(
    client: &Client,
    record: &TaskRecord,
    dir: Option<&Path>,
    json: bool,
    progress: &Progress,
) -> Result<(), Failure> {
    let saved = match dir {
        Some(dir) => download(client, &record.tracks, dir, progress).await?,
        None => Vec::new(),
    };
    if json {
        tell_json(record, &saved).map_err(Failure::failed)
    } else {
        let line = format!("{} complete", record.task_id);
        output::line(&line).map_err(Failure::failed)?;
        tell_tracks(&record.tracks, &saved).map_err(Failure::failed)
    }
}

/// A track's position and its audio file.
pub(crate) type Saved = (usize, PathBuf);

/// Creates the download folder first, so that a wrong path fails before the task is paid for.
pub(crate) fn make_folder(dir: Option<&Path>) -> Result<(), Failure> {
    let Some(dir) = dir else { return Ok(()) };
    std::fs::create_dir_all(dir).map_err(|err| {
        Failure::usage(err).context(format!("cannot make the folder {}", dir.display()))
    })
}

/// Downloads every ready track into a folder, which is created if it does not exist.
pub(crate) async fn download(
    client: &Client,
    tracks: &[Track],
    dir: &Path,
    progress: &Progress,
) -> Result<Vec<Saved>, Failure> {
    make_folder(Some(dir))?;
    let mut saved = Vec::new();
    for track in tracks.iter().filter(|track| track.is_ready()) {
        let name = format!("track {}", track.position + 1);
        let download = client
            .download(track, dir)
            .with_progress(progress.downloading(&name))
            .await
            .map_err(|err| {
                advice::failure(err).context(format!("{name} could not be downloaded"))
            })?;
        if !download.is_size_checked {
            progress.step(&format!(
                "{name} was saved, but the server did not send its length, so it may be truncated"
            ));
        }
        saved.push((track.position, download.path));
    }
    Ok(saved)
}

fn tell_json(record: &TaskRecord, saved: &[Saved]) -> std::io::Result<()> {
    let task_id = record.task_id.as_str();
    for (track, path) in saved {
        output::json(&Line::Downloaded {
            task_id,
            track: *track,
            path: &path.to_string_lossy(),
        })?;
    }
    output::json(&Line::Finished {
        task_id,
        stage: "complete",
        code: record.error_code.map(|code| code.0),
        tracks: TrackLine::all(&record.tracks),
    })
}

/// Prints title, tags, duration and file of each track, for people.
pub(crate) fn tell_tracks(tracks: &[Track], saved: &[Saved]) -> std::io::Result<()> {
    for track in tracks {
        let title = output::visible(track.title.as_deref().unwrap_or("(no title)"));
        output::line(&format!("  track {}   {title}", track.position + 1))?;
        if let Some(tags) = &track.tags {
            output::line(&format!("    tags      {}", output::visible(tags)))?;
        }
        if let Some(seconds) = track.duration {
            output::line(&format!("    duration  {seconds} s"))?;
        }
        let file = saved.iter().find(|(place, _)| *place == track.position);
        match (file, track.ready_url()) {
            (Some((_, path)), _) => output::line(&format!("    saved as  {}", path.display()))?,
            (None, Some(url)) => {
                output::line(&format!("    audio     {}", output::visible(url)))?;
            }
            (None, None) => {}
        }
    }
    Ok(())
}

/// Prints a new task on stdout at once, so that its id is not lost.
pub(crate) fn tell_submitted(task_id: &TaskId, json: bool) -> Result<(), Failure> {
    let id = task_id.as_str();
    let told = if json {
        output::json(&Line::Submitted { task_id: id })
    } else {
        output::line(&format!("{id} submitted"))
    };
    let Err(err) = told else { return Ok(()) };
    // The task is paid for, and its id exists nowhere else: if stdout is closed, print it on
    // stderr.
    let lost = format!("{id} was submitted, but stdout cannot be written: {err}");
    if err.kind() == std::io::ErrorKind::BrokenPipe {
        log::line(&format!("suno: {lost}"));
        return Ok(());
    }
    Err(Failure::failed(anyhow!(lost)))
}
