//! Any sequence of operations does to a store what it does to a plain model of the contract.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use suno_types::Stage;

use super::scene::{Scene, at, delivery_of, key_of, retry_at};
use super::{Bench, Failed, Verdict, cases, scene};
use crate::store::{Accepted, EventState, Held, Redriven, Settlement, Ticket};

cases! {
    any_sequence_of_operations_does_what_the_contract_says: "every operation does what the contract says, whatever came before",
}

/// How many sequences are tried.
const SEQUENCES: u32 = 96;
/// How many operations a sequence has at most.
const OPERATIONS_MAX: usize = 40;
/// How many simpler sequences are tried when one fails.
const SIMPLER_MAX: usize = 256;

const TASKS: [&str; 2] = ["a", "b"];
const WORDS: [&str; 5] = ["text", "first", "complete", "failed", "mixed"];

#[derive(Debug, Clone)]
enum Operation {
    Accept {
        task: usize,
        word: usize,
        duration: u32,
    },
    Claim {
        events_max: usize,
    },
    Settle {
        ticket: prop::sample::Index,
        how: How,
    },
    Extend {
        ticket: prop::sample::Index,
    },
    Redrive {
        event: prop::sample::Index,
    },
    Wait {
        seconds: i64,
    },
}

#[derive(Debug, Clone, Copy)]
enum How {
    Done,
    Retry,
    Dead,
    Release,
}

fn operation() -> impl Strategy<Value = Operation> {
    let how = prop_oneof![
        Just(How::Done),
        Just(How::Retry),
        Just(How::Dead),
        Just(How::Release)
    ];
    prop_oneof![
        4 => (0..TASKS.len(), 0..WORDS.len(), 0..2_u32)
            .prop_map(|(task, word, duration)| Operation::Accept { task, word, duration }),
        4 => (0..3_usize).prop_map(|events_max| Operation::Claim { events_max }),
        3 => (any::<prop::sample::Index>(), how)
            .prop_map(|(ticket, how)| Operation::Settle { ticket, how }),
        1 => any::<prop::sample::Index>().prop_map(|ticket| Operation::Extend { ticket }),
        1 => any::<prop::sample::Index>().prop_map(|event| Operation::Redrive { event }),
        2 => (0..90_i64).prop_map(|seconds| Operation::Wait { seconds }),
    ]
}

async fn any_sequence_of_operations_does_what_the_contract_says(bench: &dyn Bench) -> Verdict {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let sequences = vec(operation(), 1..OPERATIONS_MAX);
    for _ in 0..SEQUENCES {
        let mut tree = sequences
            .new_tree(&mut runner)
            .map_err(|reason| Failed::Wrong(format!("the case is broken: {reason}")))?;
        let Err(mut failed) = run(bench, &tree.current()).await else {
            continue;
        };
        let mut simplest = tree.current();
        let mut go_on = tree.simplify();
        for _ in 0..SIMPLER_MAX {
            if !go_on {
                break;
            }
            go_on = match run(bench, &tree.current()).await {
                Err(simpler) => {
                    (failed, simplest) = (simpler, tree.current());
                    tree.simplify()
                }
                Ok(()) => tree.complicate(),
            };
        }
        return Err(Failed::Wrong(format!("{failed}; after {simplest:?}")));
    }
    Ok(())
}

/// An event as the model has it.
#[derive(Debug)]
struct Modelled {
    task: usize,
    stage: Stage,
    said: Vec<u32>,
    state: EventState,
    attempts: u32,
    claims: u32,
    /// Which of the claims is the latest, as a place in the list of tickets.
    owner: Option<usize>,
}

#[derive(Debug, Default)]
struct Model {
    events: Vec<Modelled>,
    /// Each ticket that the store granted, and the event it was for.
    tickets: Vec<(Ticket, usize)>,
    now: i64,
}

async fn run(bench: &dyn Bench, operations: &[Operation]) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    let mut model = Model::default();
    for operation in operations {
        model.step(&scene, operation).await?;
    }
    for (place, task) in TASKS.iter().enumerate() {
        let expected: Vec<_> = model
            .events
            .iter()
            .filter(|event| event.task == place)
            .map(|event| (event.stage.as_str(), event.state))
            .collect();
        scene.expect_states(task, &expected).await?;
    }
    Ok(())
}

impl Model {
    async fn step(&mut self, scene: &Scene, operation: &Operation) -> Verdict {
        match operation {
            Operation::Accept {
                task,
                word,
                duration,
            } => {
                let delivery = delivery_of(TASKS[*task], WORDS[*word], *duration)?;
                let came = scene.accept(delivery).await?;
                let expected = self.accept(*task, Stage::from(WORDS[*word]), *duration);
                scene::expect("accept", came, expected)
            }
            Operation::Claim { events_max } => self.claim(scene, *events_max).await,
            Operation::Settle { ticket, how } => {
                let Some(place) = self.ticket(ticket) else {
                    return Ok(());
                };
                let settlement = match how {
                    How::Done => Settlement::Done,
                    How::Retry => retry_at(self.now + 30),
                    How::Dead => Settlement::Dead {
                        reason: String::new(),
                    },
                    How::Release => Settlement::Release,
                };
                let came = scene.settle(self.tickets[place].0, settlement).await?;
                scene::expect("settle", came, self.settle(place, *how))
            }
            Operation::Extend { ticket } => {
                let Some(place) = self.ticket(ticket) else {
                    return Ok(());
                };
                let until = self.now + 60;
                let came = scene.extend(self.tickets[place].0, until).await?;
                scene::expect("extend", came, self.extend(place))
            }
            Operation::Redrive { event } => self.redrive(scene, event).await,
            Operation::Wait { seconds } => {
                self.now += seconds;
                Ok(())
            }
        }
    }

