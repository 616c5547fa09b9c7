//! A workspace never sees another's rows: every operation of the document is tried with another workspace's ids.

use crate::{
    client::{Answer, Client},
    dead_letters::{bury, until_stored},
    document,
    executions::{complete, execute, id_of},
    server::Server,
    signed::Signed,
};
use reqwest::Method;
use serde_json::{Value, json};
use shared::amqp::{Broker, Publisher, Topology};
use test_support::TestQueues;

const CODE: &str = "export default () => 1";

/// Rows of a workspace, one of each kind.
struct Rows {
    script: Value,
    function: Value,
    execution: Value,
    schedule: Value,
    key: Value,
}

impl Rows {
    async fn of(server: &Server, client: &Client) -> Self {
        let script = client.script("mine", CODE).await;
        let function =
            client.post("/functions/", json!({"name": "mine", "code": "return 1"})).await.json(201);
        let execution = execute(client, &script).await;
        complete(server, id_of(&execution)).await;
        let body = json!({"script_id": script["id"], "cron": "0 9 * * *"});
        let schedule = client.post("/schedules/", body).await.json(201);
        let key = client.post("/api-keys/", json!({"name": "mine"})).await.json(201);
        client.put("/environment/SECRET/", json!({"value": "mine"})).await.json(201);
        Self { script, function, execution, schedule, key }
    }

    /// Fills the name of one of these rows into a path.
    fn fill(&self, template: &str, letter: &str) -> String {
        let row = match template.split('/').nth(1).unwrap() {
            "scripts" => &self.script,
            "functions" => &self.function,
            "executions" => &self.execution,
            "schedules" => &self.schedule,
            "api-keys" => &self.key,
            "dead-letters" => return template.replace("{id}", letter),
            "environment" => return template.replace("{key}", "SECRET"),
            other => panic!("{other} are not walked: teach this test a row of them"),
        };
        template.replace("{id}", row["id"].as_str().unwrap())
    }
}

/// Returns a body that the owner could send.
fn body(method: &Method, template: &str, rows: &Rows) -> Value {
    match (method.as_str(), template.split('/').nth(1).unwrap()) {
        ("PUT", "scripts" | "functions") => json!({"name": "theirs", "code": "return 1"}),
        ("PUT", "schedules") => json!({"script_id": rows.script["id"], "cron": "0 9 * * *"}),
        ("PUT", "environment") => json!({"value": "theirs"}),
        _ => json!({}),
    }
}

/// Returns all rows as their owner sees them.
async fn everything(owner: &Client) -> Vec<Value> {
    let lists = ["scripts", "functions", "executions", "schedules", "environment", "dead-letters"];
    let mut seen = Vec::new();
    for list in lists {
        seen.push(owner.get(&format!("/{list}/")).await.json(200));
    }
    seen.push(owner.get("/environment/SECRET/changes/").await.json(200));
    seen
}

/// Panics if the answer contains anything of another workspace.
fn not_found(method: &Method, template: &str, answer: &Answer) {
    // A key is a name, not an id: the other workspace may have a variable of the same name.
    let is_own = (method.as_str(), template) == ("PUT", "/environment/{key}/") && answer.status.is_success();
    assert!(is_own || answer.status == 404, "{method} {template}: {} {}", answer.status, answer.text);
}

#[tokio::test]
async fn every_operation_with_another_workspace_s_ids_is_not_found() {
    let queues = TestQueues::create();
    let server = Server::start_on(&queues).await;
    let (owner, stranger) = (server.client("owner").await, server.client("stranger").await);
    let rows = Rows::of(&server, &owner).await;
    let broker = Broker::connect(queues.url(), "test publisher").unwrap();
    let publisher = Publisher::new(broker.clone(), Topology::with_prefix(queues.prefix()));
    bury(&publisher, "owner.issue.updated", json!({"workspace_slug": "owner"})).await;
    until_stored(&server, 1).await;
    let before = everything(&owner).await;
    let letter = before[5]["results"][0]["id"].as_str().unwrap();

    let mut walked = 0;
    for (method, template) in document::operations() {
        if !template.contains('{') {
            continue;
        }
        let method: Method = method.parse().unwrap();
        let (foreign, body) = (rows.fill(&template, letter), body(&method, &template, &rows));
        let keyed = stranger.send_json(method.clone(), &foreign, &body).await;
        not_found(&method, &template, &keyed);
        if keyed.status == 201 {
            stranger.delete(&foreign).await.json(204);
        }
        let (internal, text) = (format!("{}{foreign}", api::testing::http::INTERNAL), body.to_string());
        let signed = Signed::get(&internal, "stranger").sending(method.clone(), &text).send(&server).await;
        not_found(&method, &template, &signed);
        walked += 1;
    }
    assert!(walked >= 25, "{walked} operations");
    assert_eq!(everything(&owner).await, before, "nothing of the owner's has changed");
    broker.close().await;
}

#[tokio::test]
async fn lists_hold_the_workspace_s_own_rows_alone() {
    let server = Server::start().await;
    let (owner, stranger) = (server.client("owner").await, server.client("stranger").await);
    let rows = Rows::of(&server, &owner).await;
    for list in ["/scripts/", "/functions/", "/executions/", "/schedules/", "/environment/"] {
        assert_eq!(stranger.get(list).await.json(200)["results"], json!([]), "{list}");
        assert_eq!(owner.get(list).await.json(200)["results"].as_array().unwrap().len(), 1, "{list}");
    }
    let filtered = format!("/executions/?script_id={}", rows.script["id"].as_str().unwrap());
    assert_eq!(stranger.get(&filtered).await.json(200)["results"], json!([]));
    stranger.get("/environment/SECRET/").await.json(404);
    stranger.delete("/environment/SECRET/").await.json(404);
    stranger.get("/environment/SECRET/changes/").await.json(404);
}

#[tokio::test]
async fn bodies_can_t_name_another_workspace_s_rows() {
    let server = Server::start().await;
    let (owner, stranger) = (server.client("owner").await, server.client("stranger").await);
    let rows = Rows::of(&server, &owner).await;
    stranger.post("/executions/", json!({"script_id": rows.script["id"]})).await.json(404);
    let body = json!({"script_id": rows.script["id"], "cron": "0 9 * * *"});
    let refused = stranger.post("/schedules/", body).await.json(400);
    assert_eq!(refused["script_id"][0], "No script with this id.");
    let calls = "export default (i, { Functions }) => Functions.mine({})";
    let refused = stranger.post("/scripts/", json!({"name": "n", "code": calls})).await.json(400);
    assert_eq!(refused["diagnostics"][0]["message"], "There is no function mine.");
}
