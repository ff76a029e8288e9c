//! Callbacks as the provider sends them, signed.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use suno_types::TaskId;
use suno_types::signature::WebhookKey;

/// The webhook key of receivers under test.
pub const KEY: &str = "whk-testkit";
/// The size from which on a body has two tracks.
const TWO_TRACKS_BYTES: usize = 1_150;

/// A placeholder for an id: it has the same length, and occurs nowhere else in a request.
const ID: &str = "TTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTT";
const TIMESTAMP: &str = "SSSSSSSSSS";
const SIGNATURE: &str = "MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM";

/// Returns the body of a complete callback with one or two tracks, padded with lyrics to `bytes`.
#[must_use]
pub fn body(task: &str, bytes: usize) -> String {
    let write = |lyrics: &str| {
        let track = |place: u8| {
            format!(
                r#"{{"audio_url":"https://media.example.com/{task}-{place}.mp3","createTime":1780000000000,"duration":198.44,"id":"8551d662-0000-4000-8000-00000000000{place}","image_url":"https://media.example.com/{task}-{place}.jpeg","model_name":"chirp-v5","prompt":"[Verse] {lyrics}","source_audio_url":"https://cdn.example.com/{task}-{place}.mp3","stream_audio_url":"https://stream.example.com/{task}-{place}","tags":"warm, acoustic","title":"Harbour"}}"#
            )
        };
        let mut tracks = vec![track(0)];
        if bytes >= TWO_TRACKS_BYTES {
            tracks.push(track(1));
        }
        format!(
            r#"{{"code":200,"data":{{"callbackType":"complete","data":[{}],"task_id":"{task}"}},"msg":"All generated successfully."}}"#,
            tracks.join(",")
        )
    };
    let tracks = if bytes >= TWO_TRACKS_BYTES { 2 } else { 1 };
    let missing = bytes.saturating_sub(write("").len()) / tracks;
    let lyrics: String = "Rain on the harbour lights, "
        .chars()
        .cycle()
        .take(missing)
        .collect();
    write(&lyrics)
}

/// A request that is built once, and patched in a few places for each event: fast enough for a load
/// test.
#[derive(Debug)]
pub struct SignedRequest {
    bytes: Vec<u8>,
    ids: Vec<Range<usize>>,
    timestamp: Range<usize>,
    signature: Range<usize>,
    key: WebhookKey,
}

impl SignedRequest {
    /// Creates a request with a body of about this size, signed with [`KEY`].
    ///
    /// # Errors
    ///
    /// Returns an error if a part of the request cannot be found in it.
    pub fn new(body_bytes: usize) -> Result<Self> {
        let body = body(ID, body_bytes);
        let text = format!(
            "POST /suno/callback HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             x-webhook-timestamp: {TIMESTAMP}\r\nx-webhook-signature: {SIGNATURE}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let places = |name: &str| -> Vec<Range<usize>> {
            let found = text.match_indices(name);
            found.map(|(at, _)| at..at + name.len()).collect()
        };
        let one = |name| {
            places(name)
                .pop()
                .context("a part of the request is missing")
        };
        Ok(Self {
            ids: places(ID),
            timestamp: one(TIMESTAMP)?,
            signature: one(SIGNATURE)?,
            key: WebhookKey::new(KEY),
            bytes: text.into_bytes(),
        })
    }

    /// Returns the request for a task whose id has 32 characters, signed now.
    ///
    /// # Errors
    ///
    /// Returns an error if the id has another length.
    pub fn for_task(&mut self, task: &str) -> Result<&[u8]> {
        ensure!(task.len() == ID.len(), "the task id has another length");
        let now = SystemTime::UNIX_EPOCH.elapsed()?.as_secs();
        let signature = self.key.sign(&TaskId::new(task)?, now);
        for place in &self.ids {
            self.bytes[place.clone()].copy_from_slice(task.as_bytes());
        }
        self.bytes[self.timestamp.clone()].copy_from_slice(now.to_string().as_bytes());
        self.bytes[self.signature.clone()].copy_from_slice(signature.as_bytes());
        Ok(&self.bytes)
    }
}

/// Returns a small complete callback of a task, signed now.
#[must_use]
pub fn request(address: SocketAddr, key: &WebhookKey, task: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"code":200,"msg":"ok","data":{{"callbackType":"complete","task_id":"{task}","data":[{{"id":"a","audio_url":"https://media.example.com/a.mp3","duration":12.5}}]}}}}"#
    );
    (head(address, &signature_headers(key, task), body.len()) + &body).into_bytes()
}

/// Returns the head of a callback; `headers` is empty or consists of whole header lines.
#[must_use]
pub fn head(address: SocketAddr, headers: &str, body_bytes: usize) -> String {
    format!(
        "POST /suno/callback HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         {headers}content-length: {body_bytes}\r\n\r\n"
    )
}

/// Returns the header lines of a signature made now. Text that is not a task id is not signed.
#[must_use]
pub fn signature_headers(key: &WebhookKey, task: &str) -> String {
    let now = SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
        .as_secs();
    let signature = TaskId::new(task).map(|task| key.sign(&task, now));
    format!(
        "x-webhook-timestamp: {now}\r\nx-webhook-signature: {}\r\n",
        signature.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use suno_types::Callback;
    use suno_types::signature::{SignatureHeaders, verify};

    use super::*;

    #[test]
    fn a_body_is_a_callback_of_the_size_that_was_asked_for() {
        for bytes in [700, 1_060, 1_150, 1_700, 65_536] {
            let body = body(&"a".repeat(32), bytes);
            assert!(body.len().abs_diff(bytes) < 40, "{bytes}: {}", body.len());
            let callback = Callback::decode(body.as_bytes()).unwrap();
            assert_eq!(callback.stage().as_str(), "complete");
        }
    }

    #[test]
    fn a_request_for_a_task_is_signed_for_it_and_names_no_other() {
        let mut request = SignedRequest::new(1_100).unwrap();
        request.for_task(&"a".repeat(32)).unwrap();
        let task = "b".repeat(32);
        let bytes = request.for_task(&task).unwrap().to_vec();
        let text = std::str::from_utf8(&bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(!text.contains("aaaa"));
        assert!(head.ends_with(&format!("content-length: {}", body.len())));
        let pairs = head.lines().filter_map(|line| line.split_once(": "));
        let pairs = pairs.map(|(name, value)| (name, value.as_bytes()));
        let headers = SignatureHeaders::find(pairs).unwrap();
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let window = std::time::Duration::from_secs(10);
        verify(&[WebhookKey::new(KEY)], &task, headers, now, window).unwrap();
    }
}
