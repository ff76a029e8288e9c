//! One task: what was submitted, its life, and its worker.

use std::collections::VecDeque;
use std::num::NonZeroU64;

use bytes::Bytes;
use fastrand::Rng;

use crate::body::Style;
use crate::body::callback;
use crate::clock::Moment;
use crate::fault::exchange::{ExchangeFaults, Lasting, MediaFault, PollFault};
use crate::provider::limits::Window;
use crate::seed;
use crate::task::life::Life;
use crate::task::outbox::{Outbox, Parcel};
use crate::task::plan::{Plan, Post, Tracks};
use crate::task::submission::Submission;

pub(crate) mod attempt;
pub(crate) mod life;
pub(crate) mod outbox;
pub(crate) mod plan;
pub(crate) mod submission;
pub(crate) mod timing;

/// The parts of a task that bodies are built from.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) task_id: String,
    pub(crate) submission: Submission,
    pub(crate) tracks: Vec<TrackFacts>,
    pub(crate) created_unix_ms: u64,
    /// When the tracks came into being, once they have.
    pub(crate) tracks_unix_ms: Option<u64>,
    /// What the task cost; 0 once the credits were given back.
    pub(crate) credits_consumed: u64,
    /// Bodies have members that nobody knows.
    pub(crate) extra_members: bool,
    /// The words of its scenario, those included that were drawn by the seed.
    pub(crate) words: String,
}

/// One track of a task.
#[derive(Clone, Debug)]
pub(crate) struct TrackFacts {
    pub(crate) id: String,
    /// In hundredths of a second, so that a task is compared exactly.
    pub(crate) duration_cs: u32,
}

/// How long a track plays, in hundredths of a second. Short, since it is synthesised.
const DURATION_CS: std::ops::RangeInclusive<u32> = 400..=800;

/// A task that was taken.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) facts: Facts,
    pub(crate) life: Life,
    pub(crate) outbox: Outbox,
    /// What was paid and has not come back.
    pub(crate) paid: Option<NonZeroU64>,
    /// Whether the desk has it among the finished ones.
    pub(crate) filed_as_finished: bool,
    /// The timestamp that was signed last, which a stranger would copy.
    pub(crate) signed_at_seconds: Option<u64>,
    pub(crate) polls: Window,
    /// What goes wrong with polls, one after the other.
    pub(crate) poll_faults: VecDeque<Lasting<PollFault>>,
    pub(crate) media_fault: Option<Lasting<MediaFault>>,
}

impl TrackFacts {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        Self {
            id: seed::uuid(rng),
            duration_cs: rng.u32(DURATION_CS),
        }
    }
}

impl Task {
    pub(crate) fn new(
        facts: Facts,
        plan: Plan,
        faults: &ExchangeFaults,
        now: Moment,
        paid: NonZeroU64,
    ) -> Self {
        Self {
            facts,
            life: Life::new(plan, now.at_ms),
            outbox: Outbox::default(),
            paid: Some(paid),
            filed_as_finished: false,
            signed_at_seconds: None,
            polls: Window::of_polls(),
            poll_faults: faults.polls.iter().copied().map(Lasting::new).collect(),
            media_fault: faults.media.map(Lasting::new),
        }
    }

    /// Lets everything that is due happen. Returns the callbacks that will not leave and what is
    /// given back.
    pub(crate) fn advance(&mut self, now: Moment, style: &Style) -> Advanced {
        let due = self.life.advance(now.at_ms);
        if due.tracks_began {
            self.facts.tracks_unix_ms.get_or_insert(now.unix_ms);
        }
        // Before the callbacks are written, since they tell what was paid.
        let refund = if due.refund { self.paid.take() } else { None };
        if refund.is_some() {
            self.facts.credits_consumed = 0;
        }
        let mut unsent = Vec::new();
        for post in &due.posts {
            let parcel = self.parcel(post, style);
            if post.dropped || !self.outbox.push(parcel.clone()) {
                unsent.push(parcel);
            }
        }
        Advanced { unsent, refund }
    }

    /// Sends a callback of the past again, the latest with this name.
    pub(crate) fn repeat(&mut self, name: &str, style: &Style) -> bool {
        let Some(post) = self
            .life
            .past_posts()
            .rfind(|post| post.name == name)
            .cloned()
        else {
            return false;
        };
        self.outbox.unsilence();
        let parcel = self.parcel(&post, style);
        self.outbox.push(parcel)
    }

    fn parcel(&self, post: &Post, style: &Style) -> Parcel {
        let body = callback::render(&self.facts, &post.content, style);
        Parcel {
            post: post.name.clone().into_owned(),
            body: Bytes::from(body.to_string()),
            signing: post.signing,
            attempts: 0,
        }
    }

    /// The status that a poll of the first dialect shows (`PROTOCOL.md 4.10`).
    pub(crate) fn status(&self) -> &str {
        if self.outbox.is_unreachable() {
            "CALLBACK_EXCEPTION"
        } else {
            &self.life.record().status
        }
    }

    /// What goes wrong with a poll, which makes it go wrong once less.
    pub(crate) fn strike_poll(&mut self) -> Option<PollFault> {
        loop {
            if let Some(fault) = self.poll_faults.front_mut()?.strike() {
                return Some(fault);
            }
            self.poll_faults.pop_front();
        }
    }

    /// What goes wrong with a download, which may make it go wrong once less.
    pub(crate) fn strike_download(&mut self) -> Option<MediaFault> {
        let lasting = self.media_fault.as_mut()?;
        if lasting.fault()? == MediaFault::EmptyStream {
            None
        } else {
            lasting.strike()
        }
    }

    /// What goes wrong with a stream.
    pub(crate) fn strike_stream(&self) -> Option<MediaFault> {
        let fault = self.media_fault.as_ref()?.fault()?;
        (fault == MediaFault::EmptyStream).then_some(fault)
    }

    /// How it ended in truth, whatever was posted.
    pub(crate) fn ending(&self) -> TaskEnding {
        let record = self.life.record();
        match &record.failure {
            Some(failure) => TaskEnding::Failed { code: failure.code },
            None if record.tracks == Tracks::Ready => TaskEnding::Complete,
            None => TaskEnding::Open,
        }
    }

    /// When this task needs attention next.
    pub(crate) fn due_at(&self) -> Option<u64> {
        match (self.life.due_at(), self.outbox.due_at()) {
            (Some(life), Some(outbox)) => Some(life.min(outbox)),
            (life, outbox) => life.or(outbox),
        }
    }

    /// Nothing will happen to this task any more by itself.
    pub(crate) fn is_finished(&self) -> bool {
        self.life.is_over() && self.outbox.is_idle()
    }
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskEnding {
    /// Not yet, or never.
    Open,
    /// All tracks are finished.
    Complete,
    /// It failed.
    Failed {
        /// The code of the failure, as callbacks and polls say it.
        code: u16,
    },
}

/// What a step in the life of a task led to.
#[derive(Debug)]
pub(crate) struct Advanced {
    pub(crate) unsent: Vec<Parcel>,
    pub(crate) refund: Option<NonZeroU64>,
}
