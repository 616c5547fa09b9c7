//! Dead letters: a workspace sees and changes only its own.

use crate::server::Server;
use serde_json::{Value, json};
use shared::amqp::{Broker, Publication, Publisher, Topology};
use test_support::TestQueues;

/// Puts a letter into the dead-letter queue.
pub(crate) async fn bury(publisher: &Publisher, routing_key: &str, body: Value) {
    publisher.ready().await.unwrap();
    let letter = Publication {
        exchange: publisher.topology().dead.clone(),
        routing_key: routing_key.to_owned(),
        body: body.to_string().into_bytes(),
        headers: vec![("x-reason", "test".to_owned()), ("x-exchange", publisher.topology().events.clone())],
    };
    publisher.publish(&[letter]).await.pop().unwrap().unwrap();
}

#[tokio::test]
async fn a_workspace_sees_and_touches_its_own_letters() {
    let queues = TestQueues::create();
    let server = Server::start_on(&queues).await;
    let broker = Broker::connect(queues.url(), "test publisher").unwrap();
    let publisher = Publisher::new(broker.clone(), Topology::with_prefix(queues.prefix()));
    for slug in ["demo", "other"] {
        bury(&publisher, &format!("{slug}.issue.updated"), json!({"workspace_slug": slug})).await;
    }
    let client = server.client("demo").await;
    let letters = client.get("/dead-letters/").await.json(200);
    assert_eq!(letters["results"].as_array().unwrap().len(), 1, "{letters}");
    assert_eq!(letters["results"][0]["body"], json!({"workspace_slug": "demo"}));
    assert_eq!(letters["results"][0]["reason"], "test");
    let id = letters["results"][0]["id"].as_str().unwrap();
    let path = format!("/dead-letters/{id}/");
    assert_eq!(client.get(&path).await.json(200)["id"], id);

    let stranger = server.client("stranger").await;
    stranger.get(&path).await.json(404);
    stranger.delete(&path).await.json(404);
    assert_eq!(stranger.post("/dead-letters/", json!({"ids": [id]})).await.json(200)["requeued"], 0);
    client.delete(&path).await.json(204);
    assert_eq!(client.get("/dead-letters/").await.json(200)["results"], json!([]));
    assert_eq!(
        server.client("other").await.get("/dead-letters/").await.json(200)["results"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    broker.close().await;
}

#[tokio::test]
async fn without_a_broker_dead_letters_are_unavailable() {
    let server = Server::start().await;
    let answer = server.client("demo").await.get("/dead-letters/").await;
    assert_eq!(answer.json(503)["code"], "unavailable");
}
