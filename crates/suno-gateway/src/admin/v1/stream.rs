//! Events as server-sent events: what is stored after a cursor, then what arrives.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use serde_json::json;
use suno_callback::{EventFilter, EventId, ListRequest};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, sleep, timeout};

use super::super::app::App;
use super::super::feed::Change;
use super::super::problem::{Kind, Problem};
use super::json;
use super::paging::page;
use super::parameters::{LIMIT_MAX, Parameters, id};

/// The wait after which a browser connects again.
const RETRY_MS: u32 = 1_000;
/// The time between two comments, which keep proxies from closing the connection.
const COMMENT_INTERVAL: Duration = Duration::from_secs(15);
/// The time after which the store is read although this process has seen nothing new: other
/// processes may have.
const RECHECK: Duration = Duration::from_secs(2);
/// The messages that wait for a slow reader.
const MESSAGES_MAX: usize = 16;
/// The time after which a stream ends whose reader takes nothing.
const PATIENCE: Duration = Duration::from_secs(30);
/// The number of events that are looked at again, because a store with several writers may number
/// an event earlier than one that is visible already.
const WINDOW_MAX: usize = 256;

/// Opens a stream. It begins after `Last-Event-ID`, or after `after`, or with the first event.
pub(super) fn open(
    app: Arc<App>,
    parameters: Parameters,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let place = app.streams.clone().try_acquire_owned().map_err(|_| {
        let detail = "Close a stream, or use GET /v1/events?after= without a stream.";
        Problem::new(Kind::TooMany, detail)
    })?;
    let last = headers.get("last-event-id");
    let last = last.map(|last| last.to_str().ok().and_then(id));
    let (sender, receiver) = mpsc::channel(MESSAGES_MAX);
    let mut stream = Stream {
        cursor: last.flatten().or(parameters.after),
        // An id that cannot be read, or none of ours.
        must_resync: last == Some(None),
        parameters,
        sent: VecDeque::new(),
        sender,
    };
    tokio::spawn(async move {
        let mut stopping = app.stopping.clone();
        tokio::select! {
            biased;
            () = async { drop(stopping.wait_for(|is_stopping| *is_stopping).await) } => {}
            _ = stream.run(&app) => {}
        }
        drop(place);
    });
    let mut response = Response::new(Body::new(Messages(receiver)));
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store, no-transform"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// The reader is gone, or takes nothing.
struct Closed;

struct Stream {
    parameters: Parameters,
    cursor: Option<EventId>,
    must_resync: bool,
    /// The events that were read last, in the order of their numbers.
    sent: VecDeque<EventId>,
    sender: mpsc::Sender<Bytes>,
}

impl Stream {
    async fn run(&mut self, app: &App) -> Result<(), Closed> {
        let mut arrivals = app.feed.arrivals();
        let mut changes = app.feed.changes();
        let mut comments = interval_at(Instant::now() + COMMENT_INTERVAL, COMMENT_INTERVAL);
        // The first byte leaves at once, so that the reader knows that it is connected.
        self.send(format!("retry: {RETRY_MS}\n\n")).await?;
        if self.must_resync || !self.is_cursor_known(app).await {
            self.send(RESYNC.to_owned()).await?;
        }
        self.catch_up(app).await?;
        loop {
            tokio::select! {
                biased;
                () = self.sender.closed() => return Err(Closed),
                changed = changes.recv() => match changed {
                    Ok(change) => self.send(changed_message(&change)).await?,
                    Err(RecvError::Lagged(_)) => self.send(RESYNC.to_owned()).await?,
                    // The service owns the feed, so it is open as long as this.
                    Err(RecvError::Closed) => return Err(Closed),
                },
                // Its sender lives as long as the feed.
                _ = arrivals.changed() => self.catch_up(app).await?,
                _ = comments.tick() => self.send(": \n\n".to_owned()).await?,
                () = sleep(RECHECK) => self.catch_up(app).await?,
            }
        }
    }

    /// Whether the store still has the events after the cursor: not if the first one is after it.
    async fn is_cursor_known(&self, app: &App) -> bool {
        let Some(cursor) = self.cursor.filter(|cursor| cursor.0 > 0) else {
            return true;
        };
        let first = ListRequest::first(1, EventFilter::default());
        match app.store.list(&first).await {
            Ok(page) => page.records.first().is_some_and(|first| first.id <= cursor),
            // It is read again at once, which says so.
            Err(_) => true,
        }
    }

    /// Sends the events that are stored and were not sent.
    async fn catch_up(&mut self, app: &App) -> Result<(), Closed> {
        // Before the window, so that an event that became visible late is found in it.
        let mut after = match self.sent.front() {
            Some(first) => Some(EventId(first.0 - 1)),
            None => self.cursor,
        };
        loop {
            let parameters = Parameters {
                after,
                limit: LIMIT_MAX,
                ..self.parameters.clone()
            };
            let Ok(found) = page(app, &parameters).await else {
                return self.send(": the store failed\n\n".to_owned()).await;
            };
            after = found.cursor;
            for record in found.records {
                if !self.note(record.id) {
                    continue;
                }
                let id = record.id;
                let event = json::event(&record);
                self.send(format!("event: event\nid: {id}\ndata: {event}\n\n"))
                    .await?;
            }
            if !found.has_more {
                return Ok(());
            }
        }
    }

    /// Remembers an event. Returns false if it was sent before.
    fn note(&mut self, id: EventId) -> bool {
        let Err(place) = self.sent.binary_search(&id) else {
            return false;
        };
        self.sent.insert(place, id);
        if self.sent.len() > WINDOW_MAX {
            self.sent.pop_front();
        }
        true
    }

    async fn send(&self, message: String) -> Result<(), Closed> {
        let sending = timeout(PATIENCE, self.sender.send(message.into()));
        sending.await.ok().and_then(Result::ok).ok_or(Closed)
    }
}

/// Tells the reader to read its list again.
const RESYNC: &str = "event: resync\ndata: {}\n\n";

/// It has no id, so that the reader's place in the stream stays.
fn changed_message(change: &Change) -> String {
    let data = json!({
        "id": change.id.to_string(),
        "task_id": change.key.task_id().as_str(),
        "stage": change.key.stage().as_str(),
        "revision": change.key.revision(),
        "change": change.change,
    });
    format!("event: changed\ndata: {data}\n\n")
}

/// The body of a stream.
struct Messages(mpsc::Receiver<Bytes>);

impl http_body::Body for Messages {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let message = self.0.poll_recv(cx);
        message.map(|message| message.map(|bytes| Ok(Frame::data(bytes))))
    }
}
