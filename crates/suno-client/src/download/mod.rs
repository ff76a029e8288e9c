//! Downloading a track: to a temporary name, resumed after a cut, renamed when it is whole.

mod fetch;
mod file_name;
mod part;

use std::fmt;
use std::future::{Future, IntoFuture};
use std::path::{Path, PathBuf};
use std::pin::Pin;

use suno_types::Track;
use tokio::time::timeout;
use url::Url;

use self::fetch::Fetch;
use self::part::Part;
use crate::retry::{Decision, Failure};
use crate::{Client, ClientError, ErrorKind};

type Callback = Box<dyn FnMut(Fetched) + Send>;

/// How far a download has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// How many bytes are there. It goes back to 0 if the download has to start again.
    pub bytes: u64,
    /// How many there will be, if the media host says so.
    pub total: Option<u64>,
}

/// A track that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Download {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// True if the media host had said how large the file is, so that the size could be checked.
    pub size_checked: bool,
    /// How many times the download went on where a broken connection had left it.
    pub resumed: u32,
}

impl Client {
    /// The maximum number of redirects that one attempt at a download follows.
    pub const REDIRECTS_MAX: usize = 5;

    /// Stores the finished audio of a track in the folder `dir`. Await what comes back.
    ///
    /// The name is made of the track's place, title and id, as in `1-harbour-lights-d6caddf3.mp3`;
    /// a file of that name is replaced. Until the audio is whole and on disk it has another name,
    /// ending in `.part`, which is taken away if the download fails or is dropped.
    ///
    /// The URL came from outside: only public addresses are asked, unless
    /// [`allow_private_downloads`](crate::ClientBuilder::allow_private_downloads) was called, and the
    /// key is not sent. Up to [`REDIRECTS_MAX`](Self::REDIRECTS_MAX) redirects are followed under the
    /// same rules.
    ///
    /// The outcome is an error of the kind [`NotReady`](ErrorKind::NotReady) if the track has no
    /// audio yet, [`ForbiddenAddress`](ErrorKind::ForbiddenAddress) if its URL is not allowed,
    /// [`BadFile`](ErrorKind::BadFile) if what came is empty or is not audio,
    /// [`HttpStatus`](ErrorKind::HttpStatus) if the media host refused,
    /// [`TooLarge`](ErrorKind::TooLarge), or [`File`](ErrorKind::File) if it cannot be written.
    pub fn download(&self, track: &Track, dir: impl AsRef<Path>) -> Downloading {
        Downloading {
            client: self.clone(),
            track: track.clone(),
            dir: dir.as_ref().to_owned(),
            on_progress: None,
        }
    }
}

/// A download that has not begun. Await it.
#[must_use = "a download does nothing unless it is awaited"]
pub struct Downloading {
    client: Client,
    track: Track,
    dir: PathBuf,
    on_progress: Option<Callback>,
}

impl Downloading {
    /// Calls `tell` for each piece that came. It is called while the download waits, so that it
    /// must be quick.
    pub fn with_progress(mut self, tell: impl FnMut(Fetched) + Send + 'static) -> Self {
        self.on_progress = Some(Box::new(tell));
        self
    }

    async fn run(self) -> Result<Download, ClientError> {
        let url = audio_url(&self.track)?;
        let stem = file_name::stem(&self.track, &url);
        let _slot = self.client.shared.transport().media_slot().await;
        let part = Part::create(&self.dir, &stem).await?;
        let fetch = Fetch::new(&self.client.shared, url, part, self.on_progress);
        let within = fetch.settings.timeouts.download;
        let late = "the download did not end in time";
        timeout(within, fetch_all(fetch, &stem))
            .await
            .unwrap_or_else(|_| {
                Err(ClientError::new(ErrorKind::TimedOut, late).with_outlook(true, false))
            })
    }
}

fn audio_url(track: &Track) -> Result<Url, ClientError> {
    let what = "the track has no audio to download yet; wait for the task first";
    let url = track.ready_url();
    let text = url.ok_or_else(|| ClientError::new(ErrorKind::NotReady, what))?;
    let what = "the audio URL of the track is not an http or https URL";
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        _ => Err(ClientError::new(ErrorKind::ForbiddenAddress, what)),
    }
}

/// Makes attempts until the file is whole. Only attempts that brought nothing count in a row.
async fn fetch_all(mut fetch: Fetch<'_>, stem: &str) -> Result<Download, ClientError> {
    let mut failures_in_a_row = 0;
    let mut resumed = 0;
    loop {
        let before = fetch.part.bytes();
        let err = match fetch.attempt().await {
            Ok(whole) => {
                let bytes = fetch.part.bytes();
                let name = format!("{stem}.{}", whole.extension);
                return Ok(Download {
                    path: fetch.part.finish(&name).await?,
                    bytes,
                    size_checked: whole.size_checked,
                    resumed,
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
            resumed += 1;
        }
    }
}

impl IntoFuture for Downloading {
    type Output = Result<Download, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// Without the URLs of the track, which are as good as the audio itself.
impl fmt::Debug for Downloading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Downloading")
            .field("track", &self.track.id)
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}
