//! The `OpenAPI` document: every operation answers as documented, and its page loads nothing from another host.
//!
//! Every other test checks its answers against the document too: see [`crate::client::send`].

use crate::{
    client::{Answer, Client},
    dead_letters::{bury, until_stored},
    document::{self, Operation},
    executions::{complete, id_of},
    server::Server,
    signed::Signed,
};
use api::testing::model::api_key::Scope;
use reqwest::Method;
use serde_json::{Value, json};
use shared::amqp::{Broker, Publisher, Topology};
use std::collections::BTreeSet;
use test_support::TestQueues;

/// A client that records the operations that succeeded.
struct Walk {
    client: Client,
    done: BTreeSet<Operation>,
}

impl Walk {
    /// Panics unless the request succeeds. [`crate::client::send`] has checked the answer against the document.
    #[track_caller]
    fn note(&mut self, method: &Method, path: &str, answer: &Answer) {
        assert!(answer.status.is_success(), "{method} {path}: {} {}", answer.status, answer.text);
        self.done.insert(document::operation(method, path).unwrap());
    }

    async fn step(&mut self, method: Method, path: &str, body: Value) -> Value {
        let answer = self.client.send_json(method.clone(), path, &body).await;
        self.note(&method, path, &answer);
        serde_json::from_str(&answer.text).unwrap_or_default()
    }

    async fn get(&mut self, path: &str) -> Value {
        self.step(Method::GET, path, Value::Null).await
    }

    async fn delete(&mut self, path: &str) {
        self.step(Method::DELETE, path, Value::Null).await;
    }

    /// Creates, lists, reads, replaces and changes one row. Returns its path.
    async fn row(&mut self, collection: &str, whole: &Value, change: Value) -> String {
        let row = self.step(Method::POST, collection, whole.clone()).await;
        let path = format!("{collection}{}/", row["id"].as_str().unwrap());
        self.get(collection).await;
        self.get(&path).await;
        self.step(Method::PUT, &path, whole.clone()).await;
        self.step(Method::PATCH, &path, change).await;
        path
    }
}

#[tokio::test]
async fn every_operation_answers_as_the_document_says() {
    let queues = TestQueues::create();
    let server = Server::start_on(&queues).await;
    let mut walk = Walk { client: server.client("demo").await, done: BTreeSet::new() };

    let whole = json!({"name": "n", "code": "export default () => 1", "env": {"A": "bcde"}});
    let script = walk.row("/scripts/", &whole, json!({"description": "d"})).await;
    walk.get(&format!("{script}versions/")).await;
    let id = script.trim_matches('/').rsplit('/').next().unwrap().to_owned();
    test_run(&server, &mut walk).await;
    let whole = json!({"name": "f", "code": "return 1", "parameters": [{"name": "a"}]});
    let function = walk.row("/functions/", &whole, json!({"category": "data"})).await;
    let whole = json!({"script_id": id, "cron": "0 9 * * *"});
    let schedule = walk.row("/schedules/", &whole, json!({"enabled": false})).await;
    executions(&server, &mut walk, &id).await;
    for path in [script, function, schedule] {
        walk.delete(&path).await;
    }
    walk.step(Method::PUT, "/environment/K/", json!({"value": "a value"})).await;
    for path in ["/environment/", "/environment/K/", "/environment/K/changes/", "/types/", "/health/"] {
        walk.get(path).await;
    }
    walk.delete("/environment/K/").await;
    let key = walk.step(Method::POST, "/api-keys/", json!({"name": "n"})).await;
    let key = format!("/api-keys/{}/", key["id"].as_str().unwrap());
    walk.get("/api-keys/").await;
    walk.get(&key).await;
    walk.delete(&key).await;
    dead_letters(&server, &queues, &mut walk).await;
    plane_token(&server, &mut walk).await;

    let missing: Vec<_> = document::operations().difference(&walk.done).cloned().collect();
    assert_eq!(missing, [], "operations that no request of this test has done");
}

async fn test_run(server: &Server, walk: &mut Walk) {
    let client = walk.client.clone();
    let run = tokio::spawn(async move {
        client.post("/scripts/test/", json!({"code": "export default () => 1"})).await
    });
    let execution = loop {
        let row = sqlx::query_scalar!("SELECT execution_id FROM outbox").fetch_optional(&server.pool).await;
        if let Some(execution) = row.unwrap() {
            break execution;
        }
    };
    complete(server, execution).await;
    walk.note(&Method::POST, "/scripts/test/", &run.await.unwrap());
}

