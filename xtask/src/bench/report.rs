//! Medians, spread and ratios.

use std::fmt;
use std::io::Write;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Options;
use super::subject::Subject;

/// What one run came to.
#[derive(Debug, Clone, Default)]
pub(super) struct Measured {
    answered: f64,
    per_second: f64,
    p50_micros: f64,
    p99_micros: f64,
    pub(super) idle_kb: Option<u64>,
    pub(super) resident_kb: Option<u64>,
    pub(super) written_bytes: Option<u64>,
}

impl Measured {
    pub(super) fn from_load(told: &str) -> Result<Self> {
        let told: Value = serde_json::from_str(told).context("the load printed no JSON")?;
        let number = |name: &str| told[name].as_f64().context("the load left a figure out");
        Ok(Self {
            answered: number("answered")?,
            per_second: number("per_second")?,
            p50_micros: number("p50_micros")?,
            p99_micros: number("p99_micros")?,
            ..Self::default()
        })
    }

    fn written_per_event(&self) -> Option<f64> {
        Some(self.written_bytes? as f64 / self.answered)
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>7.1} k/s  p50 {:>5.2} ms  p99 {:>6.2} ms",
            self.per_second / 1e3,
            self.p50_micros / 1e3,
            self.p99_micros / 1e3
        )
    }
}

/// All runs.
pub(super) struct Report<'a> {
    options: &'a Options,
    runs: Vec<(Subject, Measured)>,
}

impl<'a> Report<'a> {
    pub(super) fn new(options: &'a Options) -> Self {
        Self {
            options,
            runs: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, subject: Subject, measured: Measured) {
        self.runs.push((subject, measured));
    }

    /// The figures of a subject, in ascending order.
    fn figures(&self, subject: Subject, figure: impl Fn(&Measured) -> Option<f64>) -> Vec<f64> {
        let runs = self.runs.iter().filter(|(run, _)| *run == subject);
        let mut figures: Vec<f64> = runs.filter_map(|(_, measured)| figure(measured)).collect();
        figures.sort_by(f64::total_cmp);
        figures
    }

    fn median(&self, subject: Subject, figure: impl Fn(&Measured) -> Option<f64>) -> Option<f64> {
        let figures = self.figures(subject, figure);
        figures.get(figures.len() / 2).copied()
    }

    fn rate(&self, subject: Subject) -> Option<f64> {
        self.median(subject, |measured| Some(measured.per_second))
    }

    pub(super) fn tell(&self, out: &mut dyn Write) -> Result<()> {
        if self.options.json {
            let subjects: Vec<Value> = self
                .options
                .subjects
                .iter()
                .map(|subject| self.json(*subject))
                .collect();
            let told = json!({
                "connections": self.options.connections,
                "seconds": self.options.duration.as_secs_f64(),
                "rounds": self.options.rounds,
                "duplicates_percent": self.options.duplicates_percent,
                "subjects": subjects,
            });
            writeln!(out, "{told}")?;
            return Ok(());
        }
        writeln!(
            out,
            "\n{} connections, {} rounds of {} s, {} % duplicates; medians\n",
            self.options.connections,
            self.options.rounds,
            self.options.duration.as_secs_f64(),
            self.options.duplicates_percent
        )?;
        writeln!(
            out,
            "subject     k/s  spread  of hyper  of append  p50 ms  p99 ms  bytes/event  idle MB  MB"
        )?;
        for subject in &self.options.subjects {
            self.tell_subject(*subject, out)?;
        }
        Ok(())
    }

    fn tell_subject(&self, subject: Subject, out: &mut dyn Write) -> Result<()> {
        let rates = self.figures(subject, |measured| Some(measured.per_second));
        let rate = self.rate(subject).unwrap_or(f64::NAN);
        let spread = match (rates.first(), rates.last()) {
            (Some(least), Some(most)) => (most - least) / rate * 100.0,
            _ => f64::NAN,
        };
        let of = |other| self.rate(other).map_or(f64::NAN, |other| rate / other);
        let median =
            |figure: fn(&Measured) -> Option<f64>| self.median(subject, figure).unwrap_or(f64::NAN);
        writeln!(
            out,
            "{subject:<8} {:>6.1} {:>5.0} % {:>9.2} {:>10.2} {:>7.2} {:>7.2} {:>12.0} {:>8.1} {:>5.1}",
            rate / 1e3,
            spread,
            of(Subject::Hyper),
            of(Subject::Append),
            median(|measured| Some(measured.p50_micros)) / 1e3,
            median(|measured| Some(measured.p99_micros)) / 1e3,
            median(Measured::written_per_event),
            median(|measured| measured.idle_kb.map(|kb| kb as f64)) / 1024.0,
            median(|measured| measured.resident_kb.map(|kb| kb as f64)) / 1024.0,
        )?;
        Ok(())
    }

    fn json(&self, subject: Subject) -> Value {
        let rate = self.rate(subject);
        let ratio = |other| Some(rate? / self.rate(other)?);
        json!({
            "subject": subject.to_string(),
            "per_second": self.figures(subject, |measured| Some(measured.per_second)),
            "of_hyper": ratio(Subject::Hyper),
            "of_append": ratio(Subject::Append),
            "p50_micros": self.median(subject, |measured| Some(measured.p50_micros)),
            "p99_micros": self.median(subject, |measured| Some(measured.p99_micros)),
            "written_bytes_per_event": self.median(subject, Measured::written_per_event),
            "idle_kb": self.median(subject, |measured| measured.idle_kb.map(|kb| kb as f64)),
            "resident_kb": self.median(subject, |measured| measured.resident_kb.map(|kb| kb as f64)),
        })
    }
}
