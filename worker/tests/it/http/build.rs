//! `/build` and `/validate`.

use super::NO_PLANE;
use crate::endpoints::Endpoints;
use reqwest::StatusCode;
use serde_json::json;

#[tokio::test]
async fn a_build_names_the_functions_it_calls() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let code = "async function main() { return Functions.httpRequest({ url: 'https://example.com' }) }";
    let (status, body) = endpoints.post("/build", &json!({ "code": code, "code_type": "main_fn" })).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["function_names"], json!(["httpRequest"]));
    assert_eq!(body["build_hash"].as_str().unwrap().len(), 64);
    assert!(body["build"].as_str().unwrap().contains("httpRequest"));
    assert_eq!(body["diagnostics"], json!([]));
}

#[tokio::test]
async fn code_that_does_not_build_is_refused_with_its_lines() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let (status, body) =
        endpoints.post("/build/", &json!({ "code": "function main() {\n  return (;\n}" })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body["code"][0].as_str().unwrap().starts_with("Line 2, column "), "{body}");
    assert_eq!(body["diagnostics"][0]["line"], 2);
}

#[tokio::test]
async fn validation_answers_200_either_way() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let (status, body) =
        endpoints.post("/validate", &json!({ "code": "return 1;", "code_type": "raw" })).await;
    assert_eq!((status, body), (StatusCode::OK, json!({ "valid": true, "diagnostics": [] })));
    let (status, body) =
        endpoints.post("/validate", &json!({ "code": "return (" , "code_type": "raw" })).await;
    assert_eq!((status, &body["valid"]), (StatusCode::OK, &json!(false)));
}

#[tokio::test]
async fn everything_wrong_with_a_body_is_said_by_field() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let (status, body) =
        endpoints.post("/validate", &json!({ "code_type": "python", "language": "py" })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body["code"], json!(["This field is required."]));
    assert_eq!(body["language"], json!(["Unknown field."]));
    assert!(body["code_type"][0].as_str().unwrap().contains("python"), "{body}");
    let code = "x".repeat(shared::limits::CODE_BYTES + 1);
    let (_, body) = endpoints.post("/validate", &json!({ "code": code })).await;
    assert_eq!(body["code"], json!(["Must have at most 262144 bytes; it has 262145."]));
}
