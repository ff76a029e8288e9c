//! The measurements: all runs of all cases.

use std::fmt;

use super::load::Told;
use super::options::{BenchCase, Options};
use super::statistics::{Figures, cell};
use super::subject::Subject;

/// The figures of one run.
#[derive(Debug, Clone, Default)]
pub(super) struct Measured {
    pub(super) told: Told,
    /// The run with intended times.
    pub(super) paced: Option<Told>,
    pub(super) cpu_micros_each: Option<f64>,
    pub(super) cpu_busy: Option<f64>,
    pub(super) written_each: Option<f64>,
    pub(super) idle_kb: Option<f64>,
    pub(super) resident_kb: Option<f64>,
    /// The number of events that a dispatcher had not handled, after the run and after
    /// the paced one.
    pub(super) open_events: Option<f64>,
    pub(super) paced_open_events: Option<f64>,
    /// The number of events that a dispatcher handled in a second, while callbacks arrived.
    pub(super) handled_per_second: Option<f64>,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>7.1} k/s  p50 {:>5.2} ms  p99 {:>6.2} ms  {} µs of processor each",
            self.told.per_second / 1e3,
            self.told.p50_micros / 1e3,
            self.told.p99_micros / 1e3,
            cell(self.cpu_micros_each, 1),
        )
    }
}

/// A run of a case.
pub(super) struct Run {
    round: usize,
    pub(super) case: BenchCase,
    pub(super) measured: Measured,
}

/// All runs.
pub(super) struct Measurements<'a> {
    pub(super) options: &'a Options,
    pub(super) machine: String,
    pub(super) runs: Vec<Run>,
    pub(super) left_out: Vec<(Subject, String)>,
}

impl<'a> Measurements<'a> {
    pub(super) fn new(options: &'a Options, machine: String) -> Self {
        Self {
            options,
            machine,
            runs: Vec::new(),
            left_out: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, round: usize, case: BenchCase, measured: Measured) {
        self.runs.push(Run {
            round,
            case,
            measured,
        });
    }

    /// Records a subject that cannot run, with the reason.
    pub(super) fn leave_out(&mut self, subject: Subject, reason: String) {
        self.left_out.push((subject, reason));
    }

    pub(super) fn is_left_out(&self, subject: Subject) -> bool {
        self.left_out.iter().any(|(other, _)| *other == subject)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(super) fn reasons(&self) -> String {
        let reasons = self.left_out.iter();
        let reasons: Vec<_> = reasons
            .map(|(subject, why)| format!("{subject}: {why}"))
            .collect();
        reasons.join("; ")
    }

    /// Returns a figure of a case, in all rounds.
    pub(super) fn figures(
        &self,
        case: BenchCase,
        figure: impl Fn(&Measured) -> Option<f64>,
    ) -> Figures {
        let runs = self.runs.iter().filter(|run| run.case == case);
        runs.filter_map(|run| figure(&run.measured)).collect()
    }

    pub(super) fn median(
        &self,
        case: BenchCase,
        figure: impl Fn(&Measured) -> Option<f64>,
    ) -> Option<f64> {
        self.figures(case, figure).median()
    }

    /// Returns the speed relative to another subject under the same load, for each round.
    pub(super) fn ratio(&self, case: BenchCase, other: Subject) -> Option<f64> {
        let other = BenchCase {
            subject: other,
            ..case
        };
        let rate = |round, case| {
            let mut runs = self.runs.iter();
            let run = runs.find(|run| run.round == round && run.case == case)?;
            Some(run.measured.told.per_second)
        };
        let rounds = 0..self.options.rounds;
        let ratios: Figures = rounds
            .filter_map(|round| Some(rate(round, case)? / rate(round, other)?))
            .collect();
        ratios.median()
    }

    pub(super) fn measured_cases(&self) -> impl Iterator<Item = BenchCase> {
        let cases = self.options.cases().into_iter();
        cases.filter(|case| self.runs.iter().any(|run| run.case == *case))
    }
}
