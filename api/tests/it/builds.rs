//! Builds of hostile texts leave the api's threads to other requests.

use crate::server::Server;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Limits the seconds of a prompt answer: far above its time on a busy machine, and below the time of a build of
/// [`hostile_text`] that compares every unknown name with every function.
const PROMPT: Duration = Duration::from_secs(2);

/// Calls 3,400 unknown functions, whose names are long and near to those of [`Server`]'s functions.
fn hostile_text() -> String {
    let call = |number| format!("Functions.sendMesageToSlackChanelOfTheProject{number}({{}});\n");
    let calls: String = (0..3_400).map(call).collect();
    format!("export default (input) => {{\n{calls}}}")
}

#[tokio::test]
async fn healthz_answers_while_unknown_names_are_reported() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    for number in 0..60 {
        let name = format!("sendMessageToSlackChannelOfTheProject{number}");
        client.post("/functions/", json!({"name": name, "code": "return 1"})).await.json(201);
    }
    let text = hostile_text();
    let saved = json!({"name": "n", "code": text});
    let function = json!({"name": "f", "code": text});
    for (path, body) in
        [("/scripts/", saved), ("/scripts/test/", json!({"code": text})), ("/functions/", function)]
    {
        // The test and its server share a thread, so a build on that thread would delay every other answer.
        let (author, mut slowest) = (client.clone(), Duration::ZERO);
        let build = tokio::spawn(async move { author.post(path, body).await });
        while !build.is_finished() {
            let began = Instant::now();
            assert_eq!(client.root("/healthz").await.status, 200);
            slowest = slowest.max(began.elapsed());
        }
        assert!(slowest < PROMPT, "{path}: /healthz took {slowest:?}");
        let refused = build.await.unwrap().json(400);
        let diagnostics = refused["diagnostics"].as_array().unwrap();
        assert_eq!((diagnostics.len(), refused["code"].as_array().map(Vec::len)), (100, Some(100)), "{path}");
        let suggests = |diagnostic: &&Value| diagnostic["message"].as_str().unwrap().contains("did you mean");
        assert_eq!(diagnostics.iter().filter(suggests).count(), 20, "{path}");
        let last = diagnostics[99]["message"].as_str().unwrap();
        assert_eq!(last, "There are 3301 more findings, which are reported once these are fixed.", "{path}");
    }
}
