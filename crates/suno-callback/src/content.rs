//! The content of a body, as far as stores and the order of stages need it.

use std::fmt;

use sha2::{Digest, Sha256};
use suno_types::{
    Callback, CallbackRef, Code, DecodeError, Peek, Product, Stage, TaskId, TrackRef,
};

use crate::key::EventKey;

/// The decoded content of a body.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Content {
    /// A report of a stage of a task.
    #[non_exhaustive]
    Event {
        /// The task and the stage, with revision 0: the store numbers revisions.
        key: EventKey,
        /// The code that was sent.
        code: Code,
        /// The fingerprint of the reported content.
        semantic: Fingerprint,
        /// The number of results of the task that are ready, such as the ready tracks of a song; the
        /// greatest number that fits if there are more. Of two deliveries of a stage, the one with
        /// more results says more. A failure has none.
        results: u16,
        /// What the task makes.
        product: Product,
    },
    /// A body from a trusted sender that could not be decoded; its bytes are kept.
    #[non_exhaustive]
    Quarantined {
        /// The task, if at least that could be read.
        task_id: Option<TaskId>,
        /// The reason why the body could not be decoded.
        reason: DecodeError,
    },
}

impl Content {
    /// Creates the content for the event that a callback reports.
    pub(crate) fn event(callback: &CallbackRef<'_>) -> Self {
        let product = callback.product();
        let others = callback.results().filter(|_| product != Product::SONG);
        Self::Event {
            results: results(&callback.stage(), callback.result_count()),
            key: EventKey::new(callback.to_task_id(), callback.stage()),
            code: callback.code(),
            semantic: Fingerprint::semantic(
                callback.code(),
                callback.error(),
                &product,
                callback.tracks(),
                others,
            ),
            product,
        }
    }

    /// Decodes a body. If that fails, still tries to read the task.
    pub(crate) fn decode(body: &[u8]) -> Self {
        match CallbackRef::decode(body) {
            Ok(callback) => Self::event(&callback),
            Err(reason) => {
                let task_id = Peek::callback(body).ok().map(|peek| peek.task_id);
                Self::undecodable(reason, task_id.as_deref())
            }
        }
    }

    /// Creates the content for the event that an owned callback reports.
    pub(crate) fn of_callback(callback: &Callback) -> Self {
        let product = callback.product();
        let tracks = callback.tracks.iter().map(TrackRef::from);
        let others = callback.results().filter(|_| product != Product::SONG);
        Self::Event {
            results: results(&callback.stage(), callback.result_count()),
            key: EventKey::new(callback.task_id.clone(), callback.stage()),
            code: callback.code,
            semantic: Fingerprint::semantic(
                callback.code,
                callback.error.as_deref(),
                &product,
                tracks,
                others,
            ),
            product,
        }
    }

    /// Tells successes apart in which nothing was understood, by the fingerprint of the body: what
    /// they say is unknown, so that only the same bytes certainly say the same. If they do not even
    /// have a word for their stage, the fingerprint becomes part of it. Otherwise all of them would
    /// be one event.
    pub(crate) fn told_apart_by(mut self, body: Fingerprint) -> Self {
        if let Self::Event {
            key,
            semantic,
            results: 0,
            ..
        } = &mut self
        {
            match key.stage() {
                Stage::Other(word) if &**word == UNSPECIFIED => {
                    let hash = body.0[..STAGE_HASH_BYTES].iter();
                    let hash: String = hash.map(|byte| format!("{byte:02x}")).collect();
                    let stage = Stage::Other(format!("{UNSPECIFIED}-{hash}").into());
                    *key = EventKey::new(key.task_id().clone(), stage);
                }
                Stage::Complete | Stage::Other(_) => *semantic = body,
                _ => {}
            }
        }
        self
    }

    /// Creates the content for a body that cannot be decoded but may name a task.
    pub(crate) fn undecodable(reason: DecodeError, task_id: Option<&str>) -> Self {
        let task_id = task_id.and_then(|id| TaskId::new(id).ok());
        Self::Quarantined { task_id, reason }
    }
}

/// The number of results that count for saying more. A failure has none: otherwise a second one could
/// be a revision, and handled again, with whatever is refunded then.
pub(crate) fn results(stage: &Stage, ready: usize) -> u16 {
    match stage {
        Stage::Failed => 0,
        _ => u16::try_from(ready).unwrap_or(u16::MAX),
    }
}

/// The word for the stage of a callback that says success and has no word for its stage.
const UNSPECIFIED: &str = "unspecified";
/// The number of bytes of a body's fingerprint in such a stage: 16 hexadecimal digits.
const STAGE_HASH_BYTES: usize = 8;

/// The number of bytes of each text of a track that its fingerprint covers, besides the length. Words
/// can be long, and hashing them would be a quarter of the work of receiving.
const TEXT_BYTES: usize = 128;

/// A hash of 16 bytes that identifies what was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 16]);

