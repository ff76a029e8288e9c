//! Downloading tracks and other outputs to a temporary name. A file is renamed when it is complete.

mod fetch;
mod file_name;
mod open;
mod output;
mod part;

use std::fmt;
use std::future::{Future, IntoFuture};
use std::path::{Path, PathBuf};
use std::pin::Pin;

use futures_util::future::join_all;
use suno_types::Track;
use tokio::time::timeout;
use url::Url;

use self::fetch::Fetch;
use self::file_name::Media;
pub use self::open::{MediaRange, OpenMedia};
use self::part::Part;
use crate::retry::{Decision, Failure};
use crate::{Client, ClientError, ErrorKind};

type Callback = Box<dyn FnMut(DownloadProgress) + Send>;

/// The number of bytes that a download has written so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadProgress {
    /// The number of bytes written. It goes back to 0 if the download has to start again.
    pub bytes: u64,
    /// The size of the whole file, if the media host sent it.
    pub bytes_total: Option<u64>,
}

/// The file of a downloaded track.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SavedTrack {
    /// The path of the file.
    pub path: PathBuf,
    /// The size of the file.
    pub bytes: u64,
    /// Whether the media host sent the size of the file, so that it could be checked. Without it, a
    /// truncated file may go unnoticed. True for a file that was kept.
    pub is_size_checked: bool,
    /// The number of times that the download was resumed after a broken connection.
    pub resumes: u32,
    /// Whether a complete file of this name was there already, so that nothing was downloaded; see
    /// [`Download::keep_existing`].
    pub is_kept: bool,
}

impl Client {
    /// The maximum number of redirects that one attempt at a download follows.
    pub const REDIRECTS_MAX: usize = 5;

    /// Returns a download of a track's finished audio into the folder `dir`, which must exist.
    /// It starts when it is awaited.
    ///
    /// The file name consists of the track's place, title and id, as in
    /// `1-harbour-lights-d6caddf3.mp3`. An existing file of that name is replaced. Until the audio
    /// is complete and on disk the file has a temporary name that ends in `.part`; it is removed if
    /// the download fails or is dropped.
    ///
    /// The URL comes from outside, so only public addresses are allowed, unless
    /// [`allow_private_downloads`](crate::ClientBuilder::allow_private_downloads) was called, and
    /// the key is not sent. Up to [`REDIRECTS_MAX`](Self::REDIRECTS_MAX) redirects are followed
    /// under the same rules.
    ///
    /// The download ends with an error of the kind [`NotReady`](ErrorKind::NotReady) if the track
    /// has no audio yet, [`ForbiddenAddress`](ErrorKind::ForbiddenAddress) if its URL is not
    /// allowed, [`BadFile`](ErrorKind::BadFile) if the file is empty or not audio,
    /// [`HttpStatus`](ErrorKind::HttpStatus) if the media host refuses it,
    /// [`TooLarge`](ErrorKind::TooLarge) if it exceeds
    /// [`download_bytes_max`](crate::ClientBuilder::download_bytes_max), or
    /// [`File`](ErrorKind::File) if it cannot be written.
    ///
    /// ```no_run
    /// # async fn example(client: suno_client::Client, track: suno_client::suno_types::Track)
    /// #     -> Result<(), suno_client::ClientError> {
    /// let saved = client
    ///     .download(&track, "songs")
    ///     .with_progress(|progress| println!("{} bytes", progress.bytes))
    ///     .await?;
    /// println!("{}", saved.path.display());
    /// # Ok(())
    /// # }
    /// ```
    pub fn download(&self, track: &Track, dir: impl AsRef<Path>) -> Download {
        Download {
            client: self.clone(),
            source: Source::Track(Box::new(track.clone())),
            dir: dir.as_ref().to_owned(),
            keeps_existing: false,
            on_progress: None,
        }
    }

    /// Returns a download of an output that is not a track, such as a WAV file, a stem, a video, or a
    /// cover image, into the folder `dir`, which must exist. It starts when it is awaited.
    ///
    /// The file is named after `name`, which must differ within the folder, and what the media host
    /// says that it is, as in `vocals.wav`. Otherwise it is like [`download`](Self::download).
    ///
    /// ```no_run
    /// # async fn example(client: suno_client::Client, url: String)
    /// #     -> Result<(), suno_client::ClientError> {
    /// let saved = client.download_url(&url, "vocals", "stems").keep_existing().await?;
    /// println!("{}", saved.path.display());
    /// # Ok(())
    /// # }
    /// ```
    pub fn download_url(&self, url: &str, name: &str, dir: impl AsRef<Path>) -> Download {
        Download {
            client: self.clone(),
            source: Source::Output {
                url: url.into(),
                name: name.into(),
            },
            dir: dir.as_ref().to_owned(),
            keeps_existing: false,
            on_progress: None,
        }
    }

    /// Downloads the tracks that are not in the folder `dir` yet, and returns one result for each
    /// track, in their order. A track that cannot be downloaded stops no other. To fetch what is
    /// missing, call it again.
    ///
    /// Up to [`DOWNLOADS_MAX`](Self::DOWNLOADS_MAX) downloads run at the same time.
    ///
    /// ```no_run
    /// # async fn example(client: suno_client::Client, tracks: Vec<suno_client::suno_types::Track>) {
    /// for (track, result) in tracks.iter().zip(client.download_all(&tracks, "songs").await) {
    ///     match result {
    ///         Ok(saved) => println!("{}", saved.path.display()),
    ///         Err(err) => eprintln!("track {}: {err}", track.position + 1),
    ///     }
    /// }
    /// # }
    /// ```
    pub async fn download_all(
        &self,
        tracks: &[Track],
        dir: impl AsRef<Path>,
    ) -> Vec<Result<SavedTrack, ClientError>> {
        let dir = dir.as_ref();
        let download = |track| self.download(track, dir).keep_existing().into_future();
        join_all(tracks.iter().map(download)).await
    }
}

