//! What the routes share.

use std::sync::Arc;

use bytes::Bytes;
use suno_callback::history::History;
use suno_callback::suno_client::Client;
use suno_callback::{Clock, Horizon, IdempotencyStore, Submitter, latest_event};
use tokio::sync::{Semaphore, watch};

use super::board::Board;
use super::feed::Feed;
use super::health::Health;
use super::playground::Playground;
use super::replay_counts::ReplayCounts;
use super::samples::Samples;
use crate::Destination;
use crate::metrics::Scraper;

/// A file of a page.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Asset {
    /// The path, such as `/` or `/page.js`.
    pub path: Box<str>,
    /// The content type, such as `text/html; charset=utf-8`.
    pub content_type: &'static str,
    /// The content.
    pub body: Bytes,
}

impl Asset {
    /// Creates a file.
    #[must_use]
    pub fn new(path: &str, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            path: path.into(),
            content_type,
            body: body.into(),
        }
    }
}

/// The state of the service.
pub(super) struct App {
    pub(super) store: Arc<dyn IdempotencyStore>,
    pub(super) clock: Arc<dyn Clock>,
    /// What is known about the numbers of the store, for pages and streams.
    pub(super) horizon: Horizon,
    pub(super) scraper: Option<Arc<Scraper>>,
    pub(super) health: Option<Arc<Health>>,
    pub(super) feed: Arc<Feed>,
    pub(super) board: Board,
    pub(super) samples: Samples,
    pub(super) playground: Option<Arc<dyn Playground>>,
    pub(super) media: Option<Client>,
    pub(super) destinations: Vec<Arc<dyn Destination>>,
    pub(super) history: Option<Arc<dyn History>>,
    pub(super) submitter: Option<Submitter>,
    /// The callback URL of tasks that name none.
    pub(super) callback_url: Option<String>,
    pub(super) replay_counts: ReplayCounts,
    pub(super) must_confirm: bool,
    /// The value of `Set-Cookie` for a session, if there is a token.
    pub(super) session: Option<String>,
    /// A permit for each stream that may be open.
    pub(super) streams: Arc<Semaphore>,
    pub(super) stopping: watch::Receiver<bool>,
}

/// The maximum number of open streams. A page has one for each visible tab.
const STREAMS_MAX: usize = 32;

impl App {
    pub(super) fn new(store: Arc<dyn IdempotencyStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            horizon: Horizon::default(),
            board: Board::new(&*clock),
            samples: Samples::default(),
            playground: None,
            media: None,
            submitter: None,
            callback_url: None,
            clock,
            scraper: None,
            health: None,
            feed: Arc::new(Feed::new()),
            destinations: Vec::new(),
            history: None,
            replay_counts: ReplayCounts::default(),
            must_confirm: false,
            session: None,
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            stopping: watch::Sender::new(false).subscribe(),
        }
    }

    /// Notes how far the store is at the start, so that soon all of that is certain. If the store fails,
    /// the first page or stream does so.
    pub(super) async fn begin(&self) {
        if let Ok(latest) = latest_event(&*self.store).await {
            self.horizon.note(latest, self.clock.monotonic());
        }
    }
}
