//! One trace per execution: accept, publish, process (claim, init, run, persist), exported as OTLP over HTTP.
//!
//! Invariants: a span holds ids, statuses and times, never code, input, output, console or names that people chose.
//! What joins the spans is a W3C `traceparent` in the execution's row and in the header of its message, since an
//! execution outlives the task, the process and the worker that began it; so spans here have explicit parents, and do
//! not follow those of the log. Without an endpoint nothing is recorded, and a caller's `traceparent` passes through.

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
    trace::{SdkTracer, SdkTracerProvider, Span},
};
use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};
use url::Url;
use uuid::Uuid;

/// The header and the column that carry a parent.
pub const TRACEPARENT: &str = "traceparent";

/// A program that ends waits this long for a collector.
const LAST_EXPORT: Duration = Duration::from_secs(2);

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// The exporter of this process. Its owner ends it with [`Self::finish`].
#[derive(Debug)]
pub struct Tracing(Option<SdkTracerProvider>);

/// Exports from now on, if the settings name a collector. `service` is the name under which it shows the spans.
pub fn init(settings: &Settings, service: &'static str) -> Result<Tracing, TelemetryError> {
    let Some(endpoint) = &settings.otlp_endpoint else { return Ok(Tracing(None)) };
    // The exporter's client asks for it, even where the collector speaks plain HTTP. Somebody may have been first.
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

/// The endpoint is a base, to which each signal adds its own path (OTLP specification).
fn traces_url(endpoint: &Url) -> String {
    format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/'))
}

impl Tracing {
    /// Exports what is left, for a moment at most.
    pub async fn finish(self) {
        let Some(provider) = self.0 else { return };
        // It blocks; the runtime's other threads go on.
        let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST_EXPORT)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}

/// A span under way; it ends with its value.
#[derive(Debug)]
pub struct Step {
    span: Option<Span>,
    parent: Option<String>,
}

impl Step {
    /// What the next step takes as its parent: this one, or where nothing is recorded, this one's own parent.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        self.span.as_ref().map(|span| format_traceparent(span.span_context())).or_else(|| self.parent.clone())
    }

    /// Names the execution.
    pub fn of_execution(&mut self, id: Uuid) {
        self.note("execution.id", || id.to_string());
    }

    /// A fact about it.
    pub fn note(&mut self, key: &'static str, value: impl FnOnce() -> String) {
        if let Some(span) = &mut self.span {
            span.set_attribute(KeyValue::new(key, value()));
        }
    }

    /// It failed, in one word.
    pub fn fail(&mut self, code: &'static str) {
        if let Some(span) = &mut self.span {
            span.set_attribute(KeyValue::new("error.type", code));
            span.set_status(Status::error(code));
        }
    }
}

/// The API or the ingest takes an execution on.
pub fn accept(parent: Option<String>) -> Step {
    begin("accept", SpanKind::Server, parent)
}

/// A message goes to the broker.
pub fn publish(parent: Option<String>) -> Step {
    begin("publish", SpanKind::Producer, parent)
}

/// A worker sees a message through.
pub fn process(parent: Option<String>) -> Step {
    begin("process", SpanKind::Consumer, parent)
}

/// A part of another step.
pub fn part(name: &'static str, of: &Step) -> Step {
    begin(name, SpanKind::Internal, of.traceparent())
}

/// A part that is over, measured elsewhere.
pub fn past_part(name: &'static str, of: &Step, began: SystemTime, took: Duration) {
    let (Some(tracer), Some(_)) = (TRACER.get(), &of.span) else { return };
    let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Internal).with_start_time(began);
    let mut span = tracer.build_with_context(builder, &context(of.traceparent().as_deref()));
    span.end_with_timestamp(began + took);
}

fn begin(name: &'static str, kind: SpanKind, parent: Option<String>) -> Step {
    let span = TRACER.get().map(|tracer| {
        let builder = SpanBuilder::from_name(name).with_kind(kind);
        tracer.build_with_context(builder, &context(parent.as_deref()))
    });
    Step { span, parent }
}

fn context(parent: Option<&str>) -> Context {
    let parent = parent.and_then(parse_traceparent);
    parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent))
}

/// Whether a caller's text is a `traceparent`.
#[must_use]
pub fn is_traceparent(text: &str) -> bool {
    parse_traceparent(text).is_some()
}

/// Version 00 of <https://www.w3.org/TR/trace-context/>: `00-<32 hex>-<16 hex>-<2 hex>`, in small letters.
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
    fn what_is_no_traceparent_is_refused() {
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
        assert_eq!(part("claim", &accept).traceparent().as_deref(), Some(PARENT));
        assert_eq!(super::accept(None).traceparent(), None);
    }

    #[test]
    fn the_endpoint_is_a_base() {
        for base in ["http://collector:4318", "http://collector:4318/"] {
            assert_eq!(traces_url(&base.parse().unwrap()), "http://collector:4318/v1/traces");
        }
    }
}