async fn executions(server: &Server, walk: &mut Walk, script_id: &str) {
    let body = json!({"script_id": script_id, "event": {"n": 1}});
    let execution = walk.step(Method::POST, "/executions/", body).await;
    let path = format!("/executions/{}/", execution["id"].as_str().unwrap());
    complete(server, id_of(&execution)).await;
    let parts = ["", "logs/", "events/"].map(|part| format!("{path}{part}"));
    for path in parts.iter().map(String::as_str).chain(["/executions/"]) {
        walk.get(path).await;
    }
    let replay = walk.step(Method::POST, &format!("{path}replay/"), json!({})).await;
    let cancel = format!("/executions/{}/cancel/", replay["id"].as_str().unwrap());
    walk.step(Method::POST, &cancel, json!({})).await;
}

async fn dead_letters(server: &Server, queues: &TestQueues, walk: &mut Walk) {
    let broker = Broker::connect(queues.url(), "test publisher").unwrap();
    let publisher = Publisher::new(broker.clone(), Topology::with_prefix(queues.prefix()));
    for number in 1..=3 {
        bury(&publisher, "demo.issue.updated", json!({"workspace_slug": "demo", "number": number})).await;
    }
    until_stored(server, 3).await;
    let letters = walk.get("/dead-letters/").await;
    let [first, second, third] = [0, 1, 2].map(|n| letters["results"][n]["id"].as_str().unwrap().to_owned());
    walk.get(&format!("/dead-letters/{first}/")).await;
    walk.delete(&format!("/dead-letters/{first}/")).await;
    walk.step(Method::POST, "/dead-letters/", json!({"ids": [second]})).await;
    walk.step(Method::POST, &format!("/dead-letters/{third}/requeue/"), json!({})).await;
    broker.close().await;
}

async fn plane_token(server: &Server, walk: &mut Walk) {
    const PATH: &str = "/api/runnerctl/control/plane-token/";
    let body = json!({"token": "plane_api_secret"}).to_string();
    for (method, body) in [(Method::PUT, body.as_str()), (Method::GET, ""), (Method::DELETE, "")] {
        let answer = Signed::get(PATH, "demo").sending(method.clone(), body).send(server).await;
        walk.note(&method, "/control/plane-token/", &answer);
    }
}

#[tokio::test]
async fn every_operation_asks_for_a_key_and_a_scope() {
    let server = Server::start().await;
    let nobody = Client::new(&server.address, "rctl_wrong");
    // The key was stored without a scope.
    let powerless = server.client_with("demo", &[] as &[Scope]).await;
    for (method, template) in document::operations() {
        if template == "/health/" {
            continue;
        }
        let method: Method = method.parse().unwrap();
        let path = template.replace("{id}", &uuid::Uuid::now_v7().to_string()).replace("{key}", "KEY");
        let answer = nobody.send_json(method.clone(), &path, &json!({})).await;
        assert_eq!(answer.json(401)["code"], "api_key_invalid", "{method} {template}");
        let answer = powerless.send_json(method.clone(), &path, &json!({})).await;
        assert_eq!(answer.json(403)["code"], "insufficient_scope", "{method} {template}");
    }
}

#[tokio::test]
async fn the_documentation_page_loads_from_its_own_host_only() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let page = client.root("/docs/").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("swagger-ui"));
    assert!(!page.text.contains("https://"), "{}", page.text);
    assert!(page.header("content-security-policy").starts_with("default-src 'self';"));
    let settings = client.root("/docs/swagger-initializer.js").await;
    assert!(settings.text.contains(r#""validatorUrl": "none""#), "{}", settings.text);
    assert!(settings.text.contains("/openapi.json"), "{}", settings.text);
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let document = serde_json::to_value(api::testing::http::document()).unwrap();
    let text = document.to_string();
    let references: BTreeSet<&str> =
        text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(references.len() > 10, "{references:?}");
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference} is nowhere");
    }
}

#[tokio::test]
async fn operations_have_unique_names() {
    let server = Server::start().await;
    let document = server.client("demo").await.root("/openapi.json").await.json(200);
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.values().flat_map(|methods| methods.as_object().unwrap().values());
    let mut names: Vec<&str> =
        operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "{names:?}");
}
