//! Runs the cases of `receiver/` in process: deliveries to responses, handled events and the
//! progress of each task, once with the store in memory and once with the durable one.

mod expect;
mod life;
mod watched;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;
use suno_callback::Event;
use suno_types::{Code, TaskProgress};

use crate::parts::{Body, Headers, Key, Parts};

pub(super) use expect::{Expect, ExpectAnswer, ExpectedAnswer, Handled, comparable_stage};
use life::{Life, StoreKind};
use watched::HandledLog;

pub(super) type Case = Parts<Input, Expect>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    pub(super) keys: Vec<Key>,
    pub(super) token: Option<String>,
    /// The place of the token, if it is not in the path.
    pub(super) token_in: Option<String>,
    /// Further tokens that are accepted.
    #[serde(default)]
    pub(super) other_tokens: Vec<String>,
    pub(super) body_bytes_max: Option<usize>,
    pub(super) steps: Vec<Step>,
}

/// One request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) at: u32,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Headers,
    pub(super) body: Body,
    pub(super) sign: Option<Sign>,
    #[serde(default)]
    pub(super) together: bool,
    #[serde(default)]
    pub(super) restart: bool,
    #[serde(default)]
    pub(super) store_down: bool,
}

/// The signature of a step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sign {
    pub(super) key: String,
    pub(super) task_id: String,
    pub(super) timestamp: u64,
}

impl Case {
    /// Returns the differences from what was expected.
    pub(super) fn run(&self) -> Vec<String> {
        let mut found = self.expect.flaws(self.input.steps.len());
        // A store in memory loses its data in a restart, which is not a failure.
        if !self.input.steps.iter().any(|step| step.restart) {
            found.extend(self.run_with(&StoreKind::Memory, "memory"));
        }
        let sqlite = tempfile::tempdir().map(|folder| {
            self.run_with(&StoreKind::Sqlite(folder.path().join("suno.db")), "sqlite")
        });
        found.extend(sqlite.unwrap_or_else(|err| vec![format!("no temporary folder: {err}")]));
        found
    }

    fn run_with(&self, store: &StoreKind, name: &str) -> Vec<String> {
        let found = match self.play(store) {
            Ok(played) => self.judge(&played),
            Err(err) => vec![format!("{err:#}")],
        };
        found
            .iter()
            .map(|found| format!("{name}: {found}"))
            .collect()
    }

    fn play(&self, store: &StoreKind) -> Result<Played> {
        let seen = HandledLog::default();
        let mut life = Life::begin(&self.input, store, &seen)?;
        let mut answers = Vec::new();
        let steps = &self.input.steps;
        for (place, step) in steps.iter().enumerate() {
            if step.restart {
                drop(life);
                life = Life::begin(&self.input, store, &seen)?;
            }
            life.set_clock(step.at);
            seen.set_down(step.store_down);
            let answer = life
                .receive(step)
                .with_context(|| format!("step {place}"))?;
            seen.set_down(false);
            answers.push(answer);
            let next = steps.get(place + 1);
            if !(step.together && next.is_some_and(|next| next.together)) {
                life.handle_all().with_context(|| format!("step {place}"))?;
            }
        }
        Ok(Played {
            answers,
            handled: seen.handled(),
            quarantined: life.quarantined()?,
        })
    }

    fn judge(&self, played: &Played) -> Vec<String> {
        let mut found = self.expect.judge_answers(&played.answers);
        let handled: Vec<_> = played.handled.iter().map(Handled::from).collect();
        found.extend(self.expect.judge_handled(&handled));
        found.extend(self.expect.judge_quarantined(played.quarantined));
        found.extend(self.expect.judge_projection(&projection(&played.handled)));
        found
    }
}

/// The results of all steps.
struct Played {
    answers: Vec<ExpectedAnswer>,
    handled: Vec<Event>,
    quarantined: u64,
}

/// Derives the progress of each task from the handled events.
fn projection(handled: &[Event]) -> BTreeMap<String, expect::Standing> {
    let mut tasks: BTreeMap<String, TaskProgress> = BTreeMap::new();
    for callback in handled.iter().map(Event::callback) {
        let progress = tasks.entry(callback.task_id.to_string()).or_default();
        progress.absorb_callback(callback);
    }
    let standing = |(task_id, progress): (String, TaskProgress)| {
        let stage = progress.stage()?.to_string();
        let code = progress
            .failure()
            .map_or(Code::SUCCESS, |failure| failure.code);
        let tracks_ready = progress.tracks().filter(|track| track.is_ready()).count();
        Some((task_id, expect::Standing::new(stage, code.0, tracks_ready)))
    };
    tasks.into_iter().filter_map(standing).collect()
}

/// The path of the receivers under test.
pub(super) const PATH: &str = "/callback";
