//! Events as server-sent events: what is stored after a cursor, then what arrives. The id of a message is
//! the place from which a reader who connects again misses nothing.

use std::collections::BTreeSet;
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
use suno_callback::{
    EventFilter, EventId, EventRecord, FollowCursor, Follower, ListRequest, StoreError,
};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::super::app::App;
use super::super::feed::{Change, QuietDelivery};
use super::super::problem::{Kind, Problem};
use super::json;
use super::parameters::{LIMIT_MAX, Parameters};

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
/// When an event arrives, missing numbers are looked at again only among the last so many: those of
/// transactions that ran beside its own. The others are looked at after each `RECHECK`.
const NEAR: i64 = 256;
/// The time for which deliveries without an event are gathered into one message for each task.
const GATHER: Duration = Duration::from_millis(250);
/// The maximum number of such messages at a time. If there are more, the reader is told to read its list again.
const GATHERED_MAX: usize = 64;

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
    let last = last.map(|last| last.to_str().ok().and_then(|text| text.parse().ok()));
    let (sender, receiver) = mpsc::channel(MESSAGES_MAX);
    let cursor: Option<FollowCursor> = last.flatten().or(parameters.after);
    let begin = cursor.unwrap_or_default().through();
    let mut stream = Stream {
        // An id that cannot be read, or none of ours.
        must_resync: last == Some(None),
        begin,
        follower: Follower::new(FollowCursor::after(begin), parameters.search),
        gathered: BTreeSet::new(),
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

enum Interrupted {
    /// The reader is gone, or takes nothing.
    Closed,
    StoreFailed,
}

impl From<StoreError> for Interrupted {
    fn from(_: StoreError) -> Self {
        Self::StoreFailed
    }
}

struct Stream {
    must_resync: bool,
    begin: EventId,
    follower: Follower,
    /// Deliveries without an event that the reader is told about soon.
    gathered: BTreeSet<QuietDelivery>,
    sender: mpsc::Sender<Bytes>,
}

impl Stream {
    async fn run(&mut self, app: &App) -> Result<(), Interrupted> {
        let mut arrivals = app.feed.arrivals();
        let mut changes = app.feed.changes();
        let mut quiet = app.feed.quiet_deliveries();
        let mut comments = interval_at(Instant::now() + COMMENT_INTERVAL, COMMENT_INTERVAL);
        let mut rechecks = interval_at(Instant::now() + RECHECK, RECHECK);
        rechecks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut gathered_at = Instant::now();
        // The first byte leaves at once, so that the reader knows that it is connected.
        self.send(format!("retry: {RETRY_MS}\n\n")).await?;
        if self.must_resync || !self.is_begin_known(app).await {
            self.send(RESYNC.to_owned()).await?;
        }
        self.catch_up(app, None).await?;
        loop {
            tokio::select! {
                biased;
                () = self.sender.closed() => return Err(Interrupted::Closed),
                // Before what may be ready without a pause.
                _ = rechecks.tick() => self.catch_up(app, None).await?,
                _ = comments.tick() => self.send(": \n\n".to_owned()).await?,
                changed = changes.recv() => match changed {
                    Ok(change) => self.send(changed_message(&change)).await?,
                    Err(RecvError::Lagged(_)) => self.send(RESYNC.to_owned()).await?,
                    // The service owns the feed, so it is open as long as this.
                    Err(RecvError::Closed) => return Err(Interrupted::Closed),
                },
                delivery = quiet.recv() => match delivery {
                    Ok(delivery) => {
                        if self.gathered.is_empty() {
                            gathered_at = Instant::now();
                        }
                        self.gathered.insert(delivery);
                        if self.gathered.len() > GATHERED_MAX {
                            self.gathered.clear();
                            self.send(RESYNC.to_owned()).await?;
                        }
                    }
                    Err(RecvError::Lagged(_)) => self.send(RESYNC.to_owned()).await?,
                    Err(RecvError::Closed) => return Err(Interrupted::Closed),
                },
                () = sleep_until(gathered_at + GATHER), if !self.gathered.is_empty() => {
                    for delivery in std::mem::take(&mut self.gathered) {
                        self.send(delivered_message(&delivery)).await?;
                    }
                }
                // Its sender lives as long as the feed.
                _ = arrivals.changed() => self.catch_up(app, Some(NEAR)).await?,
            }
        }
    }

    /// Whether the store still has the events after the beginning: not if the first one is after it.
    async fn is_begin_known(&self, app: &App) -> bool {
        if self.begin.0 == 0 {
            return true;
        }
        let first = ListRequest::first(1, EventFilter::default());
        match app.store.list(&first).await {
            Ok(page) => page
                .records
                .first()
                .is_some_and(|first| first.id <= self.begin),
            // It is read again at once, which says so.
            Err(_) => true,
        }
    }

    /// Sends the events that are stored and were not sent. Those that became visible late are looked for
    /// among the last `numbers`, or all.
    async fn catch_up(&mut self, app: &App, numbers: Option<i64>) -> Result<(), Interrupted> {
        if let Err(interrupted) = self.send_events(app, numbers).await {
            return match interrupted {
                Interrupted::Closed => Err(interrupted),
                Interrupted::StoreFailed => self.send(": the store failed\n\n".to_owned()).await,
            };
        }
        match self.follower.take_overrun() {
            true => self.send(RESYNC.to_owned()).await,
            false => Ok(()),
        }
    }

    async fn send_events(&mut self, app: &App, numbers: Option<i64>) -> Result<(), Interrupted> {
        let (store, horizon, clock) = (&*app.store, &app.horizon, &*app.clock);
        loop {
            let before = self.follower.cursor().through();
            let found = self.follower.late(store, horizon, clock, numbers).await?;
            // Only the last message says that the others were sent.
            let after = self.follower.cursor().through();
            let count = found.records.len();
            for (place, record) in found.records.iter().enumerate() {
                let through = if place + 1 < count { before } else { after };
                self.send_event(through, record).await?;
            }
            if !found.has_more {
                break;
            }
        }
        loop {
            let found = self.follower.next(store, horizon, clock, LIMIT_MAX).await?;
            for record in &found.records {
                let through = self.follower.through(record.id);
                self.send_event(through, record).await?;
            }
            if !found.has_more {
                return Ok(());
            }
        }
    }

    async fn send_event(&self, through: EventId, record: &EventRecord) -> Result<(), Interrupted> {
        let event = json::event(record);
        self.send(format!("event: event\nid: {through}\ndata: {event}\n\n"))
            .await
    }

    async fn send(&self, message: String) -> Result<(), Interrupted> {
        let sending = timeout(PATIENCE, self.sender.send(message.into()));
        sending
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or(Interrupted::Closed)
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

/// As [`changed_message`], with what is known of a delivery.
fn delivered_message(delivery: &QuietDelivery) -> String {
    let data = json!({
        "id": null,
        "task_id": delivery.task.as_ref().map(|task| task.as_str()),
        "change": delivery.change,
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
