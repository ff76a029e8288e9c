//! Runs a sequence on a store and on the model, and compares their answers.

use std::collections::HashMap;
use std::time::Duration;

use proptest::sample::Index;
use suno_types::Stage;

use super::super::scene::{Scene, delivery_with, expect, expect_near, keys, task_id};
use super::super::{Bench, CaseResult};
use super::operation::{How, Operation, Polled, Said, TASKS, WORDS};
use super::plain::{Event, Expected, LEASE, Model, State};
use crate::delivery::Delivery;
use crate::store::{
    Claim, ClaimRequest, DueRequest, EventRecord, EventState, ExpectedTask, PollState,
    Postponement, RecordedTask, Redrive, StateName, Ticket, WorkerId,
};

/// The last request of a worker, and the claims that it was granted.
struct LastRequest {
    request: ClaimRequest,
    /// The settlements, with the tickets as numbers of the model.
    settlements: Vec<(usize, How)>,
    granted: Vec<usize>,
}

impl Said {
    fn delivery(self, task: &str, word: &str) -> Delivery {
        delivery_with(task, word, self.duration, self.results)
    }
}

impl Event {
    fn key(&self) -> String {
        let key = format!("{}/{}", TASKS[self.task], self.stage);
        match self.revision {
            0 => key,
            revision => format!("{key}/{revision}"),
        }
    }
}

struct Play<'a> {
    scene: Scene<'a>,
    model: Model,
    /// The tickets that the store granted; the index is the ticket's number in the model.
    tickets: Vec<Ticket>,
    last: HashMap<u64, LastRequest>,
}

pub(super) async fn play(bench: &dyn Bench, operations: &[Operation]) -> CaseResult {
    let mut play = Play {
        scene: Scene::fresh(bench).await?,
        model: Model::default(),
        tickets: Vec::new(),
        last: HashMap::new(),
    };
    for operation in operations {
        // No two operations may happen at the same moment.
        play.pass(1).await;
        play.step(operation).await?;
    }
    for task in 0..TASKS.len() {
        play.compare(task).await?;
    }
    play.compare_expected().await
}

