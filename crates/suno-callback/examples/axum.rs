//! A receiver inside an axum application.
//!
//! ```sh
//! SUNO_WEBHOOK_KEY=… cargo run -p suno-callback --example axum
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use suno_callback::{
    CallbackService, Dispatcher, Event, Inbox, MemoryStore, Receiver, Verification, handler_fn,
};
use tokio::net::TcpListener;

/// The application: the callback URL beside routes of its own.
///
/// With a token in the URL, the route is `/suno/callback/{token}`.
fn app(receiver: Receiver) -> Router {
    Router::new()
        .route("/health", get(async || "fine"))
        .route_service(Receiver::PATH, CallbackService::new(receiver))
}

/// Serves until the stop. `axum::serve` bounds neither the number of connections nor the time of a
/// head: leave that to a proxy in front, or use `suno_callback::serve`.
pub(crate) async fn run(
    listener: TcpListener,
    receiver: Receiver,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, app(receiver))
        .with_graceful_shutdown(stop)
        .await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let key = std::env::var("SUNO_WEBHOOK_KEY")?;
    // In production: a durable store, such as the one in suno-store-sqlite.
    let inbox = Inbox::start(Arc::new(MemoryStore::new()));
    let dispatcher = Dispatcher::new(
        inbox.clone(),
        handler_fn(async |event: Event| {
            println!("{} with {} tracks", event.key(), event.tracks().len());
            Ok(())
        }),
    )
    .start();
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}{}", listener.local_addr()?, Receiver::PATH);
    let receiver = Receiver::new(inbox, Verification::webhook_key(key));
    let stop = async { tokio::signal::ctrl_c().await.unwrap_or(()) };
    run(listener, receiver, stop).await?;
    dispatcher.stop().await;
    Ok(())
}
