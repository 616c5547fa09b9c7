//! One workspace never sees another's rows: every route of the document is walked with foreign ids.

use crate::{
    client::Client,
    executions::{complete, execute, id_of},
    server::Server,
};
use reqwest::Method;
use serde_json::{Value, json};

const CODE: &str = "export default () => 1";

/// Rows of one workspace, one of each kind.
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

    /// The path of a row of this kind, or None if the path names none.
    fn fill(&self, path: &str) -> Option<String> {
        let row = match path.split('/').nth(1).unwrap() {
            "scripts" => &self.script,
            "functions" => &self.function,
            "executions" => &self.execution,
            "schedules" => &self.schedule,
            "api-keys" => &self.key,
            _ => return None,
        };
        path.contains("{id}").then(|| path.replace("{id}", row["id"].as_str().unwrap()))
    }
}

/// A body that the owner could send.
fn body(path: &str, method: &Method, rows: &Rows) -> Value {
    match (method.as_str(), path.split('/').nth(1).unwrap()) {
        ("PUT", "scripts" | "functions") => json!({"name": "theirs", "code": "return 1"}),
        ("PUT", "schedules") => json!({"script_id": rows.script["id"], "cron": "0 9 * * *"}),
        _ => json!({}),
    }
}

#[tokio::test]
async fn every_route_with_another_workspace_s_ids_is_not_found() {
    let server = Server::start().await;
    let (owner, stranger) = (server.client("owner").await, server.client("stranger").await);
    let rows = Rows::of(&server, &owner).await;
    let document: Value = serde_json::from_str(&owner.root("/openapi.json").await.text).unwrap();
    let mut walked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let named: Vec<&str> = path.matches('{').collect();
        let Some(foreign) = rows.fill(path) else {
            assert!(
                named.is_empty()
                    || path.starts_with("/environment/{key}")
                    || path.starts_with("/dead-letters/{id}"),
                "{path} is not walked"
            );
            continue;
        };
        for method in methods.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let answer = stranger.send_json(method.clone(), &foreign, &body(path, &method, &rows)).await;
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
            walked += 1;
        }
    }
    assert!(walked >= 20, "{walked} routes");
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
    assert_eq!(stranger.get("/environment/SECRET/changes/").await.json(200)["results"], json!([]));
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
