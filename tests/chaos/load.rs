//! Continuous load of executions until it is stopped.

use super::cluster::Cluster;
use anyhow::Context as _;
use e2e::client::Client;
use serde_json::json;
use shared::amqp::Publication;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, sleep},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Script that reports its attempt to the fake service and takes some time, so that faults hit running executions.
const SCRIPT: &str = "export async function main({ event, context }) {
    await new Promise((resolve) => setTimeout(resolve, event.pause));
    const response = await fetch(event.service, {
        method: 'POST', body: JSON.stringify({ execution: context.execution_id, attempt: context.attempt }) });
    if (!response.ok) throw new Error('service answered ' + response.status);
    return event.number;
}";

/// Script that reports its attempt and then fails, so that it is retried until it is cancelled.
const FAILING_SCRIPT: &str = "export async function main({ event, context }) {
    await new Promise((resolve) => setTimeout(resolve, event.pause));
    await fetch(event.service, {
        method: 'POST', body: JSON.stringify({ execution: context.execution_id, attempt: context.attempt }) });
    throw new Error('never mind');
}";
/// Retries of the failing script. With its backoff of a second, which doubles, no run uses them up.
const RETRIES: i32 = 10;
/// Number of executions of which one fails and is cancelled.
const CANCELLED_SHARE: usize = 10;

/// Number of concurrent clients, so that one that waits for the end of an outage does not block the others.
const CONCURRENT_CLIENTS: usize = 8;

/// Prefix of a key, before the number that is also the result.
pub(crate) const KEY: &str = "key-";

/// Prefix of the key of an execution that is cancelled.
pub(crate) const CANCELLED_KEY: &str = "cancelled-";

/// Accepted executions: id by key. Events have no id until they are ingested.
pub(crate) type Accepted = BTreeMap<String, Option<Uuid>>;

/// Running load.
pub(crate) struct Load {
    accepted: Arc<Mutex<Accepted>>,
    asking: JoinSet<()>,
    stop: CancellationToken,
}

/// Starts to request executions, `rate` per second (fewer while the apis are unreachable), half over HTTP and half as
/// events. Each request is repeated until it is accepted.
pub(crate) async fn start(cluster: &Cluster, rate: u32) -> anyhow::Result<Load> {
    let client = cluster.clients.borrow().first().context("an api")?.clone();
    let host = cluster.service.host();
    let script = create_script(&client, "effect", SCRIPT, &host, 0).await?;
    let failing_script = create_script(&client, "failing", FAILING_SCRIPT, &host, RETRIES).await?;
    let accepted = Arc::new(Mutex::new(Accepted::new()));
    cluster.publisher.ready().await.context("a broker")?;
    let asking = Arc::new(Asking {
        clients: cluster.clients.subscribe(),
        publisher: shared::amqp::Publisher::new(cluster.broker.clone(), cluster.topology.clone()),
        exchange: cluster.topology.events.clone(),
        service: cluster.service.hook("effect"),
        script,
        failing_script,
        accepted: Arc::clone(&accepted),
    });
    let stop = CancellationToken::new();
    let pace = Duration::from_secs(1) * u32::try_from(CONCURRENT_CLIENTS)? / rate.max(1);
    let asking =
        (0..CONCURRENT_CLIENTS).map(|first| Arc::clone(&asking).ask(first, pace, stop.clone())).collect();
    Ok(Load { accepted, asking, stop })
}

async fn create_script(
    client: &Client,
    name: &str,
    code: &str,
    host: &str,
    max_retries: i32,
) -> anyhow::Result<Uuid> {
    let script = json!({
        "name": name, "code": code, "code_type": "main_fn", "trigger_type": "automation",
        "allowed_domains": [host], "max_retries": max_retries, "retry_backoff_s": 1,
    });
    let (status, answer) = client.post("/scripts/", &script).await?;
    anyhow::ensure!(status == 201, "POST /scripts/: {status} {answer}");
    Ok(answer["id"].as_str().context("an id")?.parse()?)
}

