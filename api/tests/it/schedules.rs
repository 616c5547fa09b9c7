//! Saves of schedules.

use crate::server::Server;
use serde_json::{Value, json};

#[tokio::test]
async fn a_schedule_says_when_it_runs_next_while_it_is_enabled() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", "export default () => 1").await;
    let body = json!({"script_id": script["id"], "cron": "30 4 * * *", "timezone": "Europe/Berlin"});
    let schedule = client.post("/schedules/", body).await.json(201);
    assert!(schedule["next_run_at"].is_string());
    assert_eq!((&schedule["missed_runs"], &schedule["last_run_at"]), (&json!(0), &Value::Null));
    let path = format!("/schedules/{}/", schedule["id"].as_str().unwrap());
    assert_eq!(client.patch(&path, json!({"enabled": false})).await.json(200)["next_run_at"], Value::Null);
    assert!(client.patch(&path, json!({"enabled": true})).await.json(200)["next_run_at"].is_string());
    let refused = client.patch(&path, json!({"timezone": "Mars/Base"})).await.json(400);
    assert!(refused["timezone"].is_array());

    client.delete(&format!("/scripts/{}/", script["id"].as_str().unwrap())).await.json(204);
    let stopped = client.get(&path).await.json(200);
    assert_eq!((&stopped["enabled"], &stopped["next_run_at"]), (&json!(false), &Value::Null));
    client.delete(&path).await.json(204);
    client.get(&path).await.json(404);
}

#[tokio::test]
async fn a_schedule_gives_the_variables_its_script_requires() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let body = json!({"name": "n", "code": "export default () => 1", "variables": [{"key": "url", "required": true}]});
    let script = client.post("/scripts/", body).await.json(201);
    let schedule =
        |variables: Value| json!({"script_id": script["id"], "cron": "0 9 * * *", "variables": variables});
    let refused = client.post("/schedules/", schedule(json!({}))).await.json(400);
    assert_eq!(refused["variables"][0], "url: This variable is required.");
    client.post("/schedules/", schedule(json!({"url": "https://example.com"}))).await.json(201);
}

#[tokio::test]
async fn nicknames_are_kept_and_expressions_without_meaning_refused() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", "export default () => 1").await;
    let create =
        async |cron: &str| client.post("/schedules/", json!({"script_id": script["id"], "cron": cron})).await;
    for nickname in ["@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"] {
        let schedule = create(nickname).await.json(201);
        assert_eq!(schedule["cron"], nickname);
        assert!(schedule["next_run_at"].as_str().unwrap().contains(":00:00"), "{schedule}");
    }
    for (cron, rule) in [
        ("*/61 * * * *", "a step must be a whole number from 1 to 60"),
        ("1,,2 * * * *", "an item of the list is empty"),
        ("@reboot", "@reboot is none of @hourly"),
    ] {
        let refused = create(cron).await.json(400);
        assert!(refused["cron"][0].as_str().unwrap().contains(rule), "{refused}");
    }
}
