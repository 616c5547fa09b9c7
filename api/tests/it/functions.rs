//! Functions: saved, used by scripts, and not deleted or renamed while in use.

use crate::{
    client::{json as json_body, send},
    server::Server,
};
use reqwest::Method;
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
async fn a_changed_function_creates_new_versions_of_dependent_scripts() {
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

#[tokio::test]
async fn a_function_is_held_to_its_rules() {
    let server = Server::start().await;
    let (client, other) = (server.client("demo").await, server.client("other").await);
    let function = |change: Value| {
        let mut function = json!({"name": "greet", "code": "return 1"});
        function.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        function
    };
    client.post("/functions/", function(json!({}))).await.json(201);
    other.post("/functions/", function(json!({}))).await.json(201);
    for (change, field, message) in [
        (json!({}), "name", "A function with this name exists."),
        (json!({"name": "1st"}), "name", "Must be a name in code"),
        (json!({"name": "other", "category": "misc"}), "category", "Must be one of http, "),
        (
            json!({"name": "other", "parameters": [{"name": "a"}, {"name": "a"}]}),
            "parameters",
            "\"a\" is there more",
        ),
        (json!({"name": "other", "parameters": [{"title": "a"}]}), "parameters", "unknown field `title`"),
        (json!({"name": "other", "code": ""}), "code", "This field may not be blank."),
    ] {
        let refused = client.post("/functions/", function(change)).await.json(400);
        assert!(refused[field][0].as_str().unwrap_or_default().contains(message), "{message}: {refused}");
    }
}

#[tokio::test]
async fn a_change_of_a_function_that_changed_meanwhile_is_refused() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let created = client.post("/functions/", json!({"name": "greet", "code": "return 1"})).await;
    let (tag, function) = (created.header("etag").to_owned(), created.json(201));
    let path = format!("/functions/{}/", function["id"].as_str().unwrap());
    let with = |method: Method, header: &'static str| client.request(method, &path).header(header, &tag);
    assert_eq!(send(with(Method::GET, "if-none-match")).await.status, 304);
    let change = || json_body(with(Method::PATCH, "if-match"), &json!({"description": "d"}));
    send(change()).await.json(200);
    assert_eq!(send(change()).await.json(412)["code"], "precondition_failed");
    assert_eq!(send(with(Method::DELETE, "if-match")).await.json(412)["code"], "precondition_failed");
    assert_eq!(send(with(Method::GET, "if-none-match")).await.status, 200);
}

#[tokio::test]
async fn a_workspace_may_have_two_hundred_functions() {
    let server = Server::start().await;
    let (client, other) = (server.client("demo").await, server.client("other").await);
    let function = |name: &str| json!({"name": name, "code": "return 1"});
    let first = client.post("/functions/", function("first")).await.json(201);
    sqlx::query(
        "INSERT INTO script_functions (id, workspace_id, name, code, build_hash)
         SELECT gen_random_uuid(), workspace_id, 'copy' || number, code, build_hash
         FROM script_functions, generate_series(1, 198) AS number WHERE name = 'first'",
    )
    .execute(&server.pool)
    .await
    .unwrap();
    client.post("/functions/", function("last")).await.json(201);

    let refused = client.post("/functions/", function("more")).await.json(400);
    let rule = "A workspace may have 200 functions; this one has 200. Delete one first.";
    assert_eq!(refused, json!({ "name": [rule] }));
    other.post("/functions/", function("more")).await.json(201);
    let path = format!("/functions/{}/", first["id"].as_str().unwrap());
    client.patch(&path, json!({"description": "still changed"})).await.json(200);
    client.delete(&path).await.json(204);
    client.post("/functions/", function("more")).await.json(201);
}

#[tokio::test]
async fn functions_too_large_for_one_run_are_refused_together() {
    const FUNCTIONS: usize = 51;
    let server = Server::start().await;
    let client = server.client("demo").await;
    let code = format!("return {:?}", "x".repeat(250_000));
    for number in 0..FUNCTIONS {
        let function = json!({"name": format!("f{number}"), "code": code});
        client.post("/functions/", function).await.json(201);
    }
    let calling = |functions: usize| -> String {
        let calls: Vec<String> =
            (0..functions).map(|number| format!("await Functions.f{number}({{}});")).collect();
        format!("export default async (input, {{ Functions }}) => {{ {} }}", calls.join(" "))
    };
    client.script("fits", &calling(20)).await;
    let script = json!({"name": "too large", "code": calling(FUNCTIONS)});
    let refused = client.post("/scripts/", script).await.json(400);
    let message = refused["code"][0].as_str().unwrap();
    assert!(message.contains("12582912 bytes together"), "{message}");
    let test = json!({"code": calling(FUNCTIONS)});
    let refused = client.post("/scripts/test/", test).await.json(400);
    assert_eq!(refused["code"][0].as_str().unwrap(), message);
}
