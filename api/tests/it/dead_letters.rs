//! Dead letters: a workspace sees and changes only its own, and looking at them hides none.

use crate::{client::Client, server::Server};
use api::testing::delivery::ingest::Ingest;
use serde_json::{Value, json};
use shared::amqp::{Broker, Publication, Publisher, Topology};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};
use test_support::TestQueues;
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Seconds for what takes milliseconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(20);

/// Puts a letter into the dead-letter queue.
pub(crate) async fn bury(publisher: &Publisher, routing_key: &str, body: Value) {
    let exchange = publisher.topology().events.clone();
    bury_from(publisher, &exchange, routing_key, body.to_string().into_bytes()).await;
}

async fn bury_from(publisher: &Publisher, exchange: &str, routing_key: &str, body: Vec<u8>) {
    publisher.ready().await.unwrap();
    let letter = Publication {
        exchange: publisher.topology().dead.clone(),
        routing_key: routing_key.to_owned(),
        body,
        headers: vec![("x-reason", "test".to_owned()), ("x-exchange", exchange.to_owned())],
    };
    publisher.publish(&[letter]).await.pop().unwrap().unwrap();
}

/// Waits until this many letters are stored.
pub(crate) async fn until_stored(server: &Server, letters: i64) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let stored: i64 =
            sqlx::query_scalar("SELECT count(*) FROM dead_letters").fetch_one(&server.pool).await.unwrap();
        if stored == letters {
            return;
        }
        assert!(Instant::now() < deadline, "{stored} letters are stored, not {letters}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An api with queues of its own, and a publisher to them.
struct Bench {
    server: Server,
    client: Client,
    broker: Broker,
    publisher: Publisher,
}

impl Bench {
    async fn create() -> Self {
        let queues = TestQueues::create();
        let server = Server::start_on(&queues).await;
        let broker = Broker::connect(queues.url(), "test publisher").unwrap();
        let publisher = Publisher::new(broker.clone(), Topology::with_prefix(queues.prefix()));
        Self { client: server.client("demo").await, server, broker, publisher }
    }

    /// Ingests events until the guard is dropped.
    fn ingest(&self) -> DropGuard {
        let (broker, topology) = (self.broker.clone(), self.publisher.topology().clone());
        let wake = Arc::new(Notify::new());
        let ingest = Ingest::new(self.server.pool.clone(), broker.clone(), broker, topology, wake);
        let stop = CancellationToken::new();
        tokio::spawn(ingest.run(stop.clone()));
        stop.drop_guard()
    }

    /// Buries letters that an ingest rejects again.
    async fn bury(&self, letters: i64) {
        for number in 0..letters {
            bury(&self.publisher, "demo.issue.updated", json!({"workspace_slug": "demo", "n": number})).await;
        }
        until_stored(&self.server, letters).await;
    }

    async fn letters(&self) -> Vec<Value> {
        let letters = self.client.get("/dead-letters/?per_page=100").await.json(200);
        letters["results"].as_array().unwrap().clone()
    }
}

fn id(letter: &Value) -> &str {
    letter["id"].as_str().unwrap()
}

fn ids(letters: &[Value]) -> BTreeSet<String> {
    letters.iter().map(|letter| id(letter).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_sees_and_touches_its_own_letters() {
    let bench = Bench::create().await;
    let (server, client) = (&bench.server, &bench.client);
    for slug in ["demo", "other"] {
        bury(&bench.publisher, &format!("{slug}.issue.updated"), json!({"workspace_slug": slug})).await;
    }
    let script = client.script("n", "export default () => 1").await;
    let execution = crate::executions::execute(client, &script).await;
    let exchange = bench.publisher.topology().executions.clone();
    bury_from(
        &bench.publisher,
        &exchange,
        "x.y",
        json!({"execution_id": execution["id"]}).to_string().into(),
    )
    .await;
    bury_from(
        &bench.publisher,
        &exchange,
        "demo.y",
        json!({"execution_id": uuid::Uuid::now_v7()}).to_string().into(),
    )
    .await;
    until_stored(server, 4).await;
    let letters = bench.letters().await;
    assert_eq!(letters.len(), 2, "{letters:?}");
    assert_eq!(letters[0]["body"], json!({"execution_id": execution["id"]}));
    assert_eq!(
        (&letters[1]["body"], &letters[1]["reason"]),
        (&json!({"workspace_slug": "demo"}), &json!("test"))
    );
    let path = format!("/dead-letters/{}/", id(&letters[1]));
    assert_eq!(client.get(&path).await.json(200), letters[1]);

    let stranger = server.client("stranger").await;
    stranger.get(&path).await.json(404);
    stranger.delete(&path).await.json(404);
    stranger.post(&format!("{path}requeue/"), json!({})).await.json(404);
    let requeue = json!({"ids": [id(&letters[1]), "unknown"]});
    assert_eq!(stranger.post("/dead-letters/", requeue).await.json(200)["requeued"], 0);
    client.delete(&path).await.json(204);
    client.delete(&path).await.json(404);
    assert_eq!(bench.letters().await, letters[..1]);
    let other = server.client("other").await.get("/dead-letters/").await.json(200);
    assert_eq!(other["results"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_a_slug_with_dots_belong_to_its_workspace() {
    let bench = Bench::create().await;
    let dotted = bench.server.client("demo.prod").await;
    let events = bench.publisher.topology().events.clone();
    for (key, body) in [
        ("demo.prod.x", r#"{"workspace_slug":"demo.prod"}"#),
        ("demo.prod.x", "not JSON"),
        ("demo.prod.x", r#"{"workspace_slug":"demo"}"#),
        ("demo.product.x", "not JSON"),
    ] {
        bury_from(&bench.publisher, &events, key, body.into()).await;
    }
    until_stored(&bench.server, 4).await;
    let bodies = |letters: &[Value]| -> BTreeSet<String> {
        letters.iter().map(|letter| format!("{} {}", letter["routing_key"], letter["body"])).collect()
    };
    let of_dotted = dotted.get("/dead-letters/").await.json(200);
    let expected = [r#""demo.prod.x" "not JSON""#, r#""demo.prod.x" {"workspace_slug":"demo.prod"}"#];
    assert_eq!(bodies(of_dotted["results"].as_array().unwrap()), expected.map(str::to_owned).into());
    let expected = [r#""demo.prod.x" {"workspace_slug":"demo"}"#, r#""demo.product.x" "not JSON""#];
    assert_eq!(bodies(&bench.letters().await), expected.map(str::to_owned).into());
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_whole_while_others_look_and_delete() {
    let bench = Bench::create().await;
    bench.bury(40).await;
    let letters = bench.letters().await;
    let mut lists = JoinSet::new();
    for _ in 0..24 {
        let client = bench.client.clone();
        lists.spawn(async move {
            client.get("/dead-letters/?per_page=100").await.json(200)["results"].as_array().unwrap().len()
        });
    }
    assert_eq!(lists.join_all().await, [40; 24]);

    let mut requests = JoinSet::new();
    for letter in &letters[..15] {
        let (client, path) = (bench.client.clone(), format!("/dead-letters/{}/", id(letter)));
        requests.spawn(async move { client.delete(&path).await.status.as_u16() });
        let client = bench.client.clone();
        requests.spawn(async move { client.get("/dead-letters/").await.status.as_u16() });
    }
    let answers = requests.join_all().await;
    let deleted = answers.iter().filter(|status| **status == 204).count();
    assert_eq!((deleted, answers.len()), (15, 30), "{answers:?}");
    assert_eq!(bench.letters().await, letters[15..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_are_rejected_again_are_counted_once() {
    let bench = Bench::create().await;
    let _ingest = bench.ingest();
    bench.bury(18).await;
    let letters = bench.letters().await;
    let two = json!({"ids": [id(&letters[3]), id(&letters[7])]});
    let (one, other) = tokio::join!(
        bench.client.post("/dead-letters/", two.clone()),
        bench.client.post("/dead-letters/", two)
    );
    let requeued = |answer: Value| answer["requeued"].as_u64().unwrap();
    assert_eq!(requeued(one.json(200)) + requeued(other.json(200)), 2);
    until_stored(&bench.server, 18).await;
    let again = bench.letters().await;
    assert_eq!(ids(&again).intersection(&ids(&letters)).count(), 16, "the two are letters of their own");
    assert!(again[..2].iter().all(|letter| letter["reason"] != "test"), "with the reason of today");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_requeued_with_an_edited_body() {
    let bench = Bench::create().await;
    let _ingest = bench.ingest();
    let script = bench.client.script("n", "export default () => 1").await;
    let event = json!({"v": 1, "idempotency_key": "late", "workspace_slug": "demo", "script_id": uuid::Uuid::now_v7(),
        "trigger_type": "automation", "event": {"n": 1}});
    bury(&bench.publisher, "demo.issue.updated", event.clone()).await;
    until_stored(&bench.server, 1).await;
    let path = format!("/dead-letters/{}/requeue/", id(&bench.letters().await[0]));
    let requeue = async |change: Value| {
        let mut body = event.clone();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        bench.client.post(&path, json!({"body": body})).await
    };
    let refused = requeue(json!({"workspace_slug": "other"})).await.json(400);
    assert_eq!(refused["body"][0], r#"Must be an event whose workspace_slug is "demo"."#);
    bench.client.post(&path, json!({"body": [1]})).await.json(400);
    assert_eq!(requeue(json!({"script_id": script["id"]})).await.json(200), json!({"requeued": 1}));
    requeue(json!({"script_id": script["id"]})).await.json(404);
    let deadline = Instant::now() + LIMIT;
    while bench.client.get("/executions/").await.json(200)["results"] == json!([]) {
        assert!(Instant::now() < deadline, "the edited event was not ingested");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until_stored(&bench.server, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_requeued_where_it_came_from_or_dropped() {
    let bench = Bench::create().await;
    let _ingest = bench.ingest();
    let script = bench.client.script("n", "export default () => 1").await;
    let path = format!("/scripts/{}/", script["id"].as_str().unwrap());
    let required = json!({"variables": [{"key": "url", "required": true}]});
    bench.client.patch(&path, required).await.json(200);
    let event = json!({"v": 1, "idempotency_key": "early", "workspace_slug": "demo", "script_id": script["id"],
        "trigger_type": "automation", "event": {"n": 1}});
    let publish = async |body: String| {
        bench.publisher.ready().await.unwrap();
        let publication = Publication {
            exchange: bench.publisher.topology().events.clone(),
            routing_key: "demo.issue.updated".to_owned(),
            body: body.into_bytes(),
            headers: Vec::new(),
        };
        bench.publisher.publish(&[publication]).await.pop().unwrap().unwrap();
    };
    publish(event.to_string()).await;
    publish("not json".to_owned()).await;
    until_stored(&bench.server, 2).await;
    let letters = bench.letters().await;
    let (malformed, early): (Vec<_>, Vec<_>) =
        letters.iter().partition(|letter| letter["body"] == "not json");
    assert_eq!(early[0]["exchange"], json!(bench.publisher.topology().events));
    // The cause is gone.
    bench.client.patch(&path, json!({"variables": []})).await.json(200);
    let requeue = json!({"ids": [id(early[0])]});
    assert_eq!(bench.client.post("/dead-letters/", requeue).await.json(200)["requeued"], 1);
    bench.client.delete(&format!("/dead-letters/{}/", id(malformed[0]))).await.json(204);
    let deadline = Instant::now() + LIMIT;
    while bench.client.get("/executions/").await.json(200)["results"] == json!([]) {
        assert!(Instant::now() < deadline, "the event was not ingested");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until_stored(&bench.server, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_can_t_be_requeued_stays() {
    let bench = Bench::create().await;
    let executions = bench.publisher.topology().executions.clone();
    bury_from(&bench.publisher, "amq.topic", "demo.x", b"foreign".to_vec()).await;
    bury_from(&bench.publisher, &executions, "demo.x", b"not an execution".to_vec()).await;
    until_stored(&bench.server, 2).await;
    let letters = bench.letters().await;
    let (foreign, execution) = if letters[0]["body"] == "foreign" { (0, 1) } else { (1, 0) };
    let post = async |letter: &Value, body: Value| {
        bench.client.post(&format!("/dead-letters/{}/requeue/", id(letter)), body).await
    };
    let refused = post(&letters[foreign], json!({})).await.json(409);
    assert_eq!(refused["code"], "not_requeueable");
    assert!(refused["detail"].as_str().unwrap().contains("exchange"), "{refused}");
    let refused = post(&letters[execution], json!({"body": {"workspace_slug": "demo"}})).await.json(409);
    assert!(refused["detail"].as_str().unwrap().contains("Only events"), "{refused}");
    let all = json!({"ids": ids(&letters)});
    assert_eq!(bench.client.post("/dead-letters/", all).await.json(200)["requeued"], 1);
    assert_eq!(bench.letters().await, [letters[foreign].clone()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_searched_and_read_page_by_page() {
    let bench = Bench::create().await;
    bench.bury(5).await;
    let long = json!({"workspace_slug": "demo", "text": "x".repeat(20_000)});
    bury(&bench.publisher, "demo.rare.event", long.clone()).await;
    until_stored(&bench.server, 6).await;
    let list = async |query: &str| bench.client.get(&format!("/dead-letters/?{query}")).await.json(200);
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = list(&format!("per_page=4{cursor}")).await;
        seen.extend(page["results"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!((seen.len(), &seen), (6, &bench.letters().await));
    for (search, found) in [("RARE", 1), ("%22n%22:3", 1), ("test", 6), ("%25", 0), ("nothing", 0), ("", 6)] {
        let page = list(&format!("search={search}")).await;
        assert_eq!(page["results"].as_array().unwrap().len(), found, "{search}: {page}");
    }
    // A list leaves out a long body; the letter itself has it.
    assert_eq!((&seen[0]["body"], &seen[0]["body_bytes"]), (&Value::Null, &json!(long.to_string().len())));
    let whole = bench.client.get(&format!("/dead-letters/{}/", id(&seen[0]))).await.json(200);
    assert_eq!(whole["body"], long);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_letters_are_read_and_requeues_are_refused() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    assert_eq!(client.get("/dead-letters/").await.json(200)["results"], json!([]));
    let requeue = json!({"ids": [uuid::Uuid::now_v7()]});
    assert_eq!(client.post("/dead-letters/", requeue).await.json(503)["code"], "unavailable");
}