impl Play<'_> {
    async fn pass(&mut self, seconds: u64) {
        self.model.now += seconds;
        self.scene.pass(seconds).await;
    }

    async fn step(&mut self, operation: &Operation) -> CaseResult {
        match operation {
            Operation::Accept {
                task,
                word,
                said,
                unconfirmed,
                claim,
            } => {
                let key = (*task, *word);
                self.accept(key, *said, *unconfirmed, claim.as_ref()).await
            }
            Operation::Claim {
                worker,
                events_max,
                is_running,
                settlements,
            } => {
                self.claim(*worker, *events_max, *is_running, settlements)
                    .await
            }
            Operation::Repeat { worker } => self.repeat(*worker).await,
            Operation::Extend { ticket, seconds } => self.extend(ticket, *seconds).await,
            Operation::Redrive { event, redrive } => self.redrive(event, *redrive).await,
            Operation::Decide { task, word } => self.decide(*task, *word).await,
            Operation::Expect { task, seconds } => {
                let due_after = Duration::from_secs(*seconds);
                let expected = ExpectedTask::new(task_id(TASKS[*task])?, due_after);
                self.scene.store.expect(&expected).await?;
                self.model.expect(*task, *seconds);
                Ok(())
            }
            Operation::Poll { polled } => self.poll(*polled).await,
            Operation::Pass { seconds } => {
                self.pass(*seconds).await;
                Ok(())
            }
        }
    }

    async fn accept(
        &mut self,
        (task, word): (usize, usize),
        said: Said,
        unconfirmed: bool,
        claim: Option<&Index>,
    ) -> CaseResult {
        let mut delivery = said
            .delivery(TASKS[task], WORDS[word])
            .with_unconfirmed(unconfirmed);
        let claim = claim.filter(|_| !self.tickets.is_empty());
        let claim = claim.map(|claim| claim.index(self.tickets.len()));
        delivery.claim = claim.map(|number| self.tickets[number]);
        let found = self.scene.accept(delivery).await?;
        let stage = Stage::from(WORDS[word]);
        let expected = self.model.accept(task, stage, said, unconfirmed, claim);
        expect("accept", found, expected)
    }

    /// Returns the numbers of the tickets to settle. Empty before the first was granted.
    fn numbers(&self, settlements: &[(Index, How)]) -> Vec<(usize, How)> {
        let granted = self.tickets.len();
        settlements
            .iter()
            .filter(|_| granted > 0)
            .map(|(ticket, how)| (ticket.index(granted), *how))
            .collect()
    }

    async fn claim(
        &mut self,
        worker: u64,
        events_max: usize,
        is_running: bool,
        settlements: &[(Index, How)],
    ) -> CaseResult {
        let settlements = self.numbers(settlements);
        let wanted = settlements
            .iter()
            .map(|(number, how)| (self.tickets[*number], how.settlement()));
        let mut request = self
            .scene
            .request(events_max)
            .with_running(usize::from(is_running))
            .with_settlements(wanted.collect());
        request.worker = WorkerId(worker);
        let answer = self.scene.ask(&request).await?;
        let settle = |(number, how): &(usize, How)| self.model.settle(*number, *how);
        let expected = settlements.iter().map(settle).collect();
        expect("settled", answer.settled, expected)?;
        let expected = self.model.claim(events_max, is_running);
        self.compare_claims(&answer.claims, &expected)?;
        let first = self.tickets.len();
        self.tickets
            .extend(answer.claims.iter().map(|claim| claim.ticket));
        let granted = (first..self.tickets.len()).collect();
        let last = LastRequest {
            request,
            settlements,
            granted,
        };
        self.last.insert(worker, last);
        Ok(())
    }

    fn compare_claims(&self, claims: &[Claim], expected: &[usize]) -> CaseResult {
        let expected: Vec<_> = expected
            .iter()
            .map(|place| &self.model.events[*place])
            .collect();
        let key = |event: &&Event| event.key();
        expect("claims", keys(claims), expected.iter().map(key).collect())?;
        for (claim, event) in claims.iter().zip(expected) {
            let found = (claim.attempt, claim.lapses, claim.unconfirmed);
            let expected = (event.attempts, event.lapses, event.unconfirmed);
            let what = format!("attempt, lapses and unconfirmed of {}", claim.key);
            expect(&what, found, expected)?;
            expect_near("lease", claim.holds_for, LEASE)?;
            let said = event.said[0];
            let body = said.delivery(TASKS[event.task], event.stage.as_str()).raw;
            expect("body", &claim.raw, &body)?;
        }
        Ok(())
    }

    async fn repeat(&mut self, worker: u64) -> CaseResult {
        let Some(last) = self.last.get(&worker) else {
            return Ok(());
        };
        let answer = self.scene.ask(&last.request).await?;
        let settle = |(number, how): &(usize, How)| self.model.settle(*number, *how);
        let expected = last.settlements.iter().map(settle).collect();
        expect("settled again", answer.settled, expected)?;
        let held = last
            .granted
            .iter()
            .filter(|number| self.model.holds(**number));
        let expected: Vec<_> = held.map(|number| self.tickets[*number]).collect();
        let found = answer.claims.iter().map(|claim| claim.ticket).collect();
        expect("claims again", found, expected)
    }

    async fn extend(&mut self, ticket: &Index, seconds: u64) -> CaseResult {
        if self.tickets.is_empty() {
            return Ok(());
        }
        let number = ticket.index(self.tickets.len());
        let found = self.scene.extend(self.tickets[number], seconds).await?;
        expect("extend", found, self.model.extend(number, seconds))
    }

    async fn redrive(&mut self, event: &Index, redrive: Redrive) -> CaseResult {
        if self.model.events.is_empty() {
            return Ok(());
        }
        let place = event.index(self.model.events.len());
        let (task, key) = {
            let event = &self.model.events[place];
            (TASKS[event.task], event.key())
        };
        let id = self.scene.find_key(task, &key).await?.id;
        let found = self.scene.redrive(id, redrive).await?;
        expect("redrive", found, self.model.redrive(place, redrive))
    }

    async fn decide(&mut self, task: usize, word: usize) -> CaseResult {
        let stage = Stage::from(WORDS[word]);
        let found = self
            .scene
            .store
            .decide(&task_id(TASKS[task])?, &stage)
            .await?;
        expect("decide", found, self.model.decide(task, &stage))
    }

    async fn poll(&mut self, polled: Polled) -> CaseResult {
        let request = DueRequest::new(Duration::from_secs(LEASE), TASKS.len());
        let mut due = self.scene.store.due(&request).await?.tasks;
        due.sort_by(|one, other| one.ticket.task_id.cmp(&other.ticket.task_id));
        let mut expected = self.model.take_due();
        expected.sort_by_key(|expected| expected.task);
        let found = due
            .iter()
            .map(|due| (due.ticket.task_id.as_str(), due.answers));
        let wanted = expected.iter().map(|it| (TASKS[it.task], it.answers));
        expect("due", found.collect::<Vec<_>>(), wanted.collect())?;
        for (due, expected) in due.iter().zip(expected) {
            expect_near("age", due.age, self.model.now - expected.since)?;
            let store = &self.scene.store;
            let is_done = match polled {
                Polled::Nothing => true,
                Polled::Finished => store.finish(&due.ticket).await?,
                Polled::Postponed {
                    seconds,
                    is_answered,
                } => {
                    let after = Duration::from_secs(seconds);
                    let postponement = match is_answered {
                        true => Postponement::answered(after),
                        false => Postponement::unanswered(after),
                    };
                    store.postpone(&due.ticket, postponement).await?
                }
            };
            expect("the ticket holds", is_done, true)?;
            self.model.note_polled(expected.task, polled);
        }
        self.compare_expected().await
    }

    /// Compares the list of expected tasks with the model.
    async fn compare_expected(&self) -> CaseResult {
        let found = self.scene.store.expected_tasks(None, 99).await?;
        let expected: Vec<_> = self.model.expected.iter().rev().collect();
        let look = |task: &RecordedTask| {
            let answers = task.expectation.map(|expectation| expectation.answers);
            (task.task_id.to_string(), answers)
        };
        let model = |it: &&Expected| (TASKS[it.task].to_owned(), Some(it.answers));
        let what = "expected tasks with their answers";
        let wanted = expected.iter().map(model).collect();
        expect(what, found.iter().map(look).collect::<Vec<_>>(), wanted)?;
        for (found, expected) in found.iter().zip(expected) {
            let Some(expectation) = found.expectation else {
                continue;
            };
            let now = self.model.now;
            expect_near("age", expectation.age, now - expected.since)?;
            let (left, passed) = (
                expected.due.saturating_sub(now),
                now.saturating_sub(expected.due),
            );
            match expectation.poll {
                PollState::Waiting { due_in } if left > 0 && !expected.is_asked => {
                    expect_near("due in", due_in, left)?;
                }
                PollState::Asked { holds_for } if left > 0 && expected.is_asked => {
                    expect_near("asked for", holds_for, left)?;
                }
                PollState::Due { due_for } if left == 0 => {
                    expect_near("due for", due_for, passed)?;
                }
                poll => {
                    let what = format!("the model has {expected:?} at {now}, the store {poll:?}");
                    expect(&what, false, true)?;
                }
            }
        }
        Ok(())
    }

    /// Compares the events of a task in the store and in the model.
    async fn compare(&self, task: usize) -> CaseResult {
        let of_task = self.model.events.iter().filter(|event| event.task == task);
        let expected: Vec<_> = of_task.collect();
        let found = self.scene.find(TASKS[task]).await?;
        let look = |event: &EventRecord| {
            let state = StateName::from(event.state);
            let counted = (event.attempts, event.lapses, event.conflicts);
            let key = (event.key.to_string(), event.results);
            (key, state, event.unconfirmed, counted)
        };
        let model = |event: &&Event| {
            let conflicts = u32::try_from(event.said.len() - 1).unwrap_or(u32::MAX);
            let counted = (event.attempts, event.lapses, conflicts);
            (
                (event.key(), event.results()),
                event.state.name(),
                event.unconfirmed,
                counted,
            )
        };
        let what = format!(
            "(key, results), state, unconfirmed, (attempts, lapses, conflicts) of {}",
            TASKS[task]
        );
        let expected_looks: Vec<_> = expected.iter().map(model).collect();
        expect(&what, found.iter().map(look).collect(), expected_looks)?;
        for (found, expected) in found.iter().zip(expected) {
            self.compare_duration(found.state, expected.state)?;
            let conflicts = self.scene.store.conflicts(found.id).await?;
            let bodies = conflicts.into_iter().map(|conflict| conflict.raw);
            let said = expected.said[1..].iter().map(|said| {
                let stage = expected.stage.as_str();
                Some(said.delivery(TASKS[expected.task], stage).raw)
            });
            let what = format!("conflicts of {}", found.key);
            expect(&what, bodies.collect::<Vec<_>>(), said.collect())?;
        }
        Ok(())
    }

    fn compare_duration(&self, found: EventState, expected: State) -> CaseResult {
        let left = |until: u64| until.saturating_sub(self.model.now);
        match (found, expected) {
            (EventState::Claimed { holds_for }, State::Claimed(until)) => {
                expect_near("the rest of a lease", holds_for, left(until))
            }
            (EventState::Waiting { ready_in }, State::Waiting(until)) => {
                expect_near("the rest of a wait", ready_in, left(until))
            }
            _ => Ok(()),
        }
    }
}
