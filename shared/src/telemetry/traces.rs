//! Traces, one per execution: accept, publish, process (claim, init, run, persist), exported as OTLP over HTTP.
//!
//! Invariants: a span has ids, statuses and times, never code, input, output, console lines or names chosen by users.
//! Spans are joined by a W3C `traceparent` in the execution's row and in the header of its message, because an
//! execution outlives the task, the process and the worker that started it. So spans here have explicit parents and are
//! independent of the log's spans. Without an endpoint nothing is recorded, and a caller's `traceparent` is passed on.

use super::{Settings, TelemetryError};
use opentelemetry::{
    Context, KeyValue,
    trace::{
        Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceState,
        Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider, Span as SdkSpan},
};
use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};
use url::Url;
use uuid::Uuid;

/// Name of the header and of the column with the parent of a span.
pub const TRACEPARENT: &str = "traceparent";

/// Time limit of the last export when a program ends.
const LAST_EXPORT_TIMEOUT: Duration = Duration::from_secs(2);

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Exporter of this process. Its owner must call [`Self::finish`].
#[derive(Debug)]
pub struct Tracing(Option<SdkTracerProvider>);

/// Starts the export if the settings have a collector. `service` is the service name of the spans.
pub fn init(settings: &Settings, service: &'static str) -> Result<Tracing, TelemetryError> {
    let Some(endpoint) = &settings.otlp_endpoint else { return Ok(Tracing(None)) };
    // The exporter's client requires a provider, even for plain HTTP. Fails if one is already installed.
    drop(rustls::crypto::ring::default_provider().install_default());
    let exporter = SpanExporter::builder().with_http().with_endpoint(traces_url(endpoint)).build()?;
    let resource = Resource::builder()
        .with_service_name(service)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    TRACER.get_or_init(|| provider.tracer("runnerctl"));
    Ok(Tracing(Some(provider)))
}

/// Returns the URL of traces. The endpoint is a base URL, to which each signal adds its path (OTLP specification).
fn traces_url(endpoint: &Url) -> String {
    format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/'))
}

impl Tracing {
    /// Exports the remaining spans, for at most [`LAST_EXPORT_TIMEOUT`].
    pub async fn finish(self) {
        let Some(provider) = self.0 else { return };
        // Blocking, so on a thread of its own.
        let ended =
            tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST_EXPORT_TIMEOUT)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}

/// Open span, which ends when the value is dropped.
#[derive(Debug)]
pub struct Span {
    span: Option<SdkSpan>,
    parent: Option<String>,
}

impl Span {
    /// Returns the parent for child spans: this span, or this span's parent if nothing is recorded.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        self.span.as_ref().map(|span| format_traceparent(span.span_context())).or_else(|| self.parent.clone())
    }

    /// Sets the id of the execution.
    pub fn set_execution_id(&mut self, id: Uuid) {
        self.set_attribute("execution.id", || id.to_string());
    }

    /// Sets an attribute. `value` is called only if the span is recorded.
    pub fn set_attribute(&mut self, key: &'static str, value: impl FnOnce() -> String) {
        if let Some(span) = &mut self.span {
            span.set_attribute(KeyValue::new(key, value()));
        }
    }

    /// Marks the span as failed, with an error code.
    pub fn fail(&mut self, code: &'static str) {
        if let Some(span) = &mut self.span {
            span.set_attribute(KeyValue::new("error.type", code));
            span.set_status(Status::error(code));
        }
    }
}

/// Starts the span in which the API or the ingest accepts an execution.
pub fn accept(parent: Option<String>) -> Span {
    begin("accept", SpanKind::Server, parent)
}

/// Starts the span in which a message is published.
pub fn publish(parent: Option<String>) -> Span {
    begin("publish", SpanKind::Producer, parent)
}

/// Starts the span in which a worker processes a message.
pub fn process(parent: Option<String>) -> Span {
    begin("process", SpanKind::Consumer, parent)
}

/// Starts a child span.
pub fn child(name: &'static str, of: &Span) -> Span {
    begin(name, SpanKind::Internal, of.traceparent())
}

/// Records a child span that has already ended and was measured elsewhere.
pub fn completed_child(name: &'static str, of: &Span, began: SystemTime, took: Duration) {
    let (Some(tracer), Some(_)) = (TRACER.get(), &of.span) else { return };
    let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Internal).with_start_time(began);
    let mut span = tracer.build_with_context(builder, &context(of.traceparent().as_deref()));
    span.end_with_timestamp(began + took);
}

fn begin(name: &'static str, kind: SpanKind, parent: Option<String>) -> Span {
    let span = TRACER.get().map(|tracer| {
        let builder = SpanBuilder::from_name(name).with_kind(kind);
        tracer.build_with_context(builder, &context(parent.as_deref()))
    });
    Span { span, parent }
}

fn context(parent: Option<&str>) -> Context {
    let parent = parent.and_then(parse_traceparent);
    parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent))
}

/// Returns whether a text is a valid `traceparent`.
#[must_use]
pub fn is_traceparent(text: &str) -> bool {
    parse_traceparent(text).is_some()
}

/// Parses version 00 of <https://www.w3.org/TR/trace-context/>: `00-<32 hex>-<16 hex>-<2 hex>`, in lower case.
fn parse_traceparent(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-');
    let mut part = |length| {
        let is_plain = |part: &&str| {
            part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        parts.next().filter(is_plain)
    };
    let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let trace = u128::from_str_radix(trace, 16).ok()?.into();
    let span = u64::from_str_radix(span, 16).ok()?.into();
    let parent = SpanContext::new(trace, span, flags, true, TraceState::default());
    (version == "00" && parts.next().is_none() && parent.is_valid()).then_some(parent)
}

fn format_traceparent(context: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read_and_written_as_it_came() {
        assert_eq!(
            parse_traceparent(PARENT).map(|parent| format_traceparent(&parent)),
            Some(PARENT.to_owned())
        );
    }

    #[test]
    fn an_invalid_traceparent_is_refused() {
        for text in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-+7ad6b7169203331-01",
        ] {
            assert!(!is_traceparent(text), "{text}");
        }
    }

    #[test]
    fn without_an_exporter_the_parent_passes_through() {
        let accept = accept(Some(PARENT.to_owned()));
        assert_eq!(accept.traceparent().as_deref(), Some(PARENT));
        assert_eq!(child("claim", &accept).traceparent().as_deref(), Some(PARENT));
        assert_eq!(super::accept(None).traceparent(), None);
    }

    #[test]
    fn the_traces_path_is_appended_to_the_endpoint() {
        for base in ["http://collector:4318", "http://collector:4318/"] {
            assert_eq!(traces_url(&base.parse().unwrap()), "http://collector:4318/v1/traces");
        }
    }
}
