//! Requests that read: polls, credits, media.

use serde_json::Value;

use std::time::Duration;

use super::Provider;
use super::reply::{Reply, ReplyPlan};
use crate::body::{envelope, product, record};
use crate::clock::Moment;
use crate::fault::exchange::{MediaFault, PollFault};
use crate::operation::{Product, Route};
use crate::profile::Refusal;
use crate::task::facts::Facts;
use crate::task::plan::Tracks;
use crate::task::submission::Submission;

/// A media file of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MediaFile {
    pub(crate) track_id: String,
    pub(crate) kind: MediaKind,
    pub(crate) fault: Option<MediaFault>,
}

/// The kind of a media file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MediaKind {
    Audio {
        duration_cs: u32,
    },
    /// Audio in an MPEG-4 container.
    M4a,
    Video,
    Image,
}

/// The path at which a task is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordTarget {
    /// The path of a product.
    Direct(Product),
    /// `jobs/recordInfo`.
    Jobs,
}

impl RecordTarget {
    fn holds(self, submission: &Submission) -> bool {
        match self {
            Self::Direct(product) => {
                submission.route == Route::Direct && submission.product() == product
            }
            Self::Jobs => submission.route == Route::Jobs,
        }
    }

    /// Returns the parameter with the task id.
    pub(crate) fn task_id_name(self) -> &'static str {
        match self {
            Self::Direct(product) => product.task_id_name(),
            Self::Jobs => Product::Song.task_id_name(),
        }
    }

    /// Returns the envelope of a poll that finds no task (`PROTOCOL.md 4.6`).
    fn nothing(self) -> Value {
        match self {
            Self::Direct(_) => envelope::success(Value::Null),
            Self::Jobs => envelope::no_record(),
        }
    }
}

impl Provider {
    /// Answers a poll (`PROTOCOL.md 4.1`).
    pub(crate) fn record(&mut self, now: Moment, target: RecordTarget, task_id: &str) -> ReplyPlan {
        let has_limits = self.settings.has_rate_limits;
        let number = self.numbers.get(task_id);
        let found = number.and_then(|number| self.tasks.get_mut(number));
        let Some(entry) = found.filter(|entry| target.holds(&entry.task.facts.submission)) else {
            return Reply::Envelope(200, target.nothing()).into();
        };
        if has_limits && !entry.polls.take(now.unix_ms) {
            return self.refused(200, &Refusal::RateLimited).into();
        }
        let delay_ms = match entry.take_poll_fault() {
            Some(PollFault::Html) => return Reply::Html502.into(),
            Some(PollFault::Cut) => return Reply::Cut.into(),
            Some(PollFault::RateLimited) => {
                return self.refused(200, &Refusal::RateLimited).into();
            }
            Some(PollFault::Slow { delay_ms }) => delay_ms,
            None => 0,
        };
        let task = &entry.task;
        let envelope = if task.life.record().is_visible {
            record::reply(
                &task.facts,
                task.status(),
                task.life.record(),
                &self.settings.style,
            )
        } else {
            target.nothing()
        };
        let reply = Reply::Envelope(200, envelope);
        ReplyPlan {
            delay: Duration::from_millis(delay_ms),
            ..reply.into()
        }
    }

    /// Returns the credits that are left (`PROTOCOL.md 4.15`).
    pub(crate) fn credits(&self) -> Value {
        envelope::success(self.credits.left())
    }

    /// Finds the file at `/media/TASK/KIND-N.ENDING`. An audio file exists from the moment at which
    /// a callback or a poll names it.
    pub(crate) fn medium(&mut self, path: &str) -> Option<MediaFile> {
        let (task_id, name) = path.strip_prefix("/media/")?.split_once('/')?;
        let (kind_and_position, ending) = name.rsplit_once('.')?;
        let (kind, position) = kind_and_position.rsplit_once('-')?;
        let index = position.parse::<usize>().ok()?.checked_sub(1)?;
        let entry = self.entry_mut(task_id)?;
        let task = &entry.task;
        let track = task.facts.tracks.get(index)?;
        let track_id = track.id.clone();
        let (tracks, count) = (task.life.record().tracks, task.facts.tracks.len());
        let audio = MediaKind::Audio {
            duration_cs: track.duration_cs,
        };
        let is_song = task.facts.submission.product().is_song();
        let is_ready = is_ready(tracks, index, count);
        let (kind, fault) = match (kind, ending) {
            ("audio" | "source-audio", "wav") if is_song && is_ready => {
                (audio, entry.take_download_fault())
            }
            ("stream" | "source-stream", "wav")
                if is_song && is_streamable(tracks, index, count) =>
            {
                (audio, entry.stream_fault())
            }
            ("image" | "source-image", "png") if is_song => (MediaKind::Image, None),
            _ if is_song || !is_ready => return None,
            _ => {
                let kind = other_kind(&task.facts, kind, ending, audio)?;
                (kind, entry.take_download_fault())
            }
        };
        Some(MediaFile {
            track_id,
            kind,
            fault,
        })
    }
}

/// Returns the kind of a file of a task that is not a song.
fn other_kind(facts: &Facts, name: &str, ending: &str, audio: MediaKind) -> Option<MediaKind> {
    match (facts.submission.product(), name, ending) {
        (Product::Wav, "audio", "wav") => Some(audio),
        (Product::Stems, stem, "wav") if product::has_stem(facts, stem) => Some(audio),
        (Product::Video, "video", "mp4") => Some(MediaKind::Video),
        (Product::Recovery, "audio", "m4a") => Some(MediaKind::M4a),
        (Product::Cover, "image", "png") => Some(MediaKind::Image),
        _ => None,
    }
}

fn is_ready(tracks: Tracks, index: usize, count: usize) -> bool {
    match tracks {
        Tracks::Absent | Tracks::Null | Tracks::Empty | Tracks::Unfinished => false,
        Tracks::FirstReady | Tracks::FirstAlone => index == 0,
        Tracks::LastReady => index + 1 == count,
        Tracks::Ready => true,
    }
}

/// A stream is available before its track is finished.
fn is_streamable(tracks: Tracks, index: usize, count: usize) -> bool {
    let is_begun = matches!(
        tracks,
        Tracks::Unfinished | Tracks::FirstReady | Tracks::LastReady
    );
    is_begun || is_ready(tracks, index, count)
}
