//! Scripts: saved, built, versioned, kept apart.

use crate::{
    client::{json, send},
    server::Server,
};
use reqwest::Method;
use serde_json::{Value, json};

const MAIN: &str = "export async function main({ event }: { event: any }) { return event.n + 1; }";

#[tokio::test]
async fn a_created_script_is_built_and_read_back_unchanged() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let body = json!({
        "name": "Add one", "description": "d", "code": MAIN, "trigger_type": "cron", "category": "data",
        "variables": [{"key": "token", "required": true}], "env": {"SECRET": "s3cret"},
        "allowed_domains": ["API.example.com"], "max_retries": 2
    });
    let created = client.post("/scripts/", body).await;
    let script = created.json(201);
    assert_eq!(script["version"], 1);
    assert_eq!(script["code_type"], "main_fn");
    assert_eq!(script["platform"], "node22");
    assert_eq!(script["function_names"], json!([]));
    assert_eq!(script["diagnostics"], json!([]));
    assert_eq!(script["env"], json!({"SECRET": "********"}));
    assert_eq!(script["allowed_domains"], json!(["api.example.com"]));
    assert_eq!(
        script["variables"],
        json!([{"key": "token", "description": "", "required": true, "default": null}])
    );
    assert_eq!(script["build_hash"].as_str().unwrap().len(), 64);

    let id = script["id"].as_str().unwrap();
    assert_eq!(created.header("location"), format!("/api/v1/runnerctl/scripts/{id}/"));
    for path in [format!("/scripts/{id}/"), format!("/scripts/{id}")] {
        let read = client.get(&path).await;
        assert_eq!(read.header("etag"), created.header("etag"));
        assert_eq!(read.json(200)["code"], MAIN);
    }
}

#[tokio::test]
async fn code_that_does_not_build_is_refused_with_the_position() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let refused = client
        .post("/scripts/", json!({"name": "n", "code": "async function main() {\n  return (;\n}"}))
        .await;
    let body = refused.json(400);
    assert_eq!(body["diagnostics"][0]["line"], 2, "{body}");
    assert_eq!(body["diagnostics"][0]["severity"], "error");
    assert!(body["code"][0].as_str().unwrap().starts_with("Line 2, column "), "{body}");
}

#[tokio::test]
async fn a_call_of_an_unknown_function_names_near_ones_and_where() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let function = json!({"name": "sendGreeting", "code": "return 1"});
    client.post("/functions/", function).await.json(201);
    let code = "async function main(input, { Functions }) {\n  return Functions.sendGreting({});\n}";
    let body = client.post("/scripts/", json!({"name": "n", "code": code})).await.json(400);
    let finding = &body["diagnostics"][0];
    assert_eq!((&finding["line"], &finding["column"]), (&json!(2), &json!(20)), "{body}");
    assert!(finding["message"].as_str().unwrap().contains("did you mean sendGreeting?"), "{body}");
}

#[tokio::test]
async fn a_new_version_is_made_when_the_code_changes_and_only_then() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", MAIN).await;
    let path = format!("/scripts/{}/", script["id"].as_str().unwrap());

    let renamed = client.patch(&path, json!({"name": "other"})).await.json(200);
    assert_eq!((&renamed["version"], &renamed["build_hash"]), (&json!(1), &script["build_hash"]));
    let changed = client.patch(&path, json!({"code": "export default () => 2"})).await.json(200);
    assert_eq!((&changed["version"], &changed["name"]), (&json!(2), &json!("other")));
    let replaced =
        client.put(&path, json!({"name": "whole", "code": "return 3", "code_type": "raw"})).await.json(200);
    assert_eq!((&replaced["version"], &replaced["code_type"]), (&json!(3), &json!("raw")));

    let versions = client.get(&format!("{path}versions/?per_page=2")).await.json(200);
    let numbers: Vec<&Value> =
        versions["results"].as_array().unwrap().iter().map(|version| &version["version"]).collect();
    assert_eq!(numbers, [3, 2]);
    let next = versions["next_cursor"].as_str().unwrap();
    let older = client.get(&format!("{path}versions/?cursor={next}")).await.json(200);
    assert_eq!(older["results"][0]["code"], MAIN);
    assert_eq!(older["next_cursor"], Value::Null);
}

#[tokio::test]
async fn a_change_of_a_script_that_changed_meanwhile_is_refused() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", MAIN).await;
    let path = format!("/scripts/{}/", script["id"].as_str().unwrap());
    let tag = client.get(&path).await.header("etag").to_owned();
    let change = |description: &str| {
        let request = client.request(Method::PATCH, &path).header("if-match", &tag);
        send(json(request, &json!({"description": description})))
    };
    change("first").await.json(200);
    assert_eq!(change("second").await.json(412)["code"], "precondition_failed");
    let unchanged = client.request(Method::GET, &path).header("if-none-match", &tag);
    assert_eq!(send(unchanged).await.status, 200);
}

