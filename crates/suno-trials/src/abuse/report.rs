//! Prints the figures as a table or as JSON.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};
use suno_testkit::process::Stop;

use super::verdict::{Bounds, Figures};

const MIB: f64 = (1 << 20) as f64;

pub(super) fn write(
    bounds: &Bounds,
    all: &[Figures],
    as_json: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    if as_json {
        return writeln!(out, "{}", json_of(bounds, all));
    }
    writeln!(
        out,
        "| scenario | strangers' requests | MB | answered | signed | p50 ms | p99 ms | sync ms | handled ms | peak MiB | stop ms | |\n\
         | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    )?;
    for figures in all {
        let is_good = bounds.judge(figures).is_empty();
        writeln!(
            out,
            "| {} | {} | {:.1} | {} | {}/{} | {:.1} | {:.1} | {:.1} | {} | {} | {} | {} |",
            figures.scenario,
            figures.requests,
            figures.stranger_bytes as f64 / 1e6,
            statuses(figures),
            figures.printed,
            figures.due,
            millis(figures.p50),
            millis(figures.p99),
            millis(figures.slowest_sync),
            cell(figures.probes_handled.map(millis)),
            cell(figures.peak_bytes.map(mebibytes)),
            cell(stop(figures).map(millis)),
            if is_good { "ok" } else { "FAILED" },
        )?;
    }
    writeln!(
        out,
        "\nsigned: printed, of those that were due. sync: the slowest sync of another file in the meantime, not judged.\n\
         handled: the slowest of the events sent at the end.\n\
         Bounds: p99 {:.1} ms, peak {:.0} MiB.",
        millis(bounds.p99_max),
        mebibytes(bounds.peak_bytes_max)
    )?;
    if all.iter().any(|figures| figures.peak_bytes.is_none()) {
        writeln!(
            out,
            "If no peak is shown, memory was not measured: /proc does not exist, or the process had ended."
        )?;
    }
    for figures in all {
        for what in bounds.judge(figures) {
            writeln!(out, "{}: {what}", figures.scenario)?;
        }
    }
    Ok(())
}

fn json_of(bounds: &Bounds, all: &[Figures]) -> Value {
    let scenarios = all.iter().map(|figures| {
        json!({
            "scenario": figures.scenario.to_string(),
            "stranger_requests": figures.requests,
            "stranger_bytes": figures.stranger_bytes,
            "stranger_statuses": figures.stranger_statuses,
            "signed_due": figures.due,
            "signed_accepted": figures.accepted,
            "signed_printed": figures.printed,
            "p50_ms": millis(figures.p50),
            "p99_ms": millis(figures.p99),
            "slowest_sync_ms": millis(figures.slowest_sync),
            "handled_ms": figures.probes_handled.map(millis),
            "peak_bytes": figures.peak_bytes,
            "head_refused": figures.is_head_refused,
            "stop_ms": stop(figures).map(millis),
            "broken_bounds": bounds.judge(figures),
        })
    });
    json!({
        "p99_ms_max": millis(bounds.p99_max),
        "peak_bytes_max": bounds.peak_bytes_max,
        "scenarios": scenarios.collect::<Vec<_>>(),
    })
}

/// Formats the responses to strangers, such as '401: 12'.
fn statuses(figures: &Figures) -> String {
    let counts = figures.stranger_statuses.iter();
    let counts: Vec<_> = counts
        .map(|(status, count)| format!("{status}: {count}"))
        .collect();
    counts.join(", ")
}

fn stop(figures: &Figures) -> Option<Duration> {
    match figures.stop {
        Stop::After(took) => Some(took),
        Stop::Failed(_) | Stop::Killed => None,
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / MIB
}

fn cell(figure: Option<f64>) -> String {
    figure.map_or_else(|| "–".to_owned(), |figure| format!("{figure:.1}"))
}
