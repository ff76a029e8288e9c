//! A typical hand-written Rust receiver: axum, `Json` of its own struct, the signature
//! checked with hmac and sha2, and a set in memory.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::Result;
use axum::Router;
use axum::extract::{Json, State};
use axum::routing::post;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use sha2::Sha256;
use tokio::net::TcpListener;

use suno_testkit::callback::KEY;

/// The maximum difference between a timestamp and now, in seconds.
const WINDOW: u64 = 300;

#[derive(Debug, Deserialize)]
struct Callback {
    code: u16,
    data: Data,
}

#[derive(Debug, Deserialize)]
struct Data {
    #[serde(rename = "callbackType")]
    callback_type: String,
    task_id: String,
    #[serde(default)]
    data: Vec<Track>,
}

#[derive(Debug, Deserialize)]
struct Track {
    id: String,
    title: String,
    audio_url: String,
    duration: f64,
}

type KnownKeys = Arc<Mutex<HashSet<(String, String)>>>;

pub(super) async fn serve(listener: TcpListener) -> Result<()> {
    let app = Router::new()
        .route("/suno/callback", post(receive))
        .with_state(KnownKeys::default());
    axum::serve(listener, app).await?;
    Ok(())
}

async fn receive(
    State(seen): State<KnownKeys>,
    headers: HeaderMap,
    Json(callback): Json<Callback>,
) -> StatusCode {
    if !is_signed(&headers, &callback.data.task_id) {
        return StatusCode::UNAUTHORIZED;
    }
    let data = callback.data;
    let key = (data.task_id, data.callback_type);
    let is_new = seen
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(key);
    if is_new && callback.code == 200 {
        for track in data.data {
            look_at(&track);
        }
    }
    StatusCode::OK
}

/// Keeps the compiler from removing the decoding of the tracks.
fn look_at(track: &Track) {
    std::hint::black_box((&track.id, &track.title, &track.audio_url, track.duration));
}

fn is_signed(headers: &HeaderMap, task_id: &str) -> bool {
    let header = |name| headers.get(name)?.to_str().ok();
    let (Some(timestamp), Some(signature)) =
        (header("x-webhook-timestamp"), header("x-webhook-signature"))
    else {
        return false;
    };
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let is_fresh = timestamp
        .parse::<u64>()
        .is_ok_and(|at| at.abs_diff(now.as_secs()) <= WINDOW);
    let (Ok(mut mac), Ok(signature)) = (
        Hmac::<Sha256>::new_from_slice(KEY.as_bytes()),
        BASE64_STANDARD.decode(signature),
    ) else {
        return false;
    };
    mac.update(format!("{task_id}.{timestamp}").as_bytes());
    is_fresh && mac.verify_slice(&signature).is_ok()
}