#[tokio::test]
async fn a_hidden_value_sent_back_keeps_the_secret() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let body = json!({"name": "n", "code": MAIN, "env": {"A": "one", "B": "two"}});
    let script = client.post("/scripts/", body).await.json(201);
    let id: uuid::Uuid = script["id"].as_str().unwrap().parse().unwrap();
    let path = format!("/scripts/{id}/");
    let changed = client.patch(&path, json!({"env": {"A": "********", "C": "three"}})).await;
    assert!(!changed.text.contains("three"));
    assert_eq!(changed.json(200)["env"], json!({"A": "********", "C": "********"}));

    let sealed: Option<Vec<u8>> = sqlx::query_scalar!("SELECT env_sealed FROM scripts WHERE id = $1", id)
        .fetch_one(&server.pool)
        .await
        .unwrap();
    let context = shared::encryption::AssociatedData::script_env(id);
    let opened =
        api::testing::app::environment::open(&server.state.keyring, sealed.as_deref(), &context).unwrap();
    assert_eq!(
        opened.into_iter().collect::<Vec<_>>(),
        [("A".into(), "one".into()), ("C".into(), "three".into())]
    );
}

#[tokio::test]
async fn names_are_unique_in_a_workspace_and_free_after_a_delete() {
    let server = Server::start().await;
    let (client, other) = (server.client("demo").await, server.client("other").await);
    let script = client.script("n", MAIN).await;
    let body = json!({"name": "n", "code": MAIN});
    assert_eq!(
        client.post("/scripts/", body.clone()).await.json(400)["name"][0],
        "A script with this name exists."
    );
    other.post("/scripts/", body.clone()).await.json(201);
    let path = format!("/scripts/{}/", script["id"].as_str().unwrap());
    client.delete(&path).await.json(204);
    client.get(&path).await.json(404);
    client.post("/scripts/", body).await.json(201);
}

#[tokio::test]
async fn lists_page_filter_and_search() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    for (name, trigger) in [("Alpha", "cron"), ("Beta 100%", "automation"), ("Gamma", "cron")] {
        client
            .post("/scripts/", json!({"name": name, "code": MAIN, "trigger_type": trigger}))
            .await
            .json(201);
    }
    let names = |page: &Value| -> Vec<String> {
        page["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|script| script["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = client.get("/scripts/?per_page=2").await.json(200);
    assert_eq!(names(&first), ["Gamma", "Beta 100%"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = client.get(&format!("/scripts/?per_page=2&cursor={cursor}")).await.json(200);
    assert_eq!((names(&second), &second["next_cursor"]), (vec!["Alpha".to_owned()], &Value::Null));
    assert_eq!(names(&client.get("/scripts/?trigger_type=cron").await.json(200)), ["Gamma", "Alpha"]);
    assert_eq!(names(&client.get("/scripts/?search=0%25").await.json(200)), ["Beta 100%"]);
    assert_eq!(names(&client.get("/scripts?search=ALPHA&is_system=false").await.json(200)), ["Alpha"]);
    let refused = client.get("/scripts/?trigger_type=x&colour=red").await.json(400);
    assert_eq!(refused["colour"][0], "Unknown parameter.");
    assert!(refused["trigger_type"][0].as_str().unwrap().starts_with("Must be one of "));
}

#[tokio::test]
async fn secrets_of_a_script_and_of_a_test_run_have_a_limit() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let env = json!({"A": "x".repeat(32_768), "B": "x".repeat(32_768), "C": "x"});
    let rule = json!({"env": ["All values together may have 65536 bytes; they have 65537."]});
    let script = json!({"name": "n", "code": MAIN, "env": env});
    assert_eq!(client.post("/scripts/", script).await.json(400), rule);
    assert_eq!(client.post("/scripts/test/", json!({"code": MAIN, "env": env})).await.json(400), rule);

    let fits = json!({"A": "x".repeat(32_768), "B": "x".repeat(32_768)});
    let script = client.post("/scripts/", json!({"name": "n", "code": MAIN, "env": fits})).await.json(201);
    let path = format!("/scripts/{}/", script["id"].as_str().unwrap());
    let kept = json!({"env": {"A": "********", "B": "********", "C": "x"}});
    assert_eq!(client.patch(&path, kept).await.json(400), rule);
    let other = json!({"env": {"A": "********", "C": "x"}});
    client.patch(&path, other).await.json(200);
}
