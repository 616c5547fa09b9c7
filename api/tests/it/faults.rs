//! Faults of the database, the broker and clients.

use crate::{client::send, server::Server};
use reqwest::Method;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn without_its_database_the_api_answers_503_and_heals() {
    let (server, link) = Server::start_behind_link().await;
    let client = server.client("demo").await;
    client.get("/scripts/").await.json(200);
    link.cut();
    let began = Instant::now();
    let refused = client.get("/scripts/").await;
    assert_eq!(refused.json(503)["code"], "unavailable");
    assert_eq!(refused.header("retry-after"), "2");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert_eq!(client.root("/readyz").await.status, 503);
    assert_eq!(client.root("/healthz").await.status, 200);
    assert_eq!(client.get("/health/").await.json(200)["is_available"], false);
    link.mend();
    client.get("/scripts/").await.json(200);
}

#[tokio::test]
async fn a_change_missed_during_an_outage_is_found_after_it() {
    let (server, link) = Server::start_behind_link().await;
    let client = server.client("demo").await;
    let script = client.script("n", "export default () => 1").await;
    let id = crate::executions::id_of(&crate::executions::execute(&client, &script).await);
    let mut watch = server.state.live.watch(id);
    link.cut();
    // The worker's connection does not use the link.
    crate::executions::complete(&server, id).await;
    link.mend();
    tokio::time::timeout(Duration::from_secs(30), watch.terminal()).await.unwrap();
    assert_eq!(client.get(&format!("/executions/{id}/")).await.json(200)["status"], "completed");
}

#[tokio::test]
async fn a_body_that_ends_early_is_refused_and_nothing_hangs() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let address = server.address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/v1/runnerctl/scripts/ HTTP/1.1\r\nhost: {address}\r\nx-api-key: {}\r\n\
         content-type: application/json\r\ncontent-length: 1000\r\n\r\n{{\"name\":",
        client.key()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_string(&mut answer));
    read.await.expect("the connection ends").ok();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.is_empty() || answer.contains("non_field_errors"), "{answer}");
    send(client.request(Method::GET, "/scripts/")).await.json(200);
}

#[tokio::test]
async fn executions_are_accepted_while_the_broker_is_down() {
    // Only the test servers of the relay have a broker.
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", "export default () => 1").await;
    let body = json!({"script_id": script["id"]});
    assert_eq!(client.post("/executions/", body).await.json(202)["status"], "queued");
}

#[tokio::test]
async fn health_shows_the_state_of_each_broker_connection() {
    let queues = test_support::TestQueues::create();
    let link = test_support::Link::to(queues.url(), 5672).await;
    let server = Server::start_with(|config| config.amqp_url = link.url().to_owned().into()).await;
    let client = server.client("demo").await;
    let shows = async |state: &str| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while client.get("/health/").await.json(200)["broker"]
            != json!({ "publisher": state, "consumer": state })
        {
            assert!(Instant::now() < deadline, "never {state}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    shows("connected").await;
    link.cut();
    shows("connecting").await;
    link.mend();
    shows("connected").await;
}
