//! A receiver inside an actix-web application, which has another version of the `http` crate: the
//! request is passed in plain types.
//!
//! ```sh
//! SUNO_WEBHOOK_KEY=… cargo run -p suno-callback --example actix
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use suno_callback::{
    Event, MemoryStore, Pipeline, PlainResponse, Receiver, Verification, handler_fn,
};

/// Answers a callback. The body is not read unless the head was admitted.
async fn callback(
    receiver: Data<Receiver>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let lines = request.headers().iter();
    let lines = lines.map(|(name, value)| (name.as_str(), value.as_bytes()));
    let (method, target) = (request.method().as_str(), request.uri().to_string());
    let admitted = match receiver.admit_plain(method, &target, lines) {
        Ok(admitted) => admitted,
        Err(refused) => return reply(refused),
    };
    match payload.to_bytes_limited(receiver.body_bytes_max()).await {
        Ok(Ok(body)) => reply(receiver.receive_body(admitted, body).await.into()),
        Ok(Err(_)) => HttpResponse::BadRequest().finish(),
        Err(_) => HttpResponse::PayloadTooLarge().finish(),
    }
}

fn reply(plain: PlainResponse) -> HttpResponse {
    let status = StatusCode::from_u16(plain.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    for header in plain.headers {
        response.insert_header(header);
    }
    response.body(plain.body)
}

/// The server: the callback URL, with whatever a token and a submit append to it, beside other paths.
pub(crate) fn server(listener: TcpListener, receiver: Receiver) -> io::Result<Server> {
    let path = receiver.path().to_owned();
    let receiver = Data::new(receiver);
    let app = move || {
        App::new()
            .app_data(receiver.clone())
            .route("/health", web::get().to(async || "fine"))
            .service(web::resource([path.clone(), format!("{path}/{{rest:.*}}")]).to(callback))
    };
    Ok(HttpServer::new(app).workers(1).listen(listener)?.run())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let key = std::env::var("SUNO_WEBHOOK_KEY").map_err(|_| "set SUNO_WEBHOOK_KEY")?;
    let handler = handler_fn(async |event: Event| {
        println!("{} with {} tracks", event.key(), event.tracks().len());
        Ok(())
    });
    // In production: a durable store, such as the one in suno-store-sqlite.
    let store = Arc::new(MemoryStore::new());
    let pipeline = Pipeline::builder(store, handler, Verification::webhook_key(key)).start()?;
    // It stops on ctrl-c.
    server(TcpListener::bind("127.0.0.1:3000")?, pipeline.receiver())?.await?;
    pipeline.stop().await;
    Ok(())
}
