//! A receiver inside a hyper server of your own, beside other paths.
//!
//! If callbacks are all that is served, `Pipeline::serve` does this in one call.
//!
//! ```sh
//! SUNO_WEBHOOK_KEY=… cargo run -p suno-callback --example hyper
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use suno_callback::{
    CallbackService, Event, MemoryStore, Pipeline, Receiver, Verification, handler_fn,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// How many connections are open at the same time.
const CONNECTIONS_MAX: usize = 1_024;
/// How long a head may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The callback URL beside paths of its own.
async fn answer(
    callbacks: CallbackService,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(match request.uri().path() {
        "/health" => Response::new(Full::from("fine")),
        // The receiver answers every other path with 404.
        _ => callbacks.answer(request).await,
    })
}

/// Serves until the stop.
pub(crate) async fn run(listener: TcpListener, receiver: Receiver, stop: impl Future<Output = ()>) {
    let callbacks = CallbackService::new(receiver);
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    tokio::pin!(stop);
    loop {
        let accept = async {
            let permit = room.clone().acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            () = &mut stop => return,
            accepted = accept => accepted,
        };
        let callbacks = callbacks.clone();
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(async move {
                    talk(stream, callbacks).await;
                    drop(permit);
                });
            }
            // Such as for want of file handles: some will be closed soon.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn talk(stream: TcpStream, callbacks: CallbackService) {
    let service = service_fn(move |request| answer(callbacks.clone(), request));
    // How a connection ends is of no interest: a callback that was not answered comes again.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let key = std::env::var("SUNO_WEBHOOK_KEY").map_err(|_| "set SUNO_WEBHOOK_KEY")?;
    let handler = handler_fn(async |event: Event| {
        println!("{} with {} tracks", event.key(), event.tracks().len());
        Ok(())
    });
    // In production: a durable store, such as the one in suno-store-sqlite.
    let store = Arc::new(MemoryStore::new());
    let pipeline = Pipeline::builder(store, handler, Verification::webhook_key(key)).start()?;
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}{}", listener.local_addr()?, Receiver::PATH);
    let stop = async { tokio::signal::ctrl_c().await.unwrap_or(()) };
    run(listener, pipeline.receiver(), stop).await;
    pipeline.stop().await;
    Ok(())
}
