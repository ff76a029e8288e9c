//! The text form of all metrics: families in a fixed order, each with its help and its type.

use std::sync::atomic::{AtomicU64, Ordering};

use super::family::{Histogram, Labelled, float, head, sample};
use super::{Gauges, Metrics};
use suno_callback::StateName;

const COUNTER: &str = "counter";
const GAUGE: &str = "gauge";
const HISTOGRAM: &str = "histogram";

impl Metrics {
    /// Returns all metrics as text, with the gauges that were read from the store. A gauge that is
    /// not known has no sample.
    #[must_use]
    pub fn render(&self, gauges: &Gauges) -> String {
        let mut out = String::with_capacity(16 << 10);
        self.write_receiving(&mut out);
        write_store(&mut out, gauges);
        self.write_handling(&mut out);
        self.write_process(&mut out);
        out
    }

    fn write_receiving(&self, out: &mut String) {
        labelled(
            out,
            "suno_requests_total",
            "Requests to the callback URL, by the status of the answer and the reason for it.",
            &self.requests,
        );
        labelled(
            out,
            "suno_deliveries_total",
            "Deliveries that were committed, by their outcome in the store.",
            &self.deliveries,
        );
        histogram(
            out,
            "suno_accept_seconds",
            "Time from the check of a request's head to its answer.",
            &self.accept_seconds,
        );
        histogram(
            out,
            "suno_commit_deliveries",
            "Deliveries in one commit.",
            &self.commit_deliveries,
        );
        counter(
            out,
            "suno_commit_failures_total",
            "Commits in which at least one delivery was not stored.",
            &self.commit_failures,
        );
        counter(
            out,
            "suno_conflicts_total",
            "Deliveries that contradict a stored event.",
            &self.conflicts,
        );
        counter(
            out,
            "suno_recovered_total",
            "Events whose callback was missing, found by asking the provider.",
            &self.recovered,
        );
    }

    fn write_handling(&self, out: &mut String) {
        histogram(
            out,
            "suno_handler_seconds",
            "Time that the handler took for one event.",
            &self.handler_seconds,
        );
        labelled(
            out,
            "suno_handled_total",
            "Ends of the handler, by their outcome.",
            &self.handled,
        );
        labelled(
            out,
            "suno_forwards_total",
            "Attempts to hand an event to a destination, by the class of the answer.",
            &self.forwards,
        );
        head(
            out,
            "suno_forward_seconds",
            HISTOGRAM,
            "Time that an attempt at a destination took.",
        );
        self.forward_seconds
            .each(|labels, seconds| seconds.0.write(out, "suno_forward_seconds", labels));
        head(
            out,
            "suno_destination_up",
            GAUGE,
            "1 if the destination works, 0 if it is down or paused.",
        );
        self.destination_up
            .each(|labels, up| sample(out, "suno_destination_up", labels, float(*up)));
        counter(
            out,
            "suno_dead_letters_total",
            "Events that became dead letters.",
            &self.dead_letters,
        );
        counter(
            out,
            "suno_claims_lost_total",
            "Claims that ended before their handler did.",
            &self.claims_lost,
        );
    }

    fn write_process(&self, out: &mut String) {
        head(
            out,
            "suno_build_info",
            GAUGE,
            "The version of the program; always 1.",
        );
        sample(out, "suno_build_info", &[("version", &self.version)], 1.0);
        let name = "suno_tls_certificate_not_after_seconds";
        head(
            out,
            name,
            GAUGE,
            "Time at which the certificate of the receiver expires, since 1970; 0 without one.",
        );
        let seconds = self.certificate_not_after.load(Ordering::Relaxed);
        let seconds = u64::try_from(seconds).unwrap_or(0);
        sample(out, name, &[], float(seconds));
        counter(
            out,
            "suno_history_dropped_total",
            "Entries of the history that were dropped because too many waited.",
            &self.history_dropped,
        );
        counter(
            out,
            "suno_scrape_errors_total",
            "Times that the store could not be read in time for these metrics.",
            &self.scrape_errors,
        );
    }
}

fn write_store(out: &mut String, gauges: &Gauges) {
    let (name, help) = ("suno_inbox_events", "Events in the store, by their state.");
    head(out, name, GAUGE, help);
    if let Some(mut counts) = gauges.counts {
        for state in StateName::ALL {
            let count = float(*counts.of(state));
            sample(out, name, &[("state", state.as_str())], count);
        }
    }
    gauge(
        out,
        "suno_inbox_oldest_pending_seconds",
        "Age of the oldest event that is not handled; 0 if there is none.",
        gauges.oldest_pending.map(|age| age.as_secs_f64()),
    );
    gauge(
        out,
        "suno_quarantine_entries",
        "Deliveries in quarantine.",
        gauges.counts.map(|counts| float(counts.quarantined)),
    );
    gauge(
        out,
        "suno_expected_tasks",
        "Tasks whose callbacks are expected, counted up to 10,000.",
        gauges.counts.map(|counts| float(counts.expected)),
    );
    gauge(
        out,
        "suno_overdue_tasks",
        "Expected tasks that have been due for a minute without being asked about, up to 10,000.",
        gauges.counts.map(|counts| float(counts.overdue)),
    );
    gauge(
        out,
        "suno_open_intents",
        "Submits whose tasks are unknown, counted up to 10,000.",
        gauges.counts.map(|counts| float(counts.open_intents)),
    );
    gauge(
        out,
        "suno_store_bytes",
        "Bytes that the store occupies.",
        gauges.store_bytes.map(float),
    );
}

fn gauge(out: &mut String, name: &str, help: &str, value: Option<f64>) {
    head(out, name, GAUGE, help);
    if let Some(value) = value {
        sample(out, name, &[], value);
    }
}

fn counter(out: &mut String, name: &str, help: &str, count: &AtomicU64) {
    head(out, name, COUNTER, help);
    sample(out, name, &[], float(count.load(Ordering::Relaxed)));
}

fn labelled<const N: usize>(out: &mut String, name: &str, help: &str, counts: &Labelled<N, u64>) {
    head(out, name, COUNTER, help);
    counts.each(|labels, count| sample(out, name, labels, float(*count)));
}

fn histogram(out: &mut String, name: &str, help: &str, histogram: &Histogram) {
    head(out, name, HISTOGRAM, help);
    histogram.write(out, name, &[]);
}
