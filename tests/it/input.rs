//! Invalid input, each kind of which gets its own clear error response.

use e2e::stack::Stack;
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn bad_input_is_refused_with_the_field_and_the_place() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let client = &stack.client;

    let script = json!({
        "name": "half", "code_type": "main_fn", "trigger_type": "automation",
        "code": "export async function main() {\n  return 1 +;\n}\n",
    });
    let (status, answer) = client.post("/scripts/", &script).await?;
    assert_eq!(status, 400, "{answer}");
    assert!(answer["code"][0].is_string(), "the field is named: {answer}");
    let diagnostic = &answer["diagnostics"][0];
    assert_eq!((&diagnostic["severity"], &diagnostic["line"]), (&json!("error"), &json!(2)), "{answer}");
    assert!(diagnostic["column"].as_u64().is_some_and(|column| column >= 10), "{answer}");

    let unknown = json!({ "script_id": "01890000-0000-7000-8000-000000000000", "trigger_type": "automation", "event": {} });
    let (status, answer) = client.post("/executions/", &unknown).await?;
    assert_eq!(status, 404, "{answer}");
    assert!(answer["code"].is_string() && answer["detail"].is_string(), "{answer}");

    let (status, answer) = client.send(Method::POST, "/scripts/", "{\"name\": ".to_owned()).await?;
    assert_eq!(status, 400, "not JSON: {answer}");

    let (status, answer) = client.post("/scripts/", &json!({ "nmae": "typo", "code": "" })).await?;
    assert_eq!(status, 400, "{answer}");
    assert!(answer["nmae"][0].is_string(), "the unknown field is named: {answer}");

    let huge = json!({ "name": "huge", "code_type": "main_fn", "trigger_type": "automation", "code": "x".repeat(8 << 20) });
    let (status, answer) = client.post("/scripts/", &huge).await?;
    assert_eq!(status, 413, "{answer}");
    Ok(())
}

#[tokio::test]
async fn another_workspaces_key_sees_nothing() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let script = stack.client.create_script("mine", "export function main() { return 1; }").await?;
    let stranger = stack.client_of_workspace("other").await?;
    let (status, _) = stranger.send(Method::GET, &format!("/scripts/{script}/"), String::new()).await?;
    assert_eq!(status, 404);
    let execution = json!({ "script_id": script, "trigger_type": "automation", "event": {} });
    let (status, _) = stranger.post("/executions/", &execution).await?;
    assert_eq!(status, 404);
    Ok(())
}