/// The file to download.
enum Source {
    Track(Box<Track>),
    Output { url: Box<str>, name: Box<str> },
}

impl Source {
    /// The URL, and the name of the file without its extension.
    fn resolve(&self) -> Result<(Url, String), ClientError> {
        match self {
            Self::Track(track) => {
                let what = "the track has no audio yet; wait for the task first";
                let url = track.ready_url();
                let url = url.ok_or_else(|| ClientError::new(ErrorKind::NotReady, what))?;
                let url = media_url(url)?;
                let stem = file_name::stem(track, &url);
                Ok((url, stem))
            }
            Self::Output { url, name } => {
                let url = media_url(url)?;
                let stem = file_name::stem_of(name, &url);
                Ok((url, stem))
            }
        }
    }

    fn media(&self) -> Media {
        match self {
            Self::Track(_) => Media::Track,
            Self::Output { .. } => Media::Any,
        }
    }
}

/// A download that starts when it is awaited; see [`Client::download`].
#[must_use = "a download does nothing unless it is awaited"]
pub struct Download {
    client: Client,
    source: Source,
    dir: PathBuf,
    keeps_existing: bool,
    on_progress: Option<Callback>,
}

impl Download {
    /// Calls `report` after each piece that was written. The download waits for it, so it should
    /// return quickly.
    pub fn with_progress(mut self, report: impl FnMut(DownloadProgress) + Send + 'static) -> Self {
        self.on_progress = Some(Box::new(report));
        self
    }

    /// Keeps a file that has the name of this download with any extension, instead of replacing it.
    /// A file has its name only when it is complete, so that a repeated call downloads what is
    /// missing.
    pub fn keep_existing(mut self) -> Self {
        self.keeps_existing = true;
        self
    }

    async fn run(self) -> Result<SavedTrack, ClientError> {
        let (url, stem) = self.source.resolve()?;
        let media = self.source.media();
        if self.keeps_existing
            && let Some(kept) = existing(&self.dir, &stem, media).await
        {
            return Ok(kept);
        }
        let _slot = self.client.shared.transport().media_slot().await;
        let part = Part::create(&self.dir, &stem).await?;
        let fetch = Fetch::new(&self.client.shared, url, media, part, self.on_progress);
        let within = fetch.settings.timeouts.download;
        let late = "the download did not end in time";
        timeout(within, fetch_all(fetch, &stem))
            .await
            .unwrap_or_else(|_| {
                Err(ClientError::new(ErrorKind::TimedOut, late).with_outlook(true, false))
            })
    }
}

/// The complete file of this name in a folder, if there is one.
async fn existing(dir: &Path, stem: &str, media: Media) -> Option<SavedTrack> {
    for extension in media.extensions() {
        let path = dir.join(format!("{stem}.{extension}"));
        match tokio::fs::metadata(&path).await {
            Ok(about) if about.is_file() && about.len() > 0 => {
                return Some(SavedTrack {
                    path,
                    bytes: about.len(),
                    is_size_checked: true,
                    resumes: 0,
                    is_kept: true,
                });
            }
            _ => {}
        }
    }
    None
}

fn media_url(text: &str) -> Result<Url, ClientError> {
    let what = "the URL of the file is not an http or https URL";
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        _ => Err(ClientError::new(ErrorKind::ForbiddenAddress, what)),
    }
}

/// Repeats attempts until the file is complete. An attempt that received some bytes resets the
/// count of failures.
async fn fetch_all(mut fetch: Fetch<'_>, stem: &str) -> Result<SavedTrack, ClientError> {
    let mut failures_in_a_row = 0;
    let mut resumes = 0;
    loop {
        let before = fetch.part.bytes();
        let err = match fetch.attempt().await {
            Ok(whole) => {
                let bytes = fetch.part.bytes();
                let name = format!("{stem}.{}", whole.extension);
                return Ok(SavedTrack {
                    path: fetch.part.finish(&name).await?,
                    bytes,
                    is_size_checked: whole.is_size_checked,
                    resumes,
                    is_kept: false,
                });
            }
            Err(err) => err,
        };
        let has_more = fetch.part.bytes() > before;
        failures_in_a_row = if has_more { 1 } else { failures_in_a_row + 1 };
        let retry = fetch.settings.retry;
        match retry.decide(failures_in_a_row, Failure::from(&err), fastrand::f64()) {
            Decision::GiveUp => return Err(err),
            Decision::Again(pause) => {
                let bytes = fetch.part.bytes();
                tracing::debug!(
                    bytes,
                    ?pause,
                    kind = err.kind().as_str(),
                    "downloading again"
                );
                tokio::time::sleep(pause).await;
            }
        }
        if fetch.can_resume() {
            resumes += 1;
        }
    }
}

impl IntoFuture for Download {
    type Output = Result<SavedTrack, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// Without the URLs of the track, which give access to the audio.
impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}
