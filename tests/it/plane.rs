//! Calls of Plane by scripts, with the URL from the worker's settings and the identity from the api.

use anyhow::Context as _;
use e2e::{client::http, stack::Stack};
use serde_json::{Value, json};
use shared::signing::{
    NONCE_HEADER, SIGNATURE_HEADER, SignedParts, SigningKeys, TIMESTAMP_HEADER, WORKSPACE_HEADER,
};
use std::time::Duration;
use test_support::FakePlane;

const TOKEN: &str = "plane_api_of_the_workspace";

/// Stores the token of the workspace, like the web app's backend.
async fn set_token(stack: &Stack) -> anyhow::Result<()> {
    const PATH: &str = "/api/runnerctl/control/plane-token/";
    let body = json!({ "token": TOKEN }).to_string();
    let nonce = uuid::Uuid::now_v7().simple().to_string();
    let parts = SignedParts {
        timestamp: chrono::Utc::now().timestamp(),
        nonce: &nonce,
        method: "PUT",
        path_and_query: PATH,
        workspace_slug: "demo",
        user_id: "",
        body: body.as_bytes(),
    };
    let answer = http()
        .put(format!("{}{PATH}", stack.api.url()))
        .header("content-type", "application/json")
        .header(TIMESTAMP_HEADER, parts.timestamp)
        .header(NONCE_HEADER, &nonce)
        .header(WORKSPACE_HEADER, "demo")
        .header(SIGNATURE_HEADER, SigningKeys::parse(e2e::stack::HMAC_SECRET)?.sign(&parts))
        .body(body)
        .send()
        .await?;
    answer.error_for_status().map(drop).context("the token is stored")
}

async fn system_script(stack: &Stack, name: &str) -> anyhow::Result<String> {
    let scripts = stack.client.get("/scripts/?is_system=true&per_page=100").await?;
    let found = scripts["results"].as_array().into_iter().flatten().find(|script| script["name"] == name);
    found.and_then(|script| script["id"].as_str()).map(str::to_owned).with_context(|| format!("no {name}"))
}

#[tokio::test]
async fn a_system_script_uses_the_workspace_token_without_exposing_it() -> anyhow::Result<()> {
    // With and without a trailing slash, at the root and below a path.
    for (prefix, slash) in [("", "/"), ("/plane", "")] {
        let plane = FakePlane::start_below(prefix, 2).await;
        for (name, group) in [("Todo", "unstarted"), ("Done", "completed")] {
            plane.add("projects/p/states", json!({ "id": name, "name": name, "group": group }));
        }
        let items = "projects/p/work-items";
        let parent = plane.add(items, json!({ "name": "Parent", "state": "Todo" }));
        let child = plane.add(items, json!({ "name": "Child", "state": "Done", "parent": parent }));
        let base = format!("{}{slash}", plane.url());
        let settings = [("API_BASE_URL", base.as_str()), ("SANDBOX_ALLOW_PRIVATE_NETWORK", &plane.host())];
        let stack = Stack::start(&settings).await?;
        stack.load_fixtures().await?;
        set_token(&stack).await?;

        let script = system_script(&stack, "Complete the parent with its last child").await?;
        let event = json!({ "entity_id": child, "project_id": "p", "payload": { "data": {} } });
        let execution = stack.client.execute(&script, event).await?;
        let done = stack.client.terminal(&execution, Duration::from_mins(1)).await?;
        assert_eq!(done["status"], "completed", "{done}");
        assert_eq!(plane.row(items, &parent)["state"], "Done", "{done}");
        let received = plane.received();
        let paths = format!("{prefix}/api/v1/workspaces/demo/");
        for request in &received {
            assert!(request.path.starts_with(&paths), "{}", request.path);
            assert_eq!(request.headers["x-api-key"], TOKEN);
        }
        assert!(received.iter().any(|request| request.method == "PATCH"));
        assert!(!Value::to_string(&done).contains(TOKEN), "{done}");
    }
    Ok(())
}
