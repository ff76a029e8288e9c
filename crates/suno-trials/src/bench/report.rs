//! Prints the measurements as Markdown tables or as JSON.

use std::io::Write;

use anyhow::Result;
use serde_json::{Value, json};

use super::goals;
use super::load::Told;
use super::measured::{Measured, Measurements};
use super::options::BenchCase;
use super::statistics::cell;
use super::subject::Subject;

impl Measurements<'_> {
    /// Writes the tables or the JSON object.
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
            "| subject | connections | body | server µs/callback | server busy | load busy | written bytes/callback | idle MB | MB after | handled/s | open events | open events, paced |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
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
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                case.subject,
                case.connections,
                case.body_bytes,
                median(|measured| measured.cpu_micros_each, 1.0, 1),
                median(|measured| measured.cpu_busy, 1.0, 2),
                median(|measured| measured.told.load_busy, 1.0, 2),
                median(|measured| measured.written_each, 1.0, 0),
                median(|measured| measured.idle_kb, 1.0 / 1024.0, 1),
                median(|measured| measured.resident_kb, 1.0 / 1024.0, 1),
                median(|measured| measured.handled_per_second, 1.0, 0),
                median(|measured| measured.open_events, 1.0, 0),
                median(|measured| measured.paced_open_events, 1.0, 0),
            )?;
        }
        Ok(())
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

    fn case_json(&self, case: BenchCase) -> Value {
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
