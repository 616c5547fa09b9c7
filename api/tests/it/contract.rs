//! Answers are what the `OpenAPI` document says.

use crate::{
    client::Answer,
    executions::{complete, execute, id_of},
    server::Server,
};
use serde_json::{Value, json};

/// The document, and what it says of answers.
struct Document(Value);

impl Document {
    /// Panics unless the answer has a status and a body that the document gives for this operation.
    #[track_caller]
    fn check(&self, method: &str, path: &str, answer: &Answer) {
        let operation = &self.0["paths"][path][method];
        assert!(operation.is_object(), "{method} {path} is not in the document");
        let response = &operation["responses"][answer.status.as_str()];
        assert!(response.is_object(), "{method} {path}: {} is not in the document", answer.status);
        let schema = &response["content"]["application/json"]["schema"];
        if schema.is_null() {
            return;
        }
        let body = serde_json::from_str(&answer.text).unwrap();
        if let Err(problem) = self.conforms(&body, schema, "$") {
            panic!("{method} {path} {}: {problem}\n{}", answer.status, answer.text);
        }
    }

    /// The part of JSON Schema that the document uses.
    fn conforms(&self, value: &Value, schema: &Value, at: &str) -> Result<(), String> {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.0.pointer(reference.trim_start_matches('#')).expect(reference);
            return self.conforms(value, target, at);
        }
        if let Some(all) = schema["allOf"].as_array() {
            return all.iter().try_for_each(|part| self.conforms(value, part, at));
        }
        if let Some(one) = schema["oneOf"].as_array() {
            let fits = one.iter().any(|part| self.conforms(value, part, at).is_ok());
            return if fits { Ok(()) } else { Err(format!("{at} is none of what it may be: {value}")) };
        }
        if let Some(choices) = schema["enum"].as_array()
            && !choices.contains(value)
        {
            return Err(format!("{at} is {value}, which is none of {choices:?}"));
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(some) => some.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !types.is_empty() && !types.iter().any(|kind| is(value, kind)) {
            return Err(format!("{at} is {value}, not {types:?}"));
        }
        if let (Some(items), Some(elements)) = (schema.get("items"), value.as_array()) {
            elements
                .iter()
                .enumerate()
                .try_for_each(|(n, item)| self.conforms(item, items, &format!("{at}[{n}]")))?;
        }
        let Some(members) = value.as_object() else { return Ok(()) };
        for required in schema["required"].as_array().into_iter().flatten() {
            if !members.contains_key(required.as_str().unwrap()) {
                return Err(format!("{at} lacks {required}"));
            }
        }
        for (name, member) in members {
            let part = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
            if let Some(part) = part.filter(|part| part.is_object()) {
                self.conforms(member, part, &format!("{at}.{name}"))?;
            }
        }
        Ok(())
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

#[tokio::test]
async fn answers_are_what_the_document_says() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let document = Document(client.root("/openapi.json").await.json(200));
    let check = |method: &str, path: &str, answer: &Answer| document.check(method, path, answer);

    let script = client
        .post("/scripts/", json!({"name": "n", "code": "export default () => 1", "env": {"A": "b"}}))
        .await;
    check("post", "/scripts/", &script);
    check("post", "/scripts/", &client.post("/scripts/", json!({"name": "n", "code": "("})).await);
    check("post", "/scripts/", &client.post("/scripts/", json!({"x": 1})).await);
    check("get", "/scripts/", &client.get("/scripts/").await);
    let script = script.json(201);
    let path = format!("/scripts/{}/", script["id"].as_str().unwrap());
    check("get", "/scripts/{id}/", &client.get(&path).await);
    check("patch", "/scripts/{id}/", &client.patch(&path, json!({"description": "d"})).await);
    check("get", "/scripts/{id}/versions/", &client.get(&format!("{path}versions/")).await);
    check("get", "/scripts/{id}/", &client.get("/scripts/none/").await);

    let function = client
        .post("/functions/", json!({"name": "f", "code": "return 1", "parameters": [{"name": "a"}]}))
        .await;
    check("post", "/functions/", &function);
    check("get", "/functions/", &client.get("/functions/").await);

    let execution = execute(&client, &script).await;
    let path = format!("/executions/{}/", id_of(&execution));
    check("get", "/executions/{id}/", &client.get(&path).await);
    complete(&server, id_of(&execution)).await;
    check("get", "/executions/{id}/", &client.get(&path).await);
    check("get", "/executions/", &client.get("/executions/").await);
    check("get", "/executions/{id}/logs/", &client.get(&format!("{path}logs/")).await);
    check("post", "/executions/{id}/cancel/", &client.post(&format!("{path}cancel/"), json!({})).await);
    check("post", "/executions/{id}/replay/", &client.post(&format!("{path}replay/"), json!({})).await);

    let body = json!({"script_id": script["id"], "cron": "0 9 * * *"});
    check("post", "/schedules/", &client.post("/schedules/", body).await);
    check("get", "/schedules/", &client.get("/schedules/").await);
    check("put", "/environment/{key}/", &client.put("/environment/K/", json!({"value": "v"})).await);
    check("get", "/environment/", &client.get("/environment/").await);
    check("get", "/environment/{key}/changes/", &client.get("/environment/K/changes/").await);
    check("post", "/api-keys/", &client.post("/api-keys/", json!({"name": "n"})).await);
    check("get", "/api-keys/", &client.get("/api-keys/").await);
    check("get", "/types/", &client.get("/types/").await);
    check("get", "/health/", &client.get("/health/").await);
}

#[tokio::test]
async fn the_documentation_asks_no_other_host() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let page = client.root("/docs/").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("swagger-ui"));
    assert!(!page.text.contains("https://"), "{}", page.text);
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
