//! The application that submits: its jobs, and the result of each.

use std::collections::VecDeque;

use anyhow::Result;
use fastrand::Rng;
use suno_callback::{SubmitId, Submitter};
use suno_types::{DynamicRequest, Operation, RequestBuilder, Route, TaskId};

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

/// The name of a field and its value.
type Field = (&'static str, &'static str);

/// The requests of the application: the operation, the field that names the job, and the fields that it
/// needs besides. Each product is among them. The two operations for a phrase are missing, because their
/// tasks have no end by the direct route.
const WANTED: [(Operation, &str, &[Field]); 17] = [
    (Operation::Generate, "prompt", &[MODEL]),
    (Operation::Extend, "audio_id", &[MODEL]),
    (Operation::UploadCover, "prompt", &[UPLOAD, MODEL]),
    (Operation::UploadExtend, "prompt", &[UPLOAD, MODEL]),
    (
        Operation::AddInstrumental,
        "title",
        &[UPLOAD, ("tags", "piano"), ("negative_tags", "drums")],
    ),
    (
        Operation::AddVocals,
        "title",
        &[
            UPLOAD,
            ("prompt", "la"),
            ("style", "piano"),
            ("negative_tags", "drums"),
        ],
    ),
    (
        Operation::ReplaceSection,
        "title",
        &[
            ("task_id", "song"),
            ("audio_id", "track"),
            ("prompt", "la"),
            ("full_lyrics", "la la"),
            ("tags", "piano"),
            ("infill_start_s", "10"),
            ("infill_end_s", "20"),
        ],
    ),
    (
        Operation::Mashup,
        "title",
        &[
            ("upload_url_list", UPLOAD.1),
            ("upload_url_list", UPLOAD.1),
            ("custom_mode", "true"),
            ("prompt", "la"),
            ("style", "piano"),
            MODEL,
        ],
    ),
    (Operation::Sounds, "prompt", &[MODEL]),
    (Operation::Lyrics, "prompt", &[]),
    (Operation::Wav, "audio_id", &[("task_id", "song")]),
    (Operation::Mp4, "audio_id", &[("task_id", "song")]),
    (Operation::Stems, "audio_id", &[("task_id", "song")]),
    (Operation::Midi, "task_id", &[]),
    (Operation::Cover, "task_id", &[]),
    (
        Operation::VoiceGenerate,
        "task_id",
        &[("verify_url", UPLOAD.1)],
    ),
    (Operation::Recovery, "task_id", &[]),
];

const UPLOAD: Field = ("upload_url", "https://files.example.com/hum.mp3");
const MODEL: Field = ("model", "V5");

/// A job of the application, which wants one result for each job.
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
    /// A text in all its submits, and in no other one.
    pub(super) fn name(&self) -> String {
        format!("job-{}", self.number)
    }

    /// The route and the request. All operations take turns, by one route and then by the other.
    fn request(&self, dice: &mut Rng, callback_url: &str) -> Result<(Route, DynamicRequest)> {
        let (operation, name_field, fields) = WANTED[self.number % WANTED.len()];
        let is_jobs = self.number / WANTED.len() % 2 == 1;
        let route = if is_jobs { Route::Jobs } else { Route::Direct };
        let fault = if self.tries == 0 { draw(dice) } else { "" };
        let name = format!("[emulator:random{fault}]{}-try-{}", self.name(), self.tries);
        let request = RequestBuilder::from_fields(operation, fields.iter().copied())?
            .set(name_field, &name)?
            .callback_url(callback_url)
            .build_for(route)?;
        Ok((route, request))
    }
}

/// A submitter for each route.
#[derive(Debug)]
pub(super) struct Submitters {
    pub(super) direct: Submitter,
    pub(super) jobs: Submitter,
}

impl Submitters {
    fn of(&self, route: Route) -> &Submitter {
        match route {
            Route::Jobs => &self.jobs,
            _ => &self.direct,
        }
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
        submitters: &Submitters,
        callback_url: &str,
        dice: &mut Rng,
    ) -> Result<()> {
        for _ in 0..count {
            let Some(number) = self.open.pop_front() else {
                break;
            };
            let job = &mut self.all[number];
            let (route, request) = job.request(dice, callback_url)?;
            job.tries += 1;
            let submitter = submitters.of(route);
            match submitter.submit_for(&job.name(), &request).await {
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
