//! Plane SDK inside the sandbox, against a real HTTP server, compared with the SDK under Node.

use super::{Server, TOKEN, job, pool, run, source, texts};
use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use sandbox_protocol::Job;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};
use uuid::Uuid;

/// Request without the headers that differ by client (user agent, connection) or that RunnerCtl adds (the idempotency key).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    method: String,
    target: String,
    headers: Vec<(&'static str, Option<String>)>,
    body: String,
}

const COMPARED: [&str; 4] = ["accept", "content-type", "authorization", "x-api-key"];

/// Server that records every request with its idempotency key, and responds with the result of `answer`.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Request>>>);

/// Request, and its idempotency key.
type Request = (Seen, Option<String>);

impl Recorder {
    fn router(&self, answer: impl Fn(usize) -> Response + Clone + Send + Sync + 'static) -> Router {
        let recorder = self.clone();
        Router::new().fallback(async move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let text = |name: &str| {
                headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            };
            let seen = Seen {
                method: method.to_string(),
                target: uri.to_string(),
                headers: COMPARED.map(|name| (name, text(name))).to_vec(),
                body: String::from_utf8_lossy(&body).into_owned(),
            };
            let key = text("idempotency-key");
            let mut requests = recorder.0.lock().unwrap();
            requests.push((seen, key));
            answer(requests.len())
        })
    }

    fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn found(_number: usize) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], r#"{"id":"found","results":[]}"#).into_response()
}

