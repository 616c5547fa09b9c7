//! `/execute-sync`.

use super::NO_PLANE;
use crate::endpoints::{Call, Endpoints};
use reqwest::StatusCode;
use serde_json::json;
use shared::limits::Limits;
use std::time::Duration;
use test_support::{Payload, SHOW, payloads};

#[tokio::test]
async fn a_script_runs_and_its_whole_execution_is_the_answer() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let code = "export async function main({ event, context }, { Functions, ENV, Variables }) {
        console.log('hello', event.name);
        console.warn(ENV.TOKEN);
        return { sum: await Functions.add({ x: 1, y: Variables.y }), given: context.automation_id };
    }";
    let body = json!({
        "code": code,
        "code_type": "main_fn",
        "input": { "event": { "name": "Ada" }, "context": { "automation_id": "a-1" } },
        "variables": { "y": 2 },
        "env": { "TOKEN": "secret-token" },
        "functions": { "add": "({ x, y }) => x + y", "unused": "(" },
        "allowed_domains": ["example.com"],
        "workspace_slug": "demo",
    });
    let (status, answer) = endpoints.post("/execute-sync", &body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["status"], "completed", "{answer}");
    assert_eq!(answer["result"], json!({ "sum": 3, "given": "a-1" }));
    assert_eq!(answer["error"], json!(null));
    let logs = answer["logs"].as_array().unwrap();
    let lines: Vec<_> = logs.iter().map(|line| (&line["seq"], &line["level"], &line["message"])).collect();
    assert_eq!(
        lines,
        [(&json!(1), &json!("info"), &json!("hello Ada")), (&json!(2), &json!("warn"), &json!("[masked]")),]
    );
    assert_eq!(answer["function_names"], json!(["add"]));
    assert!(answer["duration_ms"].is_u64() && answer["phases"]["run_ms"].is_f64(), "{answer}");
    assert!(answer["memory_peak_bytes"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_build_of_an_earlier_answer_runs_as_it_is() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let code = json!({ "code": "return Functions.twice({ n: input.event.n });", "code_type": "raw" });
    let (_, built) = endpoints.post("/build", &code).await;
    let body = json!({
        "build": built["build"],
        "code_type": "raw",
        "input": { "event": { "n": 21 } },
        "functions": [{ "name": "twice", "code": "return n * 2;", "parameters": [{ "name": "n", "type": "number" }] }],
    });
    let (status, answer) = endpoints.post("/execute-sync", &body).await;
    assert_eq!((status, &answer["result"]), (StatusCode::OK, &json!(42)), "{answer}");
}

#[tokio::test]
async fn a_failing_script_is_an_answer_with_the_author_s_line() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let body = json!({ "code": "function main() {\n  throw new Error('no ' + 'luck');\n}" });
    let (status, answer) = endpoints.post("/execute-sync", &body).await;
    assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("errored")));
    assert_eq!(answer["error"]["code"], "script_error");
    assert_eq!(answer["error"]["message"], "no luck");
    assert_eq!(answer["error"]["line"], 2);
    assert_eq!(answer["result"], json!(null));
}

#[tokio::test]
async fn a_run_over_its_time_ends_as_timeout_and_the_next_one_works() {
    let limits = Limits { execution_timeout: Duration::from_millis(200), ..Limits::default() };
    let endpoints = Endpoints::with_limits(NO_PLANE, limits).await;
    let spin = json!({ "code": "let n = 0; while (n >= 0) n = (n + 1) % 7;", "code_type": "raw" });
    let (_, answer) = endpoints.post("/execute-sync", &spin).await;
    assert_eq!(answer["error"]["code"], "timeout", "{answer}");
    let (_, answer) =
        endpoints.post("/execute-sync", &json!({ "code": "return 1", "code_type": "raw" })).await;
    assert_eq!(answer["result"], 1, "{answer}");
}

#[tokio::test]
async fn an_invalid_run_request_is_refused_by_field() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let cases = [
        (json!({ "code": "function main( {" }), "code"),
        (json!({ "code": "return Functions.sendSlak({})", "code_type": "raw" }), "functions"),
        (
            json!({ "code": "return Functions.f({})", "code_type": "raw", "functions": { "f": "=>" } }),
            "functions.f",
        ),
        (json!({ "code": "return 1", "code_type": "raw", "workspace_slug": "other" }), "workspace_slug"),
        (
            json!({ "code": "return 1", "code_type": "raw", "allowed_domains": ["https://a.b/c"] }),
            "allowed_domains",
        ),
    ];
    for (body, field) in cases {
        let (status, answer) = endpoints.post("/execute-sync", &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert!(answer[field].is_array(), "{field} in {answer}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_frees_the_slot() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let endless = json!({ "code": "await new Promise(() => setInterval(() => {}, 10))", "code_type": "raw" });
    let call = Call::post("/execute-sync", &endless);
    let request = endpoints.send(call);
    assert!(tokio::time::timeout(Duration::from_millis(300), request).await.is_err());
    let (status, answer) =
        endpoints.post("/execute-sync", &json!({ "code": "return 1", "code_type": "raw" })).await;
    assert_eq!((status, &answer["result"]), (StatusCode::OK, &json!(1)), "{answer}");
}

#[tokio::test]
async fn a_synchronous_run_reads_the_payload_as_sent() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let main = "export function main({ event, context }, { Variables }) {
        const { execution_id, script_id, attempt, trigger_type, ...given } = context;
        return [event, given, Variables].map(show);
    }";
    let code = json!(format!("{SHOW}{main}"));
    for Payload { sent, seen } in payloads() {
        let body =
            format!(r#"{{"code":{code},"input":{{"event":{sent},"context":{sent}}},"variables":{sent}}}"#);
        let (status, answer) = endpoints.send(Call { body, ..Call::post("/execute-sync", &json!({})) }).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer["result"], json!([seen, seen, seen]), "{sent:.200}");
    }
}

#[tokio::test]
async fn input_that_can_t_be_taken_is_refused_by_field_and_rule() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let cases = [
        (format!(r#""input":{{"event":{deep}}}"#), "input", "64 levels"),
        (format!(r#""variables":{deep}"#), "variables", "64 levels"),
        (r#""env":{"K":"a\ud83d"}"#.to_owned(), "env", "surrogate"),
    ];
    for (members, field, rule) in cases {
        let body = format!(r#"{{"code":"return 1","code_type":"raw",{members}}}"#);
        let (status, answer) = endpoints.send(Call { body, ..Call::post("/execute-sync", &json!({})) }).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert!(answer[field][0].as_str().unwrap().contains(rule), "{answer}");
    }
}
