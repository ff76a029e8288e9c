//! What clients ask about tasks: polls, credits, media.

use serde_json::Value;

use super::{Desk, Reply};
use crate::body::{envelope, record};
use crate::clock::Moment;
use crate::exchange::{MediaFault, PollFault};
use crate::plan::Tracks;
use crate::profile::Refusal;
use crate::submission::Dialect;

/// A file of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Medium {
    pub(crate) track_id: String,
    pub(crate) kind: MediumKind,
    pub(crate) fault: Option<MediaFault>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MediumKind {
    Audio { duration_cs: u32 },
    Image,
}

impl Desk {
    /// Answers a poll (`PROTOCOL.md 4.1`).
    pub(crate) fn record(&mut self, now: Moment, dialect: Dialect, task_id: &str) -> Reply {
        let has_limits = self.rules.rate_limits;
        let found = self.task_mut(task_id);
        let Some(task) = found.filter(|task| task.facts.submission.dialect == dialect) else {
            return Reply::Envelope(200, envelope::success(Value::Null));
        };
        if has_limits && !task.polls.take(now.unix_ms) {
            return self.refused(200, &Refusal::RateLimited);
        }
        match task.poll_fault.as_mut().and_then(|fault| fault.strike()) {
            Some(PollFault::Html) => return Reply::Html502,
            Some(PollFault::Cut) => return Reply::Cut,
            Some(PollFault::RateLimited) => return self.refused(200, &Refusal::RateLimited),
            None => {}
        }
        let task = self.task(task_id).filter(|task| task.life.record().visible);
        let data = task.map_or(Value::Null, |task| record::data(task, &self.rules.style));
        Reply::Envelope(200, envelope::success(data))
    }

    /// Answers how many credits are left (`PROTOCOL.md 4.15`).
    pub(crate) fn credits(&self) -> Value {
        envelope::success(self.ledger.left())
    }

    /// Finds the file that stands at `/media/TASK/KIND-N.ENDING`. Audio is there from the moment on
    /// at which a callback or a poll names it.
    pub(crate) fn medium(&mut self, path: &str) -> Option<Medium> {
        let (task_id, name) = path.strip_prefix("/media/")?.split_once('/')?;
        let (kind_and_position, ending) = name.rsplit_once('.')?;
        let (kind, position) = kind_and_position.rsplit_once('-')?;
        let index = position.parse::<usize>().ok()?.checked_sub(1)?;
        let task = self.task_mut(task_id)?;
        let track = task.facts.tracks.get(index)?;
        let track_id = track.id.clone();
        let tracks = task.life.record().tracks;
        let audio = MediumKind::Audio {
            duration_cs: track.duration_cs,
        };
        let (kind, fault) = match (kind, ending) {
            ("audio" | "source-audio", "wav") if is_ready(tracks, index) => {
                (audio, task.strike_download())
            }
            ("stream" | "source-stream", "wav") if is_streamable(tracks, index) => {
                (audio, task.strike_stream())
            }
            ("image" | "source-image", "png") => (MediumKind::Image, None),
            _ => return None,
        };
        Some(Medium {
            track_id,
            kind,
            fault,
        })
    }
}

fn is_ready(tracks: Tracks, index: usize) -> bool {
    match tracks {
        Tracks::Absent | Tracks::Null | Tracks::Empty | Tracks::Unfinished => false,
        Tracks::FirstReady | Tracks::FirstAlone => index == 0,
        Tracks::Ready => true,
    }
}

/// A stream can be heard before its track is finished.
fn is_streamable(tracks: Tracks, index: usize) -> bool {
    matches!(tracks, Tracks::Unfinished | Tracks::FirstReady) || is_ready(tracks, index)
}
