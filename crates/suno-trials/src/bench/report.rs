//! What was measured, as tables to paste and as JSON.

use std::fmt;
use std::io::Write;

use anyhow::Result;
use serde_json::{Value, json};

use super::goals;
use super::load::Told;
use super::receive::Options;
use super::statistics::{Figures, cell};
use super::subject::Subject;

/// A subject and the load that it is under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) subject: Subject,
    pub(super) connections: usize,
    pub(super) body_bytes: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            subject,
            connections,
            body_bytes,
        } = self;
        write!(f, "{subject:<15} {connections:>3} × {body_bytes:>5} B")
    }
}

/// What one run came to.
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
    /// What a dispatcher had still before it, after the run and after the paced one.
    pub(super) open_events: Option<f64>,
    pub(super) paced_open_events: Option<f64>,
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

struct Run {
    round: usize,
    case: Case,
    measured: Measured,
}

/// All runs.
pub(super) struct Report<'a> {
    pub(super) options: &'a Options,
    machine: String,
    runs: Vec<Run>,
    left_out: Vec<(Subject, String)>,
}

impl<'a> Report<'a> {
    pub(super) fn new(options: &'a Options, machine: String) -> Self {
        Self {
            options,
            machine,
            runs: Vec::new(),
            left_out: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, round: usize, case: Case, measured: Measured) {
        self.runs.push(Run {
            round,
            case,
            measured,
        });
    }

    /// A subject that cannot run is named with the reason.
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

    /// A figure of a case, of all rounds.
    fn figures(&self, case: Case, figure: impl Fn(&Measured) -> Option<f64>) -> Figures {
        let runs = self.runs.iter().filter(|run| run.case == case);
        runs.filter_map(|run| figure(&run.measured)).collect()
    }

    pub(super) fn median(
        &self,
        case: Case,
        figure: impl Fn(&Measured) -> Option<f64>,
    ) -> Option<f64> {
        self.figures(case, figure).median()
    }

    /// How many times as fast as another subject under the same load, round by round.
    pub(super) fn ratio(&self, case: Case, other: Subject) -> Option<f64> {
        let other = Case {
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

    pub(super) fn tell(&self, out: &mut dyn Write) -> Result<()> {
        if self.options.json {
            writeln!(out, "{}", self.json())?;
            return Ok(());
        }
        writeln!(
            out,
            "{}; {} rounds of {} s, {} % duplicates; medians.\n",
            self.machine, self.options.rounds, self.options.seconds, self.options.duplicates
        )?;
        self.tell_rates(out)?;
        writeln!(out)?;
        self.tell_costs(out)?;
        for (subject, reason) in &self.left_out {
            writeln!(out, "\n`{subject}` was not measured: {reason}")?;
        }
        goals::tell(self, out)
    }

    fn tell_rates(&self, out: &mut dyn Write) -> Result<()> {
        writeln!(
            out,
            "| subject | connections | body | callbacks/s | spread | of hyper | of append | × express | × express-durable | p50 ms | p99 ms | paced p50 ms | paced p99 ms | paced p99.9 ms |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
        )?;
        for case in self.measured_cases() {
            let rates = self.figures(case, |measured| Some(measured.told.per_second));
            let of = |other, digits| cell(self.ratio(case, other), digits);
            let closed = |micros: fn(&Told) -> f64| {
                let median = self.median(case, |measured| Some(micros(&measured.told)));
                cell(median.map(|micros| micros / 1e3), 2)
            };
            let paced = |micros: fn(&Told) -> f64| {
                let median = self.median(case, |measured| measured.paced.as_ref().map(micros));
                cell(median.map(|micros| micros / 1e3), 2)
            };
            writeln!(
                out,
                "| {} | {} | {} | {} | {} % | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                case.subject,
                case.connections,
                case.body_bytes,
                cell(rates.median(), 0),
                cell(rates.spread().map(|spread| spread * 100.0), 0),
                of(Subject::Hyper, 2),
                of(Subject::Append, 2),
                of(Subject::Express, 1),
                of(Subject::ExpressDurable, 1),
                closed(|told| told.p50_micros),
                closed(|told| told.p99_micros),
                paced(|told| told.p50_micros),
                paced(|told| told.p99_micros),
                paced(|told| told.p999_micros),
            )?;
        }
        Ok(())
    }

    fn tell_costs(&self, out: &mut dyn Write) -> Result<()> {
        writeln!(
            out,
            "| subject | connections | body | server µs/callback | server busy | load busy | written bytes/callback | idle MB | MB after | open events | open events, paced |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
        )?;
        for case in self.measured_cases() {
            let median = |figure: fn(&Measured) -> Option<f64>, factor: f64, digits| {
                cell(
                    self.median(case, figure).map(|figure| figure * factor),
                    digits,
                )
            };
            writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                case.subject,
                case.connections,
                case.body_bytes,
                median(|measured| measured.cpu_micros_each, 1.0, 1),
                median(|measured| measured.cpu_busy, 1.0, 2),
                median(|measured| measured.told.load_busy, 1.0, 2),
                median(|measured| measured.written_each, 1.0, 0),
                median(|measured| measured.idle_kb, 1.0 / 1024.0, 1),
                median(|measured| measured.resident_kb, 1.0 / 1024.0, 1),
                median(|measured| measured.open_events, 1.0, 0),
                median(|measured| measured.paced_open_events, 1.0, 0),
            )?;
        }
        Ok(())
    }

    pub(super) fn measured_cases(&self) -> impl Iterator<Item = Case> {
        let cases = self.options.cases().into_iter();
        cases.filter(|case| self.runs.iter().any(|run| run.case == *case))
    }

    fn json(&self) -> Value {
        let cases: Vec<Value> = self
            .measured_cases()
            .map(|case| self.case_json(case))
            .collect();
        let left_out = self.left_out.iter();
        let left_out: Vec<Value> = left_out
            .map(|(subject, reason)| json!({"subject": subject.to_string(), "reason": reason}))
            .collect();
        json!({
            "machine": self.machine,
            "seconds": self.options.seconds,
            "rounds": self.options.rounds,
            "duplicates_percent": self.options.duplicates,
            "paced": self.options.paced,
            "cases": cases,
            "left_out": left_out,
            "goals": goals::json(self),
        })
    }

    fn case_json(&self, case: Case) -> Value {
        let runs: Vec<Value> = self
            .runs
            .iter()
            .filter(|run| run.case == case)
            .map(|run| {
                json!({
                    "closed": run.measured.told,
                    "paced": run.measured.paced,
                    "cpu_micros_each": run.measured.cpu_micros_each,
                    "cpu_busy": run.measured.cpu_busy,
                    "written_bytes_each": run.measured.written_each,
                    "idle_kb": run.measured.idle_kb,
                    "resident_kb": run.measured.resident_kb,
                    "open_events": run.measured.open_events,
                    "paced_open_events": run.measured.paced_open_events,
                })
            })
            .collect();
        json!({
            "subject": case.subject.to_string(),
            "connections": case.connections,
            "body_bytes": case.body_bytes,
            "of_hyper": self.ratio(case, Subject::Hyper),
            "of_append": self.ratio(case, Subject::Append),
            "of_express": self.ratio(case, Subject::Express),
            "of_express_durable": self.ratio(case, Subject::ExpressDurable),
            "runs": runs,
        })
    }
}
