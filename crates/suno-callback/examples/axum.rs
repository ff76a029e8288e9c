//! A whole service on axum: it submits tasks, receives their callbacks, asks about those that are
//! missing, and stops in order.
//!
//! ```sh
//! SUNO_API_KEY=… SUNO_WEBHOOK_KEY=… PUBLIC_URL=https://app.example.com \
//!     cargo run -p suno-callback --features axum,client --example axum
//! curl -d 'Harbour lights' http://127.0.0.1:3000/songs
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use suno_callback::{
    Event, MemoryStore, Pipeline, Receiver, Submitter, Verification, handler_fn, router,
};
use suno_client::{ApiKey, Client};
use suno_types::{AddInstrumental, Provider};
use tokio::net::TcpListener;

/// What the handlers of requests share.
#[derive(Clone)]
struct App {
    submitter: Submitter,
    callback_url: Arc<str>,
}

/// Submits a song with the title in the body, and returns the id of its task.
async fn submit(State(app): State<App>, title: String) -> Result<String, (StatusCode, String)> {
    let request = AddInstrumental::builder()
        .upload_url("https://media.example.com/your-voice.mp3")
        .title(title)
        .tags("warm, acoustic")
        .negative_tags("heavy drums")
        .callback_url(&*app.callback_url)
        .build()
        .map_err(|err| (StatusCode::UNPROCESSABLE_ENTITY, err.to_string()))?;
    match app.submitter.submit(&request).await {
        Ok(submitted) => Ok(submitted.task_id.to_string()),
        Err(err) => Err((StatusCode::BAD_GATEWAY, err.to_string())),
    }
}

/// Serves until the stop. `axum::serve` bounds neither the number of connections nor the time that a
/// head may take: put a proxy in front of it, or use `Pipeline::serve`.
pub(crate) async fn run(
    listener: TcpListener,
    pipeline: Pipeline,
    public_url: &str,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let songs = pipeline.submitter().map(|submitter| {
        let app = App {
            submitter: submitter.clone(),
            callback_url: format!("{public_url}{}", Receiver::PATH).into(),
        };
        Router::new().route("/songs", post(submit)).with_state(app)
    });
    let app = Router::new()
        .route("/health", get(async || "fine"))
        .merge(songs.unwrap_or_default())
        // Takes every callback URL of the receiver, also those that name a submit.
        .merge(router(pipeline.receiver()));
    let served = axum::serve(listener, app)
        .with_graceful_shutdown(stop)
        .await;
    pipeline.stop().await;
    served
}

/// The value of an environment variable, or what is missing.
fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| format!("set {name}"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = Client::new(Provider::Kie, ApiKey::new(variable("SUNO_API_KEY")?)?)?;
    let handler = handler_fn(async |event: Event| {
        println!("{} with {} tracks", event.key(), event.tracks().len());
        Ok(())
    });
    let verification = Verification::webhook_key(variable("SUNO_WEBHOOK_KEY")?);
    // In production: a durable store, such as the one in suno-store-sqlite.
    let store = Arc::new(MemoryStore::new());
    let pipeline = Pipeline::builder(store, handler, verification)
        .with_client(client)
        .start()?;
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let stop = async { tokio::signal::ctrl_c().await.unwrap_or(()) };
    run(listener, pipeline, &variable("PUBLIC_URL")?, stop).await?;
    Ok(())
}
