//! A task that was never submitted, for the examples of the description.

use fastrand::Rng;
use serde_json::{Value, json};

use crate::body::{BodyStyle, callback, envelope, product, record};
use crate::operation::{Operation, Product, Route};
use crate::profile::Profile;
use crate::task::facts::{Facts, TrackFacts};
use crate::task::life::Record;
use crate::task::plan::{Content, Tracks};
use crate::task::submission::Submission;

const TASK_ID: &str = "5c790000000000000000000000000001";
const CREATED_UNIX_MS: u64 = 1_780_000_000_000;
const COMPLETED_UNIX_MS: u64 = CREATED_UNIX_MS + 90_000;
const CREDITS_LEFT: u64 = 998_800;
/// The usual number of tracks of a song.
const SONG_TRACKS: usize = 2;

/// A finished task of an operation.
pub(super) struct Sample {
    facts: Facts,
    style: BodyStyle,
}

impl Sample {
    /// Returns `None` if the example of the operation is not accepted, which a test rules out.
    pub(super) fn new(
        profile: Profile,
        operation: &'static Operation,
        route: Route,
    ) -> Option<Self> {
        let body = operation.example(route).to_string();
        let submission = match route {
            Route::Direct => Submission::read_direct(profile, operation, body.as_bytes()),
            Route::Jobs => Submission::read_jobs(profile, body.as_bytes()),
        };
        let mut rng = Rng::with_seed(1);
        let count = match operation.product.is_song() {
            true => SONG_TRACKS,
            false => operation.product.file_count(),
        };
        let facts = Facts {
            task_id: TASK_ID.to_owned(),
            submission: submission.ok()?,
            tracks: (0..count).map(|_| TrackFacts::draw(&mut rng)).collect(),
            created_unix_ms: CREATED_UNIX_MS,
            tracks_unix_ms: Some(COMPLETED_UNIX_MS),
            completed_unix_ms: Some(COMPLETED_UNIX_MS),
            credits_consumed: operation.price,
            credits_left: CREDITS_LEFT,
            is_voice_available: true,
            has_extra_members: false,
            has_record_shape: false,
            restarts: 0,
            words: String::new(),
        };
        let style = BodyStyle {
            is_documented: false,
            media_base: "http://127.0.0.1:4010".to_owned(),
            profile,
        };
        Some(Self { facts, style })
    }

    /// Returns the answer to the submit.
    pub(super) fn answer(&self) -> Value {
        let submission = &self.facts.submission;
        let name = match submission.route {
            Route::Direct => submission.product().task_id_name(),
            Route::Jobs => Product::Song.task_id_name(),
        };
        let data = match submission.is_immediate() {
            true => product::immediate(&self.facts, &self.style),
            false => json!({ name: self.facts.task_id }),
        };
        envelope::success(data)
    }

    /// Returns the last callback.
    pub(super) fn callback(&self) -> Value {
        let content = Content::Stage {
            callback_type: "complete".into(),
            message: "All generated successfully.".into(),
            tracks: Tracks::Ready,
        };
        callback::render(&self.facts, &content, &self.style)
    }

    /// Returns the answer to a poll.
    pub(super) fn record(&self) -> Value {
        let record = Record {
            status: "SUCCESS".into(),
            tracks: Tracks::Ready,
            failure: None,
            is_visible: true,
        };
        record::reply(&self.facts, "SUCCESS", &record, &self.style)
    }
}

#[cfg(test)]
mod tests {
    use super::Sample;
    use crate::operation::{OPERATIONS, Route};
    use crate::profile::Profile;

    #[test]
    fn the_example_of_every_operation_is_accepted_on_both_routes() {
        for operation in OPERATIONS {
            for profile in [Profile::Kie, Profile::SunoApi] {
                for route in [Route::Direct, Route::Jobs] {
                    let sample = Sample::new(profile, operation, route);
                    assert!(sample.is_some(), "{} {route:?}", operation.path);
                }
            }
        }
    }
}
