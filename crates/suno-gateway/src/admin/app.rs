//! What the routes share.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use suno_callback::suno_client::Client;
use suno_callback::{Clock, EventRecord, IdempotencyStore, StoreError, Submitter};
use tokio::sync::{Semaphore, watch};

use super::feed::Feed;
use super::health::Health;
use super::replay_counts::ReplayCounts;
use crate::Destination;
use crate::metrics::Scraper;

/// Returns what happened to an event, for people and programs.
#[async_trait]
pub trait EventHistory: Send + Sync + 'static {
    /// Returns the history of an event as JSON, oldest entry first.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the history cannot be read.
    async fn history(&self, event: &EventRecord) -> Result<Vec<Value>, StoreError>;
}

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
    pub(super) scraper: Option<Arc<Scraper>>,
    pub(super) health: Option<Arc<Health>>,
    pub(super) feed: Arc<Feed>,
    pub(super) destinations: Vec<Arc<dyn Destination>>,
    pub(super) history: Option<Arc<dyn EventHistory>>,
    pub(super) submitter: Option<Submitter>,
    /// The callback URL of tasks that name none.
    pub(super) callback_url: Option<String>,
    pub(super) replay_counts: ReplayCounts,
    pub(super) must_confirm: bool,
    /// The value of `Set-Cookie` for a session, if there is a token.
    pub(super) session: Option<String>,
    /// Fetches the files of tracks.
    pub(super) media: Option<Client>,
    /// A permit for each file that may be transferred.
    pub(super) transfers: Arc<Semaphore>,
    /// A permit for each stream that may be open.
    pub(super) streams: Arc<Semaphore>,
    pub(super) stopping: watch::Receiver<bool>,
}

/// The maximum number of open streams. A page has one for each visible tab.
const STREAMS_MAX: usize = 32;
/// The maximum number of files that are transferred at a time.
const TRANSFERS_MAX: usize = 16;

impl App {
    pub(super) fn new(store: Arc<dyn IdempotencyStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
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
            media: None,
            transfers: Arc::new(Semaphore::new(TRANSFERS_MAX)),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            stopping: watch::Sender::new(false).subscribe(),
        }
    }
}
