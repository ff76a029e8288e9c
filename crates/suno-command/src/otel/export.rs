//! Spans from the reports of a pipeline.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
    TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use sha2::{Digest, Sha256};
use suno_callback::{
    Acceptance, Clock, Content, Delivery, HandledOutcome, HandledReport, Observer, ResponseReport,
    SystemClock,
};
use tokio::sync::oneshot;

use super::client::Client;
use crate::failure::Failure;

/// The time that the end of the process waits for the last spans to be sent.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// A running export.
#[derive(Debug)]
pub(crate) struct Export {
    provider: SdkTracerProvider,
}

impl Export {
    /// Starts the export, whose thread sends spans in batches. Must be called on a tokio runtime.
    pub(super) fn start() -> Result<Self, Failure> {
        Self::to(None)
    }

    /// Starts the export to an endpoint, or to that in the environment.
    fn to(endpoint: Option<&str>) -> Result<Self, Failure> {
        let failed = |err: anyhow::Error| {
            Failure::usage(err).context(
                "the export of traces could not start; see the variables that begin with OTEL_",
            )
        };
        let client = Client::new().map_err(failed)?;
        let exporter = SpanExporter::builder().with_http().with_http_client(client);
        let exporter = match endpoint {
            Some(endpoint) => exporter.with_endpoint(format!("{endpoint}/v1/traces")),
            None => exporter,
        };
        let exporter = exporter.build().map_err(|err| failed(err.into()))?;
        let resource = Resource::builder();
        let resource = match std::env::var_os("OTEL_SERVICE_NAME") {
            Some(_) => resource,
            None => resource.with_service_name("suno"),
        };
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.with_attribute(version).build())
            .with_batch_exporter(exporter)
            .build();
        Ok(Self { provider })
    }

    /// Returns an observer that makes a span of each answer, each delivery and each handled event.
    pub(crate) fn observer(&self) -> Spans {
        Spans {
            tracer: self.provider.tracer("suno"),
        }
    }

    /// Sends what is left. Spans that cannot be sent within a few seconds are dropped.
    pub(crate) async fn finish(self) {
        self.finish_within(FLUSH_MAX).await;
    }

    async fn finish_within(self, time_max: Duration) {
        let provider = self.provider;
        let (tell, told) = oneshot::channel();
        // A thread of its own: the end of the runtime would wait for one of the runtime's.
        let thread = std::thread::Builder::new().name("traces".to_owned());
        let started =
            thread.spawn(move || drop(tell.send(provider.shutdown_with_timeout(time_max))));
        if let (Ok(_), Ok(Ok(Ok(())))) = (started, tokio::time::timeout(time_max, told).await) {
            return;
        }
        tracing::warn!("the last traces could not be exported");
    }
}

/// Makes spans. They have no body, no URL and no signature, but the id of the task.
#[derive(Debug)]
pub(crate) struct Spans {
    tracer: SdkTracer,
}

impl Spans {
    /// Ends a span now that took as long as `took`.
    fn record(
        &self,
        name: &'static str,
        kind: SpanKind,
        task_id: Option<&str>,
        took: Duration,
        mut attributes: Vec<KeyValue>,
        status: Status,
    ) {
        let now = u64::try_from(SystemClock.now().as_microsecond()).unwrap_or_default();
        let end = SystemTime::UNIX_EPOCH + Duration::from_micros(now);
        let start = end.checked_sub(took).unwrap_or(end);
        let parent = match task_id {
            Some(task_id) => {
                attributes.push(KeyValue::new("suno.task_id", task_id.to_owned()));
                Context::new().with_remote_span_context(context(task_id))
            }
            None => Context::new(),
        };
        let builder = SpanBuilder::from_name(name)
            .with_kind(kind)
            .with_start_time(start)
            .with_attributes(attributes);
        let mut span = self.tracer.build_with_context(builder, &parent);
        span.set_status(status);
        span.end_with_timestamp(end);
    }
}

/// Returns the trace of a task, and the span that all of its spans have as their parent.
fn context(task_id: &str) -> SpanContext {
    let hash: [u8; 32] = Sha256::digest(task_id).into();
    let (mut trace, mut span) = ([0; 16], [0; 8]);
    trace.copy_from_slice(&hash[..16]);
    span.copy_from_slice(&hash[16..24]);
    SpanContext::new(
        TraceId::from_bytes(trace),
        SpanId::from_bytes(span),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    )
}

impl Observer for Spans {
    fn on_response(&self, response: &ResponseReport) {
        let code = i64::from(response.status.as_u16());
        let mut attributes = vec![KeyValue::new("http.response.status_code", code)];
        if let Some(reason) = response.reason.clone() {
            attributes.push(KeyValue::new("suno.reason", reason));
        }
        let status = match response.status.is_server_error() {
            true => Status::error("not stored"),
            false => Status::Unset,
        };
        let took = response.took.unwrap_or_default();
        self.record("answer", SpanKind::Server, None, took, attributes, status);
    }

    fn on_delivery(&self, delivery: &Delivery, accepted: Acceptance) {
        let outcome = KeyValue::new("suno.outcome", accepted.as_str());
        let (task_id, stage) = match &delivery.content {
            Content::Event { key, .. } => (Some(key.task_id()), Some(key.stage())),
            Content::Quarantined { task_id, .. } => (task_id.as_ref(), None),
            _ => (None, None),
        };
        let stage = stage.map(|stage| KeyValue::new("suno.stage", stage.as_str().to_owned()));
        // The difference is negative if the clock was set back.
        let took = SystemClock.now().duration_since(delivery.received_at);
        self.record(
            "store",
            SpanKind::Internal,
            task_id.map(|task_id| task_id.as_str()),
            Duration::try_from(took).unwrap_or_default(),
            [outcome].into_iter().chain(stage).collect(),
            Status::Unset,
        );
    }

    fn on_handled(&self, handled: &HandledReport<'_>) {
        let status = match handled.outcome {
            HandledOutcome::Dead | HandledOutcome::Retried => {
                Status::error(handled.outcome.as_str())
            }
            _ => Status::Unset,
        };
        let attributes = vec![
            KeyValue::new("suno.stage", handled.key.stage().as_str().to_owned()),
            KeyValue::new("suno.revision", i64::from(handled.key.revision())),
            KeyValue::new("suno.attempt", i64::from(handled.event.attempt())),
            KeyValue::new("suno.outcome", handled.outcome.as_str()),
        ];
        let task_id = Some(handled.key.task_id().as_str());
        self.record(
            "handle",
            SpanKind::Consumer,
            task_id,
            handled.took,
            attributes,
            status,
        );
    }
}

#[cfg(test)]
mod tests;
