//! What is due: the next callback to send, its signature, and the result of sending it.

use bytes::Bytes;

use super::Provider;
use crate::body::{Style, callback};
use crate::clock::Moment;
use crate::secret::Secret;
use crate::sender::sign::signature;
use crate::task::attempt::{Attempt, Dispatch, Outcome};
use crate::task::facts::Facts;
use crate::task::outbox::{Parcel, RetryRule, Settled};
use crate::task::plan::{Post, Signing};

/// How long ago a stale timestamp was, in seconds.
const STALE_SECONDS: u64 = 3600;

impl Provider {
    /// When something is due next.
    pub(crate) fn due_at(&self) -> Option<u64> {
        self.schedule.first().map(|(at_ms, _)| at_ms)
    }

    /// Whether no task has anything left to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.finished.len() == self.tasks.len()
    }

    /// Lets what is due happen, up to the next callback that has to leave.
    pub(crate) fn next_dispatch(&mut self, now: Moment) -> Option<Dispatch> {
        while let Some((at_ms, number)) = self.schedule.first() {
            if at_ms > now.at_ms {
                return None;
            }
            if let Some(dispatch) = self.attend(number, now) {
                return Some(dispatch);
            }
        }
        None
    }

    /// Lets what is due for one task happen.
    pub(super) fn attend(&mut self, number: u64, now: Moment) -> Option<Dispatch> {
        let Some(entry) = self.tasks.get_mut(&number) else {
            self.schedule.put(number, None);
            return None;
        };
        let addressing = Addressing {
            generation: self.generation,
            task_number: number,
            now,
            retry: &self.rules.retry,
        };
        let advanced = entry.task.advance(now);
        if let Some(paid) = advanced.refund {
            self.ledger.refund(paid);
        }
        for post in &advanced.posts {
            let parcel = parcel(&entry.task.facts, post, &self.rules.style);
            let unsent = if post.dropped {
                Err(parcel)
            } else {
                entry.task.outbox.push(parcel)
            };
            if let Err(unsent) = unsent {
                let dispatch = addressing.dispatch(&entry.task.facts, unsent);
                self.log.file(dispatch.filed(Outcome::dropped()));
            }
        }
        let dispatch = entry.task.outbox.take(now.at_ms).map(|parcel| {
            let signing = parcel.signing;
            let mut dispatch = addressing.dispatch(&entry.task.facts, parcel);
            if let Some(key) = &self.rules.webhook_key {
                sign(&mut dispatch, &mut entry.signed_at_seconds, signing, key);
            }
            dispatch
        });
        self.reschedule(number);
        dispatch
    }

    /// Delivers a callback again, the latest of this name. `None` without such a task, `false`
    /// without such a callback.
    pub(crate) fn deliver_again(&mut self, task_id: &str, name: &str) -> Option<bool> {
        let number = *self.numbers.get(task_id)?;
        let task = &mut self.tasks.get_mut(&number)?.task;
        let Some(post) = task.life.past_posts().rfind(|post| post.name == name) else {
            return Some(false);
        };
        let parcel = parcel(&task.facts, post, &self.rules.style);
        task.outbox.unsilence();
        let is_queued = task.outbox.push(parcel).is_ok();
        self.reschedule(number);
        Some(is_queued)
    }

    /// The attempts that were filed since the last call. Always empty without an observer.
    pub(crate) fn take_unobserved(&mut self) -> Vec<Attempt> {
        self.log.take_unobserved()
    }

    /// Says what came of a dispatch.
    pub(crate) fn settle(&mut self, now: Moment, dispatch: &Dispatch, outcome: Outcome) {
        if dispatch.generation != self.generation {
            return;
        }
        let delivered = outcome.outcome.is_delivered();
        self.log.file(dispatch.filed(outcome));
        if let Some(entry) = self.tasks.get_mut(&dispatch.task_number) {
            let outbox = &mut entry.task.outbox;
            let settled = outbox.settle(now.at_ms, delivered, &self.rules.retry);
            if settled == Settled::GivenUp {
                tracing::info!(task_id = dispatch.task_id, post = dispatch.post, "gave up");
            }
            self.reschedule(dispatch.task_number);
        }
    }

    /// Puts a task where it belongs after anything about it changed.
    pub(super) fn reschedule(&mut self, number: u64) {
        let Some(entry) = self.tasks.get_mut(&number) else {
            return;
        };
        self.schedule.put(number, entry.task.due_at());
        let is_finished = entry.task.is_finished();
        if is_finished == entry.is_filed_as_finished {
            return;
        }
        entry.is_filed_as_finished = is_finished;
        if is_finished {
            self.finished.push_back(number);
        } else {
            self.finished.retain(|other| *other != number);
        }
    }
}

/// Renders a callback of the plan, ready to be sent.
fn parcel(facts: &Facts, post: &Post, style: &Style) -> Parcel {
    let body = callback::render(facts, &post.content, style);
    Parcel {
        post: post.name.clone().into_owned(),
        body: Bytes::from(body.to_string()),
        signing: post.signing,
        attempts: 0,
    }
}

/// What an attempt takes from the provider, besides the task and the callback.
struct Addressing<'a> {
    generation: u64,
    task_number: u64,
    now: Moment,
    retry: &'a RetryRule,
}

impl Addressing<'_> {
    /// An attempt that is not signed yet.
    fn dispatch(&self, facts: &Facts, parcel: Parcel) -> Dispatch {
        Dispatch {
            generation: self.generation,
            task_number: self.task_number,
            task_id: facts.task_id.clone(),
            post: parcel.post,
            number: parcel.attempts,
            attempts_max: self.retry.attempts_max(parcel.signing),
            unix_ms: self.now.unix_ms,
            url: facts.submission.callback_url.clone(),
            timestamp: None,
            signature: None,
            is_forged: parcel.signing == Signing::Copied,
            body: parcel.body,
        }
    }
}

/// Signs with a fresh timestamp, unless a fault has it otherwise. `signed_at_seconds` is the last
/// timestamp that was signed for the task.
fn sign(
    dispatch: &mut Dispatch,
    signed_at_seconds: &mut Option<u64>,
    signing: Signing,
    key: &Secret,
) {
    let is_flawed = |attempts| dispatch.number <= attempts;
    let mut seconds = dispatch.unix_ms / 1000;
    let mut key = key.reveal().to_owned();
    match signing {
        Signing::Wrong { attempts } if is_flawed(attempts) => key.push_str("-of-someone-else"),
        Signing::Stale { attempts } if is_flawed(attempts) => {
            seconds = seconds.saturating_sub(STALE_SECONDS);
        }
        Signing::Missing { attempts } if is_flawed(attempts) => return,
        Signing::Copied => seconds = signed_at_seconds.unwrap_or(seconds),
        _ => *signed_at_seconds = Some(seconds),
    }
    let timestamp = seconds.to_string();
    dispatch.signature = Some(signature(&key, &dispatch.task_id, &timestamp));
    dispatch.timestamp = Some(timestamp);
}
