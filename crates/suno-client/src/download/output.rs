//! The files of a task's output, of any product, as downloads.

use std::path::Path;

use suno_types::{Output, OutputFile, TaskId};

use super::Download;
use crate::Client;

/// The maximum number of characters of a task id and of a file's role in the name of a file. An id
/// can begin as others do, so that its end is used.
const TASK_CHARS_MAX: usize = 32;
const ROLE_CHARS_MAX: usize = 30;

fn short_id(task: &TaskId) -> &str {
    let id = task.as_str();
    // Ids are ASCII.
    &id[id.len().saturating_sub(TASK_CHARS_MAX)..]
}

impl Client {
    /// Returns a download for each file of a task's output: tracks, a WAV file, a video, stems or
    /// cover images. Outputs without files, such as lyrics, give none. Files that are in the folder
    /// `dir` already are [kept](Download::keep_existing).
    ///
    /// Tracks are named as by [`download`](Self::download); other files after their place, their
    /// role, and the task, as in `1-vocal-0881db94d29a36775cca1570128371e3.mp3`.
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
        let id = short_id(task);
        let downloads: Vec<Download> = match output {
            Output::Songs(tracks) => {
                let download = |track| self.download(track, dir);
                tracks.iter().map(download).collect()
            }
            other => {
                let files = other.files().into_iter().enumerate();
                let download = |(place, file): (usize, OutputFile<'_>)| {
                    let role: String = file.role.chars().take(ROLE_CHARS_MAX).collect();
                    self.download_url(file.url, &format!("{}-{role}-{id}", place + 1), dir)
                };
                files.map(download).collect()
            }
        };
        downloads.into_iter().map(Download::keep_existing).collect()
    }
}
