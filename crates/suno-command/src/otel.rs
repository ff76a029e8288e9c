//! Traces for OpenTelemetry, sent by OTLP over HTTP. Off unless `OTEL_EXPORTER_OTLP_ENDPOINT` or
//! `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set.
//!
//! All spans of a task belong to one trace, whose id is computed from the id of the task: so the trace of a
//! task is found without a search, and goes on after a restart. The exporter reads the other variables of
//! OpenTelemetry, such as `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME` and `OTEL_TRACES_SAMPLER`.

#[cfg(feature = "otel")]
mod client;
#[cfg(feature = "otel")]
mod export;

use crate::environment;
use crate::failure::Failure;

#[cfg(feature = "otel")]
pub(crate) use export::Export;

/// A running export. Without the feature, none ever runs.
#[cfg(not(feature = "otel"))]
pub(crate) type Export = std::convert::Infallible;

/// The variables that turn the export on.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];

/// Starts the export; `None` if no variable turns it on. Must be called on a tokio runtime.
#[cfg(feature = "otel")]
pub(crate) fn start() -> Result<Option<Export>, Failure> {
    match is_wanted()? {
        true => Export::start().map(Some),
        false => Ok(None),
    }
}

/// Warns if a variable turns the export on, which this binary does not have.
#[cfg(not(feature = "otel"))]
pub(crate) fn start() -> Result<Option<Export>, Failure> {
    if is_wanted()? {
        tracing::warn!(
            "no traces are exported: this suno was built without the feature \"otel\"; build it with it, \
             or unset OTEL_EXPORTER_OTLP_ENDPOINT"
        );
    }
    Ok(None)
}

fn is_wanted() -> Result<bool, Failure> {
    for name in ENDPOINTS {
        if environment::optional(name)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
