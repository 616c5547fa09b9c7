//! Functions: saved, needed by scripts, and not taken from under them.

use crate::server::Server;
use serde_json::{Value, json};

#[tokio::test]
async fn a_function_has_an_example_made_from_its_parameters() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let body = json!({
        "name": "greet", "category": "utils", "return_type": "string",
        "parameters": [{"name": "who", "type": "string", "description": "a name", "required": true}],
        "code": "return `Hello ${who}`"
    });
    let function = client.post("/functions/", body).await.json(201);
    assert_eq!(function["usage_example"], "const result = await Functions.greet({\n  who: \"…\",\n});");
    assert_eq!(function["is_system"], false);
    let path = format!("/functions/{}/", function["id"].as_str().unwrap());
    let renamed = client.patch(&path, json!({"name": "salute"})).await.json(200);
    assert_eq!(renamed["usage_example"], "const result = await Functions.salute({\n  who: \"…\",\n});");
}

#[tokio::test]
async fn scripts_need_functions_of_functions_too() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    client.post("/functions/", json!({"name": "inner", "code": "return 1"})).await.json(201);
    let outer = json!({"name": "outer", "code": "return Functions.inner({})"});
    client.post("/functions/", outer).await.json(201);
    let script = client.script("n", "export default (i, { Functions }) => Functions.outer({})").await;
    assert_eq!(script["function_names"], json!(["inner", "outer"]));
}

#[tokio::test]
async fn a_changed_function_gives_the_scripts_that_need_it_a_new_version() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let inner = client.post("/functions/", json!({"name": "inner", "code": "return 1"})).await.json(201);
    client
        .post("/functions/", json!({"name": "outer", "code": "return Functions.inner({})"}))
        .await
        .json(201);
    let script = client.script("n", "export default (i, { Functions }) => Functions.outer({})").await;
    let bystander = client.script("other", "export default () => 1").await;

    let path = format!("/functions/{}/", inner["id"].as_str().unwrap());
    let changed = client.patch(&path, json!({"code": "return 2"})).await.json(200);
    let script_path = format!("/scripts/{}/", script["id"].as_str().unwrap());
    let after = client.get(&script_path).await.json(200);
    assert_eq!((&after["version"], &after["build_hash"]), (&json!(2), &script["build_hash"]));
    let versions = client.get(&format!("{script_path}versions/")).await.json(200);
    let pinned = |version: &Value| {
        let pins = version["functions"].as_array().unwrap();
        pins.iter().find(|pin| pin["name"] == "inner").unwrap()["build_hash"].clone()
    };
    assert_eq!(pinned(&versions["results"][0]), changed["build_hash"]);
    assert_eq!(pinned(&versions["results"][1]), inner["build_hash"]);
    let untouched = client.get(&format!("/scripts/{}/", bystander["id"].as_str().unwrap())).await.json(200);
    assert_eq!(untouched["version"], 1);
}

#[tokio::test]
async fn a_function_in_use_is_deleted_only_by_force() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let function = client.post("/functions/", json!({"name": "greet", "code": "return 1"})).await.json(201);
    client
        .post("/functions/", json!({"name": "outer", "code": "return Functions.greet({})"}))
        .await
        .json(201);
    let code = "export default (i, { Functions }) => Functions.greet({})";
    let script = client.script("user", code).await;
    let path = format!("/functions/{}/", function["id"].as_str().unwrap());

    let refused = client.delete(&path).await.json(409);
    assert_eq!(refused["code"], "in_use");
    assert_eq!(refused["scripts"], json!([{"id": script["id"], "name": "user"}]));
    assert_eq!(refused["functions"][0]["name"], "outer");
    assert_eq!(client.patch(&path, json!({"name": "salute"})).await.json(409)["code"], "in_use");

    client.delete(&format!("{path}?force=true")).await.json(204);
    let script_path = format!("/scripts/{}/", script["id"].as_str().unwrap());
    assert_eq!(client.get(&script_path).await.json(200)["version"], 1);
    let refused = client.patch(&script_path, json!({"code": format!("{code} // again")})).await.json(400);
    assert_eq!(refused["diagnostics"][0]["rule"], "unknown-function");
}
