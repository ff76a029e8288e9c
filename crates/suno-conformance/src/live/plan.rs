//! Adapts a case to a receiver with a real clock, its own keys and events of earlier runs.
//! `fixtures/README.md` describes the rules.

use std::collections::BTreeMap;

use suno_types::Callback;

use super::sign::signature;
use super::target::Target;
use crate::receiver::{Case, Expect, ExpectAnswer, Handled, PATH, Sign, Step};

/// The maximum difference between a timestamp and the clock (`PROTOCOL.md 7.26`).
const WINDOW_SECONDS: i64 = 300;
/// The time that a delivery may take, and the maximum difference between two clocks, without
/// affecting the outcome.
const SLACK_SECONDS: i64 = 60;
/// The length of the task ids that are replaced.
const ID_DIGITS: usize = 32;

/// The requests of a case, and the expected results.
pub(super) struct Plan {
    pub(super) steps: Vec<PlannedStep>,
    expect: Expect,
    ids: Vec<String>,
}

/// One request.
pub(super) struct PlannedStep {
    pub(super) method: String,
    /// Path and query.
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) expect: ExpectAnswer,
    /// The events that must be handled because of this step.
    pub(super) event: Option<Handled>,
    /// Whether the next step follows at once.
    pub(super) with_next: bool,
}

impl Plan {
    /// Creates the plan of a case that is sent at `now`.
    ///
    /// # Errors
    ///
    /// The reason why the case cannot be run against this target.
    pub(super) fn new(case: &Case, target: &Target, now: u64) -> Result<Self, String> {
        applicable(case, target)?;
        let mut rewriter = Rewriter {
            case,
            target,
            now,
            ids: BTreeMap::new(),
        };
        let mut expect = rewriter.expect();
        let mut awaited = expect.handled.clone();
        let mut steps = Vec::new();
        for (place, step) in case.input.steps.iter().enumerate() {
            let next = case.input.steps.get(place + 1);
            let mut planned = rewriter.step(step, expect.answers[place].clone());
            planned.with_next = step.together && next.is_some_and(|next| next.together);
            planned.event = event(&planned).and_then(|event| {
                let place = awaited
                    .iter()
                    .position(|awaited| awaited.is_of_stage(&event))?;
                Some(awaited.remove(place))
            });
            steps.push(planned);
        }
        expect.answers.clear();
        Ok(Self {
            steps,
            expect,
            ids: rewriter.ids.into_values().collect(),
        })
    }

    /// Returns the differences from the expected events, among all events that the target handled.
    pub(super) fn judge_handled(&self, seen: &[Handled]) -> Vec<String> {
        let ours = seen
            .iter()
            .filter(|event| self.ids.contains(&event.task_id));
        self.expect
            .judge_handled(&ours.cloned().collect::<Vec<_>>())
    }
}

/// Returns the event of a step, if it is a new one. Used only to know what to wait for.
fn event(step: &PlannedStep) -> Option<Handled> {
    let taken = step.expect.status == 200;
    let callback = taken.then(|| Callback::decode(&step.body).ok()).flatten();
    callback.as_ref().map(Handled::from)
}

fn applicable(case: &Case, target: &Target) -> Result<(), String> {
    let input = &case.input;
    let needed = input.keys.len();
    let reason = if input.steps.len() != case.expect.answers.len() {
        "the case does not expect one answer for each step".to_owned()
    } else if input.steps.iter().any(|step| step.restart) {
        "the target would have to be restarted".to_owned()
    } else if input.steps.iter().any(|step| step.store_down) {
        "the target's store would have to fail".to_owned()
    } else if needed > target.keys.len() {
        format!("it needs {needed} webhook key(s) of the target: give --webhook-key-env")
    } else if needed == 0 && !target.keys.is_empty() {
        "it is for a receiver without a webhook key".to_owned()
    } else if input.token.is_some() && target.token.is_none() {
        "it needs the token of the target: give --token-env".to_owned()
    } else if input.token.is_none() && target.token.is_some() {
        "it is for a receiver without a token".to_owned()
    } else if input.token_in.is_some() || !input.other_tokens.is_empty() {
        "its tokens stand elsewhere, or there are several of them".to_owned()
    } else if input.body_bytes_max.is_some() && target.body_bytes_max.is_none() {
        "it needs the maximum size of a body that the target accepts: give --body-bytes-max"
            .to_owned()
    } else if input.steps.iter().any(is_on_the_edge) {
        "its timestamp is at the edge of the window, and a running clock could move it across"
            .to_owned()
    } else {
        return Ok(());
    };
    Err(reason)
}

/// Returns the difference between a step's timestamp and its clock.
fn distance(step: &Step, sign: &Sign) -> i64 {
    i64::try_from(sign.timestamp)
        .unwrap_or(i64::MAX)
        .saturating_sub(step.at.into())
}

/// Whether a timestamp is inside the window, but might be outside when it arrives.
fn is_on_the_edge(step: &Step) -> bool {
    let distance = step
        .sign
        .as_ref()
        .map_or(0, |sign| distance(step, sign).abs());
    (WINDOW_SECONDS - SLACK_SECONDS..=WINDOW_SECONDS).contains(&distance)
}

struct Rewriter<'a> {
    case: &'a Case,
    target: &'a Target,
    now: u64,
    ids: BTreeMap<String, String>,
}