fn under_node(base: &str) -> Vec<String> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plane_sdk/under_node.cjs");
    let output =
        Command::new("node").arg(program).args([sandbox::RUNTIME_MODULES, base, TOKEN]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    texts(&serde_json::from_slice::<Value>(&output.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sdk_method_sends_the_same_request_as_under_node() {
    let recorder = Recorder::default();
    let server = Server::start(recorder.router(found)).await;
    let origin = server.origin.clone();
    let reference = tokio::task::spawn_blocking(move || under_node(&origin)).await.unwrap();
    let expected = recorder.take();
    let body = format!("{}\nreturn callAll(Plane);", source("plane_sdk/calls.js"));
    let finished = run(&pool(&server.origin).await, job(&body, &server.origin), &[]).await;
    assert_eq!(texts(&finished.result()), reference);
    let sent = recorder.take();
    println!("{} methods, {} requests", reference.len(), sent.len());
    assert!(reference.len() > 300, "the client has {} methods", reference.len());
    assert_eq!(sent.len(), expected.len());
    for ((sent, key), (expected, _)) in sent.into_iter().zip(expected) {
        assert_eq!(sent, expected);
        assert!(key.is_some(), "{} {} has an idempotency key", sent.method, sent.target);
    }
}

#[tokio::test]
async fn a_second_attempt_reuses_the_firsts_idempotency_keys() {
    let recorder = Recorder::default();
    let server = Server::start(recorder.router(found)).await;
    let pool = pool(&server.origin).await;
    let first = "for (const name of ['a', 'a', 'b']) await Plane.labels.create('demo', 'p', { name });";
    let other_order = "for (const name of ['b', 'a', 'a']) await Plane.labels.create('demo', 'p', { name });";
    let execution_id = Uuid::now_v7();
    let mut attempts = Vec::new();
    for (body, execution_id) in
        [(first, execution_id), (first, execution_id), (other_order, execution_id), (first, Uuid::now_v7())]
    {
        let job = Job { execution_id, ..job(body, &server.origin) };
        run(&pool, job, &[]).await.result();
        attempts.push(recorder.take().into_iter().filter_map(|(_, key)| key).collect::<Vec<_>>());
    }
    let [first, again, reordered, another] = attempts.try_into().unwrap();
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(again, first);
    assert_eq!(reordered, [first[2].clone(), first[0].clone(), first[1].clone()]);
    assert!(another.iter().all(|key| !first.contains(key)));
}

/// Returns an `answer` that responds with these statuses first, with `Retry-After: 0`.
fn failing(statuses: &'static [u16]) -> impl Fn(usize) -> Response + Clone + Send + Sync + 'static {
    move |number| match statuses.get(number - 1) {
        Some(&status) => {
            (StatusCode::from_u16(status).unwrap(), [(header::RETRY_AFTER, "0")], "{}").into_response()
        }
        None => found(number),
    }
}

#[tokio::test]
async fn transient_responses_are_retried_where_that_is_safe() {
    for (statuses, call, requests) in [
        (&[429, 503, 502, 500][..], "projects.list('demo')", 5),
        (&[503][..], "labels.delete('demo', 'p', 'l')", 2),
        (&[429][..], "labels.create('demo', 'p', {})", 2),
        (&[503][..], "labels.create('demo', 'p', {})", 1),
        (&[404][..], "projects.list('demo')", 1),
    ] {
        let recorder = Recorder::default();
        let server = Server::start(recorder.router(failing(statuses))).await;
        let body = format!("return Plane.{call}.then(() => 200, (error) => error.status);");
        let finished = run(&pool(&server.origin).await, job(&body, &server.origin), &[]).await;
        let sent = recorder.take();
        assert_eq!(sent.len(), requests, "{call} after {statuses:?}: {:?}", finished.result());
        assert!(sent.iter().all(|(_, key)| *key == sent[0].1), "a repeated call keeps its key");
    }
}

#[tokio::test]
async fn a_retry_after_beyond_the_runs_deadline_is_not_awaited() {
    let recorder = Recorder::default();
    let answer = |_| (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "3600")], "{}").into_response();
    let server = Server::start(recorder.router(answer)).await;
    let body = "return Plane.projects.list('demo').catch((error) => error.status);";
    let finished = run(&pool(&server.origin).await, job(body, &server.origin), &[]).await;
    assert_eq!(finished.result(), 429);
    assert_eq!(recorder.take().len(), 1);
}

#[tokio::test]
async fn an_uncaught_http_error_has_status_body_and_script_line() {
    let recorder = Recorder::default();
    let answer = |_| {
        let json = [(header::CONTENT_TYPE, "application/json")];
        (StatusCode::NOT_FOUND, json, r#"{"detail":"No such project."}"#).into_response()
    };
    let server = Server::start(recorder.router(answer)).await;
    let body = "\nasync function inner() {\n  return await Plane.projects.retrieve('demo', 'p1');\n}\nawait inner();";
    let finished = run(&pool(&server.origin).await, job(body, &server.origin), &[]).await;
    let error = finished.error();
    assert_eq!(
        error.message,
        "Request failed with status code 404 (GET /api/v1/workspaces/demo/projects/p1/): {\"detail\":\"No such project.\"}"
    );
    assert_eq!(error.line, Some(3));
    let stack = error.stack.as_deref().unwrap_or_default();
    assert!(stack.starts_with("HttpError: Request failed") && stack.contains("inner (script:3:"), "{stack}");
    assert!(!stack.contains(TOKEN) && !stack.contains("runtime"));
}

#[tokio::test]
async fn a_caught_http_error_has_status_and_body() {
    let recorder = Recorder::default();
    let answer = |_| {
        (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/json")], r#"{"name":["required"]}"#)
            .into_response()
    };
    let server = Server::start(recorder.router(answer)).await;
    let body =
        "try { await Plane.projects.create('demo', { name: 'One', identifier: 'one' }); } catch (error) {
        return [error.name, error.status, error.statusCode, error.body, error.response];
    }";
    let finished = run(&pool(&server.origin).await, job(body, &server.origin), &[]).await;
    assert_eq!(
        finished.result(),
        serde_json::json!(["HttpError", 400, 400, { "name": ["required"] }, { "name": ["required"] }])
    );
}

#[tokio::test]
async fn plane_can_be_destructured_and_is_created_once() {
    let server = Server::start(Recorder::default().router(found)).await;
    let body = "
        const { workItems, projects } = env.Plane;
        return [Plane === env.Plane, projects === Plane.projects, (await workItems.list('demo', 'p')).id,
            Object.keys(env), Object.keys(globalThis).includes('Plane')];";
    let finished = run(&pool(&server.origin).await, job(body, &server.origin), &[]).await;
    assert_eq!(finished.result(), serde_json::json!([true, true, "found", [], false]));
}

#[test]
fn the_committed_types_are_those_of_the_sdk() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let out = std::env::temp_dir().join(format!("runtime-types-{}.d.ts", std::process::id()));
    let program = root.join("crates/sandbox/runtime/types.mjs");
    let status = Command::new("node").arg(program).arg(sandbox::RUNTIME_MODULES).arg(&out).status().unwrap();
    assert!(status.success());
    let made = std::fs::read_to_string(&out).unwrap();
    std::fs::remove_file(&out).unwrap();
    let committed = std::fs::read_to_string(root.join("api/types/runtime.d.ts")).unwrap();
    assert!(
        made == committed,
        "renew it: node crates/sandbox/runtime/types.mjs {} api/types/runtime.d.ts",
        sandbox::RUNTIME_MODULES
    );
}