/// 32 lower-case hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Fingerprint {
    fn of(hash: Sha256) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        Self(bytes)
    }

    /// Hashes the raw bytes.
    pub(crate) fn strict(body: &[u8]) -> Self {
        Self::of(Sha256::new_with_prefix(body))
    }

    /// Hashes the meaning of the body: the code, the reason of a failure, and of each track its id,
    /// duration, title, tags, words, and the URL of its audio without the query, which the provider may
    /// sign anew for each delivery; of long texts their length and their beginning. Of other products: also the product and the text of each result.
    /// The formatting of the body is left out, and so is what is less than the result, such as covers.
    fn semantic<'a>(
        code: Code,
        error: Option<&str>,
        product: &Product,
        tracks: impl Iterator<Item = TrackRef<'a>>,
        results: impl Iterator<Item: AsRef<str>>,
    ) -> Self {
        let mut hash = Sha256::new();
        hash.update(code.0.to_be_bytes());
        if let Some(error) = error {
            hash.update(error.len().to_be_bytes());
            hash.update(error);
        }
        for track in tracks {
            hash.update(track.duration.unwrap_or(-1.0).to_be_bytes());
            hash.update([u8::from(track.is_ready)]);
            let url = track.audio_url.unwrap_or_default();
            let url = url.split(['?', '#']).next();
            for text in [track.id, url, track.title, track.tags, track.prompt] {
                let text = text.unwrap_or_default().as_bytes();
                hash.update(text.len().to_be_bytes());
                hash.update(&text[..text.len().min(TEXT_BYTES)]);
            }
        }
        if *product != Product::SONG {
            let mut add = |text: &str| {
                hash.update(text.len().to_be_bytes());
                hash.update(text);
            };
            add(product.as_str());
            results.for_each(|text| add(text.as_ref()));
        }
        Self::of(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fingerprints are stored in files and compared with those of later versions, so they must not
    /// change.
    #[test]
    fn what_is_said_has_the_fingerprint_that_it_always_had() {
        let text = |text: &str| [&text.len().to_be_bytes()[..], text.as_bytes()].concat();
        let hash = [
            &200_i64.to_be_bytes()[..],
            &198.44_f64.to_be_bytes(),
            &[1],
            &["t-1", "https://a.example/1.mp3", "x", "", ""]
                .map(text)
                .concat(),
            // A track about which nothing is known.
            &(-1.0_f64).to_be_bytes(),
            &[0],
            &[""; 5].map(text).concat(),
        ]
        .concat();
        let expected = Fingerprint::strict(&hash);
        let body = br#"{"code":200,"data":{"task_id":"5c79","callbackType":"first","data":[
            {"id":"t-1","duration":198.44,"audio_url":"https://a.example/1.mp3?sign=1","title":"x"},null]}}"#;
        let callback = CallbackRef::decode(body).unwrap();
        let (results, product) = (std::iter::empty::<&str>(), Product::SONG);
        let semantic =
            Fingerprint::semantic(callback.code(), None, &product, callback.tracks(), results);
        assert_eq!(semantic, expected);
        let hex: String = semantic.0.map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(hex, "2ec2b77344893cf5f14287e8286a9085");
    }

    #[test]
    fn other_products_are_told_apart_by_their_results() {
        let print = |product: Product, results: &[&str]| {
            let results = results.iter().copied();
            Fingerprint::semantic(Code::SUCCESS, None, &product, std::iter::empty(), results)
        };
        let hash = [
            &200_i64.to_be_bytes()[..],
            &6_u64.to_be_bytes(),
            b"lyrics",
            &2_u64.to_be_bytes(),
            b"la",
        ]
        .concat();
        assert_eq!(print(Product::LYRICS, &["la"]), Fingerprint::strict(&hash));
        assert_ne!(
            print(Product::LYRICS, &["la"]),
            print(Product::WAV, &["la"])
        );
        assert_ne!(
            print(Product::LYRICS, &["l", "a"]),
            print(Product::LYRICS, &["la", ""])
        );
    }

    fn results_of(word: &str, tracks: &str) -> u16 {
        let body = format!(
            r#"{{"code":200,"data":{{"task_id":"5c79","callbackType":"{word}","data":[{tracks}]}}}}"#
        );
        match Content::decode(body.as_bytes()) {
            Content::Event { results, .. } => results,
            Content::Quarantined { reason, .. } => panic!("{reason}"),
        }
    }

    #[test]
    fn the_results_of_songs_are_the_tracks_that_are_ready() {
        let ready = r#"{"id":"a","audio_url":"https://a.example/1.mp3"}"#;
        let unready = r#"{"id":"b","audio_url":""}"#;
        assert_eq!(results_of("text", ""), 0);
        assert_eq!(results_of("first", &format!("{ready},{unready}")), 1);
        assert_eq!(results_of("complete", &format!("{ready},{ready}")), 2);
        assert_eq!(results_of("error", ready), 0);
    }

    #[test]
    fn callbacks_without_a_word_for_their_stage_are_told_apart_by_their_bytes() {
        let key = |cost: u32| {
            let body = format!(r#"{{"code":200,"data":{{"task_id":"5c79","cost":{cost}}}}}"#);
            let body = body.as_bytes();
            match Content::decode(body).told_apart_by(Fingerprint::strict(body)) {
                Content::Event { key, .. } => key,
                Content::Quarantined { reason, .. } => panic!("{reason}"),
            }
        };
        assert_eq!(key(1), key(1));
        assert_ne!(key(1), key(2));
        let word = key(1).stage().to_string();
        let hash = word.strip_prefix("unspecified-").unwrap();
        assert_eq!(hash.len(), 16, "{word}");
        assert_eq!(Stage::from(&*word), *key(1).stage());
    }
}