impl Rewriter<'_> {
    /// Returns the replacement of `id` in this run.
    fn id(&mut self, id: &str) -> String {
        if !is_id(id) {
            return id.to_owned();
        }
        let fresh = || format!("{:032x}", fastrand::u128(..));
        self.ids.entry(id.to_owned()).or_insert_with(fresh).clone()
    }

    fn expect(&mut self) -> Expect {
        let mut expect = self.case.expect.clone();
        for handled in &mut expect.handled {
            handled.task_id = self.id(&handled.task_id);
        }
        expect
    }

    fn step(&mut self, step: &Step, mut expect: ExpectAnswer) -> PlannedStep {
        expect.body_excludes = self.excludes(step, &expect.body_excludes);
        PlannedStep {
            method: step.method.clone(),
            path: self.path(&step.path),
            headers: self.headers(step),
            body: self.body(&step.body.0),
            expect,
            event: None,
            with_next: false,
        }
    }

    /// `/callback` is replaced by the target's own path, and the case's token by its own token.
    fn path(&self, path: &str) -> String {
        let own = self.target.url.path().trim_end_matches('/');
        let rest = match path.strip_prefix(PATH) {
            Some(rest) if rest.is_empty() || rest.starts_with(['/', '?']) => rest,
            _ => return path.to_owned(),
        };
        let behind = rest.strip_prefix('/').unwrap_or_default();
        let end = behind.find(['/', '?']).unwrap_or(behind.len());
        let (segment, more) = behind.split_at(end);
        let path = match (&self.case.input.token, &self.target.token) {
            (Some(token), Some(own_token)) if !segment.is_empty() && token.starts_with(segment) => {
                // A prefix of the token is replaced by a prefix of the target's token.
                let missing = token.len() - segment.len();
                let kept = own_token.len().saturating_sub(missing);
                format!("{own}/{}{more}", own_token.get(..kept).unwrap_or(own_token))
            }
            _ => format!("{own}{rest}"),
        };
        if path.starts_with('/') {
            path
        } else {
            format!("/{path}")
        }
    }

    fn headers(&mut self, step: &Step) -> Vec<(String, String)> {
        let mut headers = step.headers.clone();
        if let Some(sign) = &step.sign {
            let (id, timestamp) = (self.id(&sign.task_id), self.timestamp(step, sign));
            let signature = signature(self.key(&sign.key), &id, timestamp);
            set_first(&mut headers, "X-Webhook-Timestamp", timestamp.to_string());
            set_first(&mut headers, "X-Webhook-Signature", signature);
        }
        headers
    }

    /// The timestamp keeps its distance from the clock. One outside the window is moved clearly
    /// outside.
    fn timestamp(&self, step: &Step, sign: &Sign) -> u64 {
        let distance = distance(step, sign);
        let clearly = if distance.abs() > WINDOW_SECONDS {
            distance.saturating_add(SLACK_SECONDS * distance.signum())
        } else {
            distance
        };
        self.now.saturating_add_signed(clearly)
    }

    /// The n-th key of the case is replaced by the target's n-th key; other keys are kept.
    fn key<'k>(&'k self, key: &'k str) -> &'k str {
        let place = self
            .case
            .input
            .keys
            .iter()
            .position(|known| known.text == key);
        place.map_or(key, |place| &self.target.keys[place])
    }

    fn body(&mut self, body: &[u8]) -> Vec<u8> {
        let mut rewritten = Vec::with_capacity(body.len());
        for word in body.chunk_by(|a, b| a.is_ascii_alphanumeric() == b.is_ascii_alphanumeric()) {
            match std::str::from_utf8(word) {
                Ok(word) if is_id(word) => rewritten.extend_from_slice(self.id(word).as_bytes()),
                _ => rewritten.extend_from_slice(word),
            }
        }
        if let (Some(case_max), Some(own_max)) =
            (self.case.input.body_bytes_max, self.target.body_bytes_max)
        {
            let length = match body.len().cmp(&case_max) {
                std::cmp::Ordering::Less => rewritten.len(),
                std::cmp::Ordering::Equal => own_max,
                std::cmp::Ordering::Greater => own_max + 1,
            };
            rewritten.resize(length.max(rewritten.len()), b' ');
        }
        rewritten
    }

    /// Replaces the secrets of the case by those of this run.
    fn excludes(&mut self, step: &Step, texts: &[String]) -> Vec<String> {
        let mut excludes = Vec::new();
        for text in texts {
            excludes.push(self.key(text).to_owned());
            if let Some(sign) = &step.sign {
                let (timestamp, id) = (self.timestamp(step, sign), self.id(&sign.task_id));
                let signed = |key: &String| signature(key, &id, timestamp);
                excludes.extend(self.target.keys.iter().map(signed));
            }
        }
        excludes
    }
}

/// Sets the value of the first header of that name, or appends the header.
fn set_first(headers: &mut Vec<(String, String)>, name: &str, value: String) {
    match headers
        .iter_mut()
        .find(|(other, _)| other.eq_ignore_ascii_case(name))
    {
        Some((_, old)) => *old = value,
        None => headers.push((name.to_owned(), value)),
    }
}

fn is_id(word: &str) -> bool {
    word.len() == ID_DIGITS && word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
