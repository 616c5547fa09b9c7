//! Traces, one per execution from the caller to the write, received by a collector of OTLP over HTTP.

use crate::trigger::Trigger;
use anyhow::{Context as _, ensure};
use axum::{Router, body::Bytes, extract::State, routing::post};
use e2e::{client::http, stack::Stack};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value, trace::v1::Span,
};
use prost::Message as _;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, task::JoinHandle};

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRIGGER: &str = "00-11111111111111111111111111111111-2222222222222222-01";
/// Text in code, input, console and results that must be in no span.
const MARKER: &str = "wombat";

type Exports = Arc<Mutex<Vec<Bytes>>>;

/// Collector that stores exported spans.
struct Collector {
    url: String,
    exports: Exports,
    server: JoinHandle<()>,
}

/// Span with its service.
struct Seen {
    service: String,
    span: Span,
}

impl Collector {
    async fn start() -> anyhow::Result<Self> {
        let exports = Exports::default();
        let keep = |State(exports): State<Exports>, body: Bytes| async move {
            exports.lock().unwrap_or_else(PoisonError::into_inner).push(body);
        };
        let app = Router::new().route("/v1/traces", post(keep)).with_state(Arc::clone(&exports));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { url, exports, server })
    }

    fn exports(&self) -> Vec<Bytes> {
        self.exports.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for `count` spans of a trace and returns them by name.
    async fn trace(&self, trace_id: &str, count: usize) -> anyhow::Result<BTreeMap<String, Seen>> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let mut found = BTreeMap::new();
            for export in self.exports() {
                for seen in spans(&export)? {
                    if hex(&seen.span.trace_id) == trace_id {
                        let name = seen.span.name.clone();
                        ensure!(found.insert(name.clone(), seen).is_none(), "{name} twice");
                    }
                }
            }
            if found.len() >= count {
                return Ok(found);
            }
            ensure!(Instant::now() < deadline, "only {:?}", found.keys());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn spans(export: &Bytes) -> anyhow::Result<Vec<Seen>> {
    let mut all = Vec::new();
    for of_resource in ExportTraceServiceRequest::decode(export.clone())?.resource_spans {
        let resource = of_resource.resource.context("a resource")?;
        let service = resource.attributes.iter().find(|pair| pair.key == "service.name");
        let service = text(service.and_then(|pair| pair.value.as_ref()?.value.as_ref()));
        let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        all.extend(spans.map(|span| Seen { service: service.clone(), span }));
    }
    Ok(all)
}

fn text(value: Option<&any_value::Value>) -> String {
    match value {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    }
}

fn attribute(seen: &Seen, key: &str) -> String {
    let pair = seen.span.attributes.iter().find(|pair| pair.key == key);
    text(pair.and_then(|pair| pair.value.as_ref()?.value.as_ref()))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Checks the parents of the spans, and that every child is within the time of its parent.
fn assert_is_one_trace(trace: &BTreeMap<String, Seen>, caller: &str, execution: &str) {
    let parents = [
        ("publish", "accept"),
        ("process", "publish"),
        ("claim", "process"),
        ("init", "process"),
        ("run", "process"),
        ("persist", "process"),
    ];
    assert_eq!(trace.len(), parents.len() + 1, "{:?}", trace.keys());
    assert_eq!(hex(&trace["accept"].span.parent_span_id), caller);
    for (name, parent) in parents {
        assert_eq!(trace[name].span.parent_span_id, trace[parent].span.span_id, "{name} of {parent}");
    }
    for (name, Seen { span, .. }) in trace {
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{name}");
    }
    for (first, then) in [("claim", "init"), ("init", "run"), ("run", "persist")] {
        let (first, then) = (&trace[first].span, &trace[then].span);
        // The clocks of sandbox and worker may differ by microseconds.
        assert!(
            first.end_time_unix_nano <= then.start_time_unix_nano + 2_000_000,
            "{} {}",
            first.name,
            then.name
        );
    }
    for (name, service) in
        [("accept", "runnerctl-api"), ("publish", "runnerctl-api"), ("process", "runnerctl-worker")]
    {
        assert_eq!(trace[name].service, service, "{name}");
        assert_eq!(attribute(&trace[name], "execution.id"), execution, "{name}");
    }
}

async fn execute_as_part_of(stack: &Stack, traceparent: &str, script: &str) -> anyhow::Result<String> {
    let body = json!({ "script_id": script, "trigger_type": "automation", "event": { "secret": MARKER } });
    let answer = http()
        .post(format!("{}/api/v1/runnerctl/executions/", stack.api.url()))
        .header("X-Api-Key", stack.client.key())
        .header("Content-Type", "application/json")
        .header("traceparent", traceparent)
        .body(body.to_string())
        .send()
        .await?;
    let answer: Value = serde_json::from_str(&answer.text().await?)?;
    Ok(answer["id"].as_str().context("an id")?.to_owned())
}

#[tokio::test]
async fn an_execution_is_one_trace_from_its_caller_to_the_last_write() -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        // Tracing is independent of the log level.
        ("LOG_LEVEL", "error"),
    ];
    let stack = Stack::start(&settings).await?;
    let code = format!("export function main({{ event }}) {{ console.log(event); return '{MARKER}'; }}");
    let script = stack.client.create_script("traced", &code).await?;

    let execution = execute_as_part_of(&stack, CALLER, &script).await?;
    stack.client.terminal(&execution, Duration::from_secs(30)).await?;
    let trace = collector.trace("0af7651916cd43dd8448eb211c80319c", 7).await?;
    assert_is_one_trace(&trace, "b7ad6b7169203331", &execution);

    let trigger = Trigger::connect(&stack).await?;
    trigger.publish(&script, "one", json!({ "secret": MARKER }), Some(TRIGGER)).await?;
    let trace = collector.trace("11111111111111111111111111111111", 7).await?;
    let execution = attribute(&trace["accept"], "execution.id");
    assert_is_one_trace(&trace, "2222222222222222", &execution);

    let needle = MARKER.as_bytes();
    for export in collector.exports() {
        assert!(!export.windows(needle.len()).any(|window| window == needle), "a span holds a script's data");
    }
    Ok(())
}

#[tokio::test]
async fn a_run_that_fails_is_a_failed_span_with_its_code() -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let settings =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let stack = Stack::start(&settings).await?;
    let code = format!("export function main() {{ throw new Error('{MARKER}'); }}");
    let script = stack.client.create_script("thrower", &code).await?;
    let execution = execute_as_part_of(&stack, CALLER, &script).await?;
    stack.client.terminal(&execution, Duration::from_secs(30)).await?;
    let trace = collector.trace("0af7651916cd43dd8448eb211c80319c", 7).await?;
    assert_eq!(attribute(&trace["process"], "error.type"), "script_error");
    assert_eq!(attribute(&trace["process"], "attempt"), "1");
    Ok(())
}

#[tokio::test]
async fn an_unreachable_collector_delays_no_run_and_no_drain() -> anyhow::Result<()> {
    // No program listens on port 9 of loopback.
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let stack = Stack::start(&settings).await?;
    let done = stack.client.run("plain", "export function main() { return 1; }").await?;
    assert_eq!(done["status"], "completed", "{done}");
    let asked = Instant::now();
    assert!(stack.worker.drain().await?.success());
    assert!(asked.elapsed() < Duration::from_secs(10), "the drain took {:?}", asked.elapsed());
    Ok(())
}
