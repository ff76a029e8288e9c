//! The files of a task's output, of any product, as downloads.

use std::path::Path;

use suno_types::{Output, Stem, TaskId};

use super::Download;
use crate::Client;

/// The number of characters of the task id in the names of files.
const TASK_CHARS: usize = 8;

impl Client {
    /// Returns a download for each file of a task's output: tracks, a WAV file, a video, stems or
    /// cover images. Outputs without files, such as lyrics, give none. Files that are in the folder
    /// `dir` already are [kept](Download::keep_existing).
    ///
    /// Tracks are named as by [`download`](Self::download); other files after their place, their
    /// role, and the task, as in `1-vocal-0881db94.mp3`.
    ///
    /// ```no_run
    /// # async fn example(client: suno_client::Client, record: suno_client::suno_types::TaskRecord) {
    /// for download in client.downloads(&record.task_id, record.output(), "songs") {
    ///     match download.await {
    ///         Ok(saved) => println!("{}", saved.path.display()),
    ///         // One dead file stops no other.
    ///         Err(err) => eprintln!("{err}"),
    ///     }
    /// }
    /// # }
    /// ```
    pub fn downloads(
        &self,
        task: &TaskId,
        output: Output<'_>,
        dir: impl AsRef<Path>,
    ) -> Vec<Download> {
        let dir = dir.as_ref();
        let short: String = task.as_str().chars().take(TASK_CHARS).collect();
        let file = |place: usize, what: &str, url: &str| {
            self.download_url(url, &format!("{}-{what}-{short}", place + 1), dir)
        };
        let downloads: Vec<Download> = match output {
            Output::Songs(tracks) => {
                let download = |track| self.download(track, dir);
                tracks.iter().map(download).collect()
            }
            Output::Wav(wav) => vec![file(0, "wav", &wav.url)],
            Output::Mp4(video) => vec![file(0, "video", &video.url)],
            Output::Stems(stems) => {
                let parts = stems.parts.iter().enumerate();
                let download = |(place, stem): (usize, &Stem)| {
                    let without = if stem.is_removed { "without-" } else { "" };
                    file(place, &format!("{without}{}", stem.name), &stem.url)
                };
                parts.map(download).collect()
            }
            Output::Covers(covers) => {
                let covers = covers.iter().enumerate();
                covers
                    .map(|(place, cover)| file(place, "cover", &cover.url))
                    .collect()
            }
            _ => Vec::new(),
        };
        downloads.into_iter().map(Download::keep_existing).collect()
    }
}