    fn ticket(&self, index: &prop::sample::Index) -> Option<usize> {
        (!self.tickets.is_empty()).then(|| index.index(self.tickets.len()))
    }

    fn accept(&mut self, task: usize, stage: Stage, duration: u32) -> Accepted {
        let known = |event: &&mut Modelled| event.task == task && event.stage == stage;
        if let Some(event) = self.events.iter_mut().find(known) {
            if event.said.contains(&duration) {
                return Accepted::Duplicate;
            }
            event.said.push(duration);
            return Accepted::Conflict;
        }
        let rank = |stage: &Stage| match stage.as_str() {
            "text" => 1,
            "first" => 2,
            "complete" | "failed" => 3,
            _ => 0,
        };
        let siblings = self.events.iter().filter(|event| event.task == task);
        let highest = siblings.map(|event| rank(&event.stage)).max().unwrap_or(0);
        let late = rank(&stage) > 0 && (highest > rank(&stage) || highest == 3);
        self.events.push(Modelled {
            task,
            stage,
            said: vec![duration],
            state: if late {
                EventState::Superseded
            } else {
                EventState::Ready
            },
            attempts: 0,
            claims: 0,
            owner: None,
        });
        if late { Accepted::Late } else { Accepted::New }
    }

    /// Which events would be claimed, in order.
    fn turns(&self, events_max: usize) -> Vec<usize> {
        let now = at(self.now);
        let mut turns = Vec::new();
        let open = |event: &Modelled| match event.state {
            EventState::Ready => true,
            EventState::Claimed { until } => until <= now,
            EventState::Waiting { at } => at <= now,
            _ => false,
        };
        for event in self.events.iter().filter(|event| open(event)) {
            let of_task = |other: &&Modelled| other.task == event.task;
            let held = |other: &Modelled| matches!(other.state, EventState::Claimed { until } if until > now);
            let taken = turns
                .iter()
                .any(|turn: &usize| self.events[*turn].task == event.task);
            if turns.len() == events_max || taken || self.events.iter().filter(of_task).any(held) {
                continue;
            }
            let candidates = (0..self.events.len())
                .filter(|place| of_task(&&self.events[*place]) && open(&self.events[*place]));
            turns.extend(candidates.min_by_key(|place| {
                let event = &self.events[*place];
                let lapsed = matches!(event.state, EventState::Claimed { .. });
                (!lapsed, event.stage.rank(), *place)
            }));
        }
        turns
    }

    async fn claim(&mut self, scene: &Scene, events_max: usize) -> Verdict {
        let claims = scene.claim(self.now, events_max).await?;
        let turns = self.turns(events_max);
        let mut expected = Vec::new();
        for turn in &turns {
            let claimed = &mut self.events[*turn];
            claimed.attempts += 1;
            claimed.claims += 1;
            claimed.state = EventState::Claimed {
                until: at(self.now + 60),
            };
            let (task, rank) = (claimed.task, claimed.stage.rank());
            expected.push((
                format!("{}/{}", TASKS[task], claimed.stage),
                claimed.attempts,
            ));
            for other in self.events.iter_mut().filter(|other| other.task == task) {
                let waits = matches!(other.state, EventState::Waiting { .. });
                if waits && other.stage.rank().is_some() && other.stage.rank() < rank {
                    other.state = EventState::Superseded;
                }
            }
        }
        let came: Vec<_> = claims
            .iter()
            .map(|claim| (key_of(claim), claim.attempt))
            .collect();
        scene::expect("claims", came, expected)?;
        for (claim, turn) in claims.iter().zip(turns) {
            self.events[turn].owner = Some(self.tickets.len());
            self.tickets.push((claim.ticket, turn));
        }
        Ok(())
    }

    /// The event of a ticket that still holds.
    fn held(&mut self, ticket: usize) -> Option<&mut Modelled> {
        let event = &mut self.events[self.tickets[ticket].1];
        let claimed = matches!(event.state, EventState::Claimed { .. });
        (claimed && event.owner == Some(ticket)).then_some(event)
    }

    fn settle(&mut self, ticket: usize, how: How) -> Held {
        let at = at(self.now + 30);
        let Some(event) = self.held(ticket) else {
            return Held::Lost;
        };
        event.state = match how {
            How::Done => EventState::Done,
            How::Retry => EventState::Waiting { at },
            How::Dead => EventState::Dead,
            How::Release => {
                event.attempts -= 1;
                EventState::Ready
            }
        };
        Held::Held
    }

    fn extend(&mut self, ticket: usize) -> Held {
        let until = at(self.now + 60);
        match self.held(ticket) {
            Some(event) => {
                event.state = EventState::Claimed { until };
                Held::Held
            }
            None => Held::Lost,
        }
    }

    async fn redrive(&mut self, scene: &Scene, index: &prop::sample::Index) -> Verdict {
        if self.events.is_empty() {
            return Ok(());
        }
        let place = index.index(self.events.len());
        let (task, stage) = (self.events[place].task, self.events[place].stage.clone());
        let found = scene.find(TASKS[task]).await?;
        let Some(record) = found.iter().find(|record| *record.key.stage() == stage) else {
            return Err(Failed::Wrong(format!("{}/{stage} is gone", TASKS[task])));
        };
        let came = scene.store.redrive(record.id).await?;
        let event = &mut self.events[place];
        let settled = matches!(
            event.state,
            EventState::Done | EventState::Dead | EventState::Superseded
        );
        let expected = if settled {
            event.state = EventState::Ready;
            event.attempts = 0;
            Redriven::Ready
        } else {
            Redriven::NotSettled
        };
        scene::expect("redrive", came, expected)
    }
}
