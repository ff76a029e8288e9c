//! Requests that read: polls, credits, media.

use serde_json::Value;

use std::time::Duration;

use super::Provider;
use super::reply::{Reply, ReplyPlan};
use crate::body::{envelope, record};
use crate::clock::Moment;
use crate::fault::exchange::{MediaFault, PollFault};
use crate::profile::Refusal;
use crate::task::plan::Tracks;
use crate::task::submission::Dialect;

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
    Audio { duration_cs: u32 },
    Image,
}

impl Provider {
    /// Answers a poll (`PROTOCOL.md 4.1`).
    pub(crate) fn record(&mut self, now: Moment, dialect: Dialect, task_id: &str) -> ReplyPlan {
        let has_limits = self.settings.has_rate_limits;
        let number = self.numbers.get(task_id);
        let found = number.and_then(|number| self.tasks.get_mut(number));
        let Some(entry) = found.filter(|entry| entry.task.facts.submission.dialect == dialect)
        else {
            return Reply::Envelope(200, envelope::success(Value::Null)).into();
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
        let data = if task.life.record().is_visible {
            record::data(
                &task.facts,
                task.status(),
                task.life.record(),
                &self.settings.style,
            )
        } else {
            Value::Null
        };
        let reply = Reply::Envelope(200, envelope::success(data));
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
        let (kind, fault) = match (kind, ending) {
            ("audio" | "source-audio", "wav") if is_ready(tracks, index, count) => {
                (audio, entry.take_download_fault())
            }
            ("stream" | "source-stream", "wav") if is_streamable(tracks, index, count) => {
                (audio, entry.stream_fault())
            }
            ("image" | "source-image", "png") => (MediaKind::Image, None),
            _ => return None,
        };
        Some(MediaFile {
            track_id,
            kind,
            fault,
        })
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