impl Load {
    /// Returns the ids accepted over HTTP so far.
    pub(crate) fn ids(&self) -> Vec<Uuid> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).values().flatten().copied().collect()
    }

    /// Stops the load and returns all accepted executions.
    pub(crate) async fn accepted(self) -> anyhow::Result<Accepted> {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_mins(5), self.asking.join_all())
            .await
            .context("the load does not end")?;
        Ok(std::mem::take(&mut self.accepted.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

struct Asking {
    clients: watch::Receiver<Vec<Client>>,
    publisher: shared::amqp::Publisher,
    exchange: String,
    service: String,
    script: Uuid,
    failing_script: Uuid,
    accepted: Arc<Mutex<Accepted>>,
}

impl Asking {
    async fn ask(self: Arc<Self>, first: usize, pace: Duration, stop: CancellationToken) {
        let mut pace = tokio::time::interval(pace);
        pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for number in (first..).step_by(CONCURRENT_CLIENTS) {
            pace.tick().await;
            if stop.is_cancelled() {
                break;
            }
            let is_cancelled = number % CANCELLED_SHARE == 0;
            let key = format!("{}{number}", if is_cancelled { CANCELLED_KEY } else { KEY });
            let script = if is_cancelled { self.failing_script } else { self.script };
            let id = if number % 2 == 0 { Some(self.post(&key, script, number).await) } else { None };
            if id.is_none() {
                self.publish(&key, number).await;
            }
            if let Some(id) = id.filter(|_| is_cancelled) {
                self.cancel(id, number).await;
            }
            self.accepted.lock().unwrap_or_else(PoisonError::into_inner).insert(key, id);
        }
    }

    fn event(&self, number: usize) -> serde_json::Value {
        json!({ "service": self.service, "number": number, "pause": 20 + number % 7 * 40 })
    }

    /// Posts an execution with the same key until the response is 202: a lost response may have been one.
    async fn post(&self, key: &str, script: Uuid, number: usize) -> Uuid {
        let body = json!({ "script_id": script, "trigger_type": "automation", "event": self.event(number) });
        loop {
            if let Some(client) = self.client(number)
                && let Ok((status, answer)) = client.post_with_key("/executions/", &body, key).await
                && status == 202
                && let Some(Ok(id)) = answer["id"].as_str().map(str::parse)
            {
                return id;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn client(&self, number: usize) -> Option<Client> {
        let clients = self.clients.borrow();
        clients.get(number / 2 % clients.len().max(1)).cloned()
    }

    /// Cancels a failing execution about when its first attempts end, until the cancel is accepted.
    async fn cancel(&self, id: Uuid, number: usize) {
        let attempt_ends = Duration::from_millis(20 + number as u64 % 7 * 40);
        sleep(attempt_ends + Duration::from_millis(number as u64 * 13 % 250)).await;
        loop {
            let path = format!("/executions/{id}/cancel/");
            if let Some(client) = self.client(number)
                && let Ok((status, _)) = client.post(&path, &json!({})).await
                // 409: it lost its worker three times before.
                && matches!(status.as_u16(), 200 | 202 | 409)
            {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Publishes an event with the same key until the broker confirms it.
    async fn publish(&self, key: &str, number: usize) {
        let message = json!({
            "v": 1, "idempotency_key": key, "workspace_slug": "chaos", "script_id": self.script,
            "trigger_type": "automation", "event": self.event(number),
        });
        let publication = Publication {
            exchange: self.exchange.clone(),
            routing_key: "chaos.test".to_owned(),
            body: message.to_string().into_bytes(),
            headers: Vec::new(),
        };
        while self.publisher.ready().await.is_some() {
            if matches!(self.publisher.publish(std::slice::from_ref(&publication)).await.pop(), Some(Ok(())))
            {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}
