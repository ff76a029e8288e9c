//! A provider that answers from a script when it is asked about a task.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use suno_callback::{RecordInfo, RecordInfoError};
use suno_types::{Code, TaskId, TaskKind, TaskRecord, TaskStatus, Track};

/// One answer.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Record(Box<TaskRecord>),
    NotVisible,
    CouldNot(Option<Duration>),
    /// There is never an answer.
    Hangs,
}

/// A provider that answers from a script: what was set last is answered again and again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    answers: HashMap<TaskId, VecDeque<Answer>>,
    /// What is answered about any other task.
    otherwise: Option<Answer>,
    asked: Vec<TaskId>,
    kinds: Vec<TaskKind>,
    under_way: HashMap<TaskId, usize>,
    most_under_way: usize,
    most_of_task: usize,
}

/// A question that is under way, until this is dropped.
struct Question(Asked, TaskId);

impl Drop for Question {
    fn drop(&mut self) {
        let state = &mut *self.0.0.lock().unwrap();
        *state.under_way.get_mut(&self.1).unwrap() -= 1;
    }
}

impl Asked {
    /// What is answered about a task, one after the other.
    pub(crate) fn answer(&self, task: &str, answers: impl IntoIterator<Item = Answer>) {
        let task_id = TaskId::new(task).unwrap();
        let answers = answers.into_iter().collect();
        self.0.lock().unwrap().answers.insert(task_id, answers);
    }

    /// The answer about a task for which no other answer was set.
    pub(crate) fn answer_otherwise(&self, answer: Answer) {
        self.0.lock().unwrap().otherwise = Some(answer);
    }

    /// How often it was asked.
    pub(crate) fn times(&self) -> usize {
        self.0.lock().unwrap().asked.len()
    }

    /// The kinds of the tasks that it was asked about.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let state = self.0.lock().unwrap();
        state.kinds.iter().map(ToString::to_string).collect()
    }

    /// How often it was asked at the same time at most.
    pub(crate) fn most_under_way(&self) -> usize {
        self.0.lock().unwrap().most_under_way
    }

    /// How often it was asked about one task at the same time at most.
    pub(crate) fn most_of_task(&self) -> usize {
        self.0.lock().unwrap().most_of_task
    }

    fn begin(&self, task_id: &TaskId) -> Question {
        let state = &mut *self.0.lock().unwrap();
        state.asked.push(task_id.clone());
        let of_task = state.under_way.entry(task_id.clone()).or_default();
        *of_task += 1;
        state.most_of_task = state.most_of_task.max(*of_task);
        let under_way = state.under_way.values().sum();
        state.most_under_way = state.most_under_way.max(under_way);
        Question(self.clone(), task_id.clone())
    }

    fn next(&self, task_id: &TaskId) -> Answer {
        let state = &mut *self.0.lock().unwrap();
        let answers = state.answers.entry(task_id.clone()).or_default();
        match answers.len() {
            0 => state.otherwise.clone().unwrap_or(Answer::NotVisible),
            1 => answers[0].clone(),
            _ => answers.pop_front().unwrap(),
        }
    }
}

#[async_trait]
impl RecordInfo for Asked {
    async fn record(
        &self,
        task_id: &TaskId,
        kind: &TaskKind,
    ) -> Result<Option<TaskRecord>, RecordInfoError> {
        self.0.lock().unwrap().kinds.push(kind.clone());
        let _under_way = self.begin(task_id);
        // Others are asked meanwhile.
        tokio::task::yield_now().await;
        match self.next(task_id) {
            Answer::Record(record) => Ok(Some(*record)),
            Answer::NotVisible => Ok(None),
            Answer::Hangs => std::future::pending().await,
            Answer::CouldNot(wait) => Err(RecordInfoError::new("no answer").with_retry_after(wait)),
        }
    }
}

/// A record with a ready track of so many seconds, unless it has none.
pub(crate) fn record(task: &str, status: TaskStatus, seconds: Option<f64>) -> Answer {
    let mut record = TaskRecord::new(TaskId::new(task).unwrap(), status);
    if let Some(seconds) = seconds {
        let mut track = Track::new(0);
        track.id = Some("a".parse().unwrap());
        track.audio_url = Some("https://media.example.com/a.mp3".to_owned());
        track.duration = Some(seconds);
        record.tracks.push(track);
    }
    Answer::Record(Box::new(record))
}

/// A record of a task that made two songs.
pub(crate) fn succeeded_with_two(task: &str) -> Answer {
    let mut answer = succeeded(task);
    if let Answer::Record(record) = &mut answer {
        let mut second = record.tracks[0].clone();
        second.id = Some("b".parse().unwrap());
        record.tracks.push(second);
    }
    answer
}

pub(crate) fn succeeded(task: &str) -> Answer {
    record(task, TaskStatus::SUCCESS, Some(12.5))
}

pub(crate) fn pending(task: &str) -> Answer {
    record(task, TaskStatus::PENDING, None)
}

pub(crate) fn failed(task: &str, code: u16) -> Answer {
    let mut record = TaskRecord::new(
        TaskId::new(task).unwrap(),
        TaskStatus::GENERATE_AUDIO_FAILED,
    );
    record.error_code = Some(Code(code.into()));
    Answer::Record(Box::new(record))
}
