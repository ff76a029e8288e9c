//! Receivers with known defects, to show that the limits detect them.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use bytes::Bytes;
use clap::ValueEnum;
use http::{Request, Response, StatusCode};
use suno_callback::{
    CallbackHandler, Event, HandlerError, Pipeline, Receiver, Verification, async_trait,
};
use suno_store_sqlite::SqliteStore;
use suno_testkit::callback::KEY;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::scenario::Scenario;
use crate::printing::{print_handled, print_listening};

/// The defect of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Defect {
    /// Each body is read and decoded before its headers are checked
    HeaderChecks,
    /// Each rejected request writes a line to stderr before the response
    LogThread,
}

impl Defect {
    /// Returns the scenario that must detect it.
    pub(super) fn caught_by(self) -> Scenario {
        match self {
            Self::HeaderChecks => Scenario::Unsigned,
            Self::LogThread => Scenario::Refusals,
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// Receives until it is asked to stop, and prints the handled events.
///
/// # Errors
///
/// Returns an error if it cannot listen or open the store.
pub(crate) async fn receive(defect: Defect, file: &Path) -> Result<()> {
    let store = Arc::new(SqliteStore::open(file)?);
    let pipeline = Pipeline::builder(store, Printer, Verification::webhook_key(KEY)).start()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    print_listening(listener.local_addr()?)?;
    let app = match defect {
        Defect::HeaderChecks => Router::new().fallback(decode_first),
        Defect::LogThread => Router::new().fallback(log_before_the_answer),
    };
    let mut terminate = signal(SignalKind::terminate())?;
    axum::serve(listener, app.with_state(pipeline.receiver()))
        .with_graceful_shutdown(async move {
            terminate.recv().await;
        })
        .await
        .context("the receiver could not serve")?;
    pipeline.stop().await;
    Ok(())
}

async fn decode_first(State(receiver): State<Receiver>, request: Request<Body>) -> Response<Body> {
    let request = match read(request).await {
        Ok(request) => request,
        Err(refused) => return refused,
    };
    let decoded: Result<serde_json::Value, _> = serde_json::from_slice(request.body());
    if decoded.is_err() {
        return refusal(StatusCode::BAD_REQUEST);
    }
    receiver.receive(request).await.map(Body::from)
}

async fn log_before_the_answer(
    State(receiver): State<Receiver>,
    request: Request<Body>,
) -> Response<Body> {
    let request = match read(request).await {
        Ok(request) => request,
        Err(refused) => return refused,
    };
    let response = receiver.receive(request).await;
    if response.status() != StatusCode::OK {
        let _ = writeln!(
            io::stderr(),
            "a callback was rejected: {}",
            response.status()
        );
    }
    response.map(Body::from)
}

async fn read(request: Request<Body>) -> Result<Request<Bytes>, Response<Body>> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, Receiver::BODY_BYTES_MAX).await;
    let body = body.map_err(|_| refusal(StatusCode::BAD_REQUEST))?;
    Ok(Request::from_parts(head, body))
}

fn refusal(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A handler that prints a line for each event.
#[derive(Debug)]
struct Printer;

#[async_trait]
impl CallbackHandler for Printer {
    async fn on_complete(&self, event: &Event) -> Result<(), HandlerError> {
        Ok(print_handled(event)?)
    }

    async fn on_failed(&self, event: &Event) -> Result<(), HandlerError> {
        Ok(print_handled(event)?)
    }
}
