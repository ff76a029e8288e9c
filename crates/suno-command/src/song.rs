//! Uploads what a task is made from, downloads what it has made, and prints it on stdout.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use suno_client::{Client, Download};
use suno_types::{MediaFile, Output, TaskId, TaskRecord, Track};

use crate::advice;
use crate::failure::Failure;
use crate::line::{FinishedLine, Line};
use crate::log;
use crate::output;
use crate::progress::Progress;
use crate::shutdown::Shutdown;

/// The number of characters of the task id in the name of a file that is not a song.
const SHORT_ID_CHARS: usize = 8;

/// Prints a finished task: what it has made, and where it was saved if `dir` is given. A file that
/// cannot be had stops nothing else.
///
/// # Errors
///
/// A failure if a file is missing, after everything was printed.
pub(crate) async fn tell(
    client: &Client,
    record: &TaskRecord,
    dir: Option<&Path>,
    json: bool,
    progress: &Progress,
) -> Result<(), Failure> {
    let files = files(record);
    let downloads = match dir {
        Some(dir) => download(client, &files, dir, progress).await?,
        None => Downloads::default(),
    };
    let told = match json {
        true => tell_json(record, &downloads),
        false => tell_people(record, &downloads),
    };
    told.map_err(Failure::failed)?;
    downloads.check()
}

/// A file that a task has made: where it is, and what it is called.
pub(crate) enum File<'a> {
    Track(&'a Track),
    Other { url: &'a str, name: String },
}

impl File<'_> {
    fn name(&self) -> String {
        match self {
            Self::Track(track) => format!("track {}", track.position + 1),
            Self::Other { name, .. } => name.clone(),
        }
    }

    fn download(&self, client: &Client, dir: &Path) -> Download {
        match self {
            Self::Track(track) => client.download(track, dir),
            Self::Other { url, name } => client.download_url(url, name, dir),
        }
    }
}

/// The ready tracks as files.
pub(crate) fn tracks(tracks: &[Track]) -> Vec<(usize, File<'_>)> {
    let ready = tracks.iter().filter(|track| track.is_ready());
    ready
        .map(|track| (track.position, File::Track(track)))
        .collect()
}

/// The files of a finished task, with their positions.
fn files(record: &TaskRecord) -> Vec<(usize, File<'_>)> {
    let id: String = record
        .task_id
        .as_str()
        .chars()
        .take(SHORT_ID_CHARS)
        .collect();
    let named = |place: usize, url, what: &str| {
        let name = format!("{}-{what}-{id}", place + 1);
        (place, File::Other { url, name })
    };
    match record.output() {
        Output::Songs(all) => tracks(all),
        Output::Wav(file) => vec![named(0, &file.url, "wav")],
        Output::Mp4(file) => vec![named(0, &file.url, "video")],
        Output::Covers(images) => {
            let urls = images.iter().map(|image: &MediaFile| &*image.url);
            let named = urls
                .enumerate()
                .map(|(place, url)| named(place, url, "cover"));
            named.collect()
        }
        Output::Stems(stems) => {
            let parts = stems.parts.iter().enumerate();
            let named = parts.map(|(place, stem)| named(place, &*stem.url, &stem.name));
            named.collect()
        }
        _ => Vec::new(),
    }
}

/// What became of some downloads.
#[derive(Debug, Default)]
pub(crate) struct Downloads {
    /// The positions of the files that are on disk, and their paths.
    saved: Vec<(usize, PathBuf)>,
    /// The positions of the files that are missing, their names, and why.
    missing: Vec<(usize, String, String)>,
}

impl Downloads {
    /// A failure if something is missing.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let all = self.saved.len() + self.missing.len();
        let each = self
            .missing
            .iter()
            .map(|(_, name, reason)| format!("{name}: {reason}"));
        let each = each.collect::<Vec<_>>().join("; ");
        Err(Failure::failed(anyhow!(
            "{} of {all} files could not be downloaded; run the command again to fetch what is \
             missing: {each}",
            self.missing.len()
        )))
    }

    fn path(&self, place: usize) -> Option<&Path> {
        let mut saved = self.saved.iter();
        saved
            .find(|(saved, _)| *saved == place)
            .map(|(_, path)| path.as_path())
    }
}

