//! The application that submits: its jobs, and the result of each.

use std::collections::VecDeque;

use anyhow::Result;
use fastrand::Rng;
use suno_callback::{SubmitId, Submitter};
use suno_types::{AddInstrumental, TaskId};

/// The faults that the provider applies to a submit in addition to random ones, with their
/// percentages.
const FAULTS: [(usize, &str); 13] = [
    (48, ""),
    (8, ",cut"),
    (4, ",cut,drop"),
    (4, ",html-502-taken"),
    (3, ",html-502"),
    (3, ",rate-limit"),
    (3, ",no-credits"),
    (5, ",early"),
    (6, ",forge"),
    (6, ",forge-error"),
    (4, ",drop"),
    (3, ",poll-502=2"),
    (3, ",poll-cut=2"),
];

/// A job of the application, which wants one song for each job.
#[derive(Debug)]
pub(super) struct Job {
    number: usize,
    /// The number of submits. A submit is repeated only if it certainly had no effect.
    tries: u32,
    pub(super) end: End,
}

/// The result of a job's submit.
#[derive(Debug)]
pub(super) enum End {
    /// Not submitted yet, or rejected.
    Open,
    /// The provider returned its task id.
    Submitted(TaskId),
    /// It is unknown whether a task exists.
    Ambiguous(SubmitId),
}

impl Job {
    /// A text in the titles of all its submits, and in no other title.
    pub(super) fn name(&self) -> String {
        format!("job {} ", self.number)
    }

    fn request(&self, dice: &mut Rng, callback_url: &str) -> Result<AddInstrumental> {
        let fault = if self.tries == 0 { draw(dice) } else { "" };
        let name = self.name();
        let title = format!("[emulator:random{fault}] {name}try {}", self.tries);
        let request = AddInstrumental::builder()
            .upload_url("https://files.example.com/hum.mp3")
            .title(title)
            .tags("piano")
            .negative_tags("drums")
            .callback_url(callback_url)
            .build()?;
        Ok(request)
    }
}

fn draw(dice: &mut Rng) -> &'static str {
    let mut left = dice.usize(..100);
    for (share, fault) in FAULTS {
        match left.checked_sub(share) {
            Some(rest) => left = rest,
            None => return fault,
        }
    }
    ""
}

/// All jobs, and those that must still be submitted.
#[derive(Debug)]
pub(super) struct Jobs {
    pub(super) all: Vec<Job>,
    open: VecDeque<usize>,
}

impl Jobs {
    pub(super) fn new(count: usize) -> Self {
        let job = |number| Job {
            number,
            tries: 0,
            end: End::Open,
        };
        Self {
            all: (0..count).map(job).collect(),
            open: (0..count).collect(),
        }
    }

    pub(super) fn are_submitted(&self) -> bool {
        self.open.is_empty()
    }

    /// Submits at most this many jobs. A job that is certainly rejected is submitted again later.
    pub(super) async fn submit(
        &mut self,
        count: usize,
        submitter: &Submitter,
        callback_url: &str,
        dice: &mut Rng,
    ) -> Result<()> {
        for _ in 0..count {
            let Some(number) = self.open.pop_front() else {
                break;
            };
            let job = &mut self.all[number];
            let request = job.request(dice, callback_url)?;
            job.tries += 1;
            match submitter.submit(&request).await {
                Ok(submitted) => job.end = End::Submitted(submitted.task_id),
                Err(err) => match err.submit_id().filter(|_| err.is_ambiguous()) {
                    Some(submit) => job.end = End::Ambiguous(submit),
                    None if err.client_error().is_some() => self.open.push_back(number),
                    None => return Err(err.into()),
                },
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_faults_are_a_hundred() {
        assert_eq!(FAULTS.iter().map(|(share, _)| share).sum::<usize>(), 100);
    }
}
