//! Integration tests, against a server on loopback that plays scripts.

#![allow(clippy::expect_used, reason = "a test stops at what must not happen")]

mod canary;
mod clock;
mod docs;
mod download;
mod fixtures;
#[cfg(target_os = "linux")]
mod memory;
mod outputs;
mod passing;
mod proxy;
mod record;
mod route;
mod server;
mod submit;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod tls;
mod transport;
mod upload;
mod wait;

use std::time::Duration;

use suno_client::{ApiKey, Client, ClientBuilder, Retry};
use suno_types::{AddInstrumental, Provider, TaskId};

use crate::server::Server;

pub(crate) const KEY: &str = "sk-canary-5f1d0c";
pub(crate) const TASK: &str = "b36e1365439a3fa0741b1aa0fa6a34da";
pub(crate) const TAKEN: &str =
    r#"{"code":200,"msg":"success","data":{"taskId":"b36e1365439a3fa0741b1aa0fa6a34da"}}"#;

/// A record of a task of which nothing is known yet.
pub(crate) const PENDING: &str = r#"{"code":200,"msg":"success","data":{"taskId":"b36e1365439a3fa0741b1aa0fa6a34da","status":"PENDING","response":null,"errorCode":null}}"#;
/// The answer to a poll for a task that the provider does not know.
pub(crate) const INVISIBLE: &str = r#"{"code":200,"msg":"success","data":null}"#;

/// A record with a status and tracks, each with its audio URL.
pub(crate) fn status(status: &str, urls: &[&str]) -> String {
    let tracks: Vec<String> = urls
        .iter()
        .map(|url| format!(r#"{{"audioUrl":"{url}"}}"#))
        .collect();
    let tracks = tracks.join(",");
    PENDING.replace("PENDING", status).replace(
        r#""response":null"#,
        &format!(r#""response":{{"sunoData":[{tracks}]}}"#),
    )
}

pub(crate) fn task() -> TaskId {
    TaskId::new(TASK).expect("an id")
}

/// A client that asks `server` and pauses shortly between attempts.
pub(crate) fn client(server: &Server) -> Client {
    client_at(&server.url())
}

pub(crate) fn client_at(url: &str) -> Client {
    builder_at(url).build().expect("a client")
}

/// The settings of [`client`], to change them.
pub(crate) fn builder(server: &Server) -> ClientBuilder {
    builder_at(&server.url())
}

pub(crate) fn builder_at(url: &str) -> ClientBuilder {
    let key = ApiKey::new(KEY).expect("a key");
    Client::builder(Provider::Kie, key)
        .base_url(url)
        .retry(Retry::new().with_base(Duration::from_millis(1)))
}

pub(crate) fn instrumental() -> AddInstrumental {
    AddInstrumental::builder()
        .upload_url("https://files.example.com/hum.mp3")
        .title("Harbour")
        .tags("ambient, piano")
        .negative_tags("drums")
        .callback_url("https://app.example.com/hooks/suno?token=t0ken-canary")
        .build()
        .expect("a request")
}