/// Creates the download folder first, so that a wrong path fails before the task is paid for.
pub(crate) fn make_folder(dir: Option<&Path>) -> Result<(), Failure> {
    let Some(dir) = dir else { return Ok(()) };
    std::fs::create_dir_all(dir).map_err(|err| {
        Failure::usage(err).context(format!("cannot make the folder {}", dir.display()))
    })
}

/// Downloads the files that are not in a folder yet; the folder is created if it does not exist.
pub(crate) async fn download(
    client: &Client,
    files: &[(usize, File<'_>)],
    dir: &Path,
    progress: &Progress,
) -> Result<Downloads, Failure> {
    make_folder(Some(dir))?;
    let mut downloads = Downloads::default();
    for (place, file) in files {
        let name = file.name();
        let download = file.download(client, dir).keep_existing();
        match download.with_progress(progress.downloading(&name)).await {
            Ok(saved) => {
                if !saved.is_size_checked {
                    progress.step(&format!(
                        "{name} was saved, but the server did not send its length, so it may be \
                         truncated"
                    ));
                }
                downloads.saved.push((*place, saved.path));
            }
            Err(err) => {
                let reason = advice::with_advice(&err).to_string();
                downloads.missing.push((*place, name, reason));
            }
        }
    }
    Ok(downloads)
}

fn tell_json(record: &TaskRecord, downloads: &Downloads) -> io::Result<()> {
    let task_id = record.task_id.as_str();
    for (track, path) in &downloads.saved {
        output::json(&Line::Downloaded {
            task_id,
            track: *track,
            path: &path.to_string_lossy(),
        })?;
    }
    for (track, _, reason) in &downloads.missing {
        output::json(&Line::NotDownloaded {
            task_id,
            track: *track,
            reason,
        })?;
    }
    let line = FinishedLine::new(record, "complete");
    output::json(&Line::Finished(Box::new(line)))
}

fn tell_people(record: &TaskRecord, downloads: &Downloads) -> io::Result<()> {
    output::line(&format!("{} complete", record.task_id))?;
    match record.output() {
        Output::Songs(tracks) => tell_tracks(tracks, downloads),
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
        Output::Other(_) => output::line("  no result was found; --json prints what was sent"),
        _ => tell_files(record, downloads),
    }
}

/// Prints the address of each file that is not a song, for people.
fn tell_files(record: &TaskRecord, downloads: &Downloads) -> io::Result<()> {
    for (place, file) in files(record) {
        let File::Other { url, name } = file else {
            continue;
        };
        let name = output::visible(&name);
        match downloads.path(place) {
            Some(path) => output::line(&format!("  {name} saved as {}", path.display()))?,
            None => output::line(&format!("  {name} {}", output::visible(url)))?,
        }
    }
    Ok(())
}

/// Prints title, tags, duration and file of each track, for people.
pub(crate) fn tell_tracks(tracks: &[Track], downloads: &Downloads) -> io::Result<()> {
    for track in tracks {
        let title = output::visible(track.title.as_deref().unwrap_or("(no title)"));
        output::line(&format!("  track {}   {title}", track.position + 1))?;
        if let Some(tags) = &track.tags {
            output::line(&format!("    tags      {}", output::visible(tags)))?;
        }
        if let Some(seconds) = track.duration {
            output::line(&format!("    duration  {seconds} s"))?;
        }
        match (downloads.path(track.position), track.ready_url()) {
            (Some(path), _) => output::line(&format!("    saved as  {}", path.display()))?,
            (None, Some(url)) => {
                output::line(&format!("    audio     {}", output::visible(url)))?;
            }
            (None, None) => output::line("    not ready")?,
        }
    }
    Ok(())
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
