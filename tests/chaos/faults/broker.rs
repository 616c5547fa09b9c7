//! Faults of the broker: lost queues, consumer timeouts, duplicates and invalid messages.

use crate::{
    cluster::{CONSUMER_TIMEOUT, Cluster},
    load::Load,
    random::Random,
};
use anyhow::{Context as _, ensure};
use shared::amqp::Publication;
use sqlx::Executor as _;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use uuid::Uuid;

/// Maximum wait for a consumer timeout. The broker checks every half second, and waiting claims time out and are
/// repeated once in between.
const MAX_WAIT_FOR_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum wait for invalid messages to become dead letters, because every slot may have a run that waits for the
/// database. The checker reports those that did not.
const MAX_WAIT_FOR_DEAD_LETTERS: Duration = Duration::from_secs(30);
/// Number of additional messages: more than there are slots.
const EXTRA_MESSAGES: usize = 12;

pub(super) async fn delete_queue(cluster: &Cluster) -> anyhow::Result<()> {
    let channel =
        lapin::Connection::connect(cluster.services.amqp_url(), lapin::ConnectionProperties::default());
    let channel = channel.await?.create_channel().await?;
    let queue = cluster.topology.executions.as_str().into();
    channel
        .queue_delete(queue, lapin::options::QueueDeleteOptions::default())
        .await
        .context("delete the queue")?;
    Ok(())
}

/// Blocks claims with a lock, so that nothing is acknowledged. Messages of executions that do not exist ensure that
/// some claims wait.
pub(super) async fn time_consumers_out(cluster: &Cluster) -> anyhow::Result<()> {
    let timeouts = || cluster.workers.iter().map(|worker| timeouts(&worker.log_text())).sum::<usize>();
    let before = timeouts();
    let mut transaction = cluster.pool.begin().await?;
    transaction.execute("LOCK TABLE script_executions IN SHARE MODE").await?;
    let bodies = (0..EXTRA_MESSAGES).map(|_| message(Uuid::now_v7()));
    publish(cluster, &cluster.topology.executions, bodies).await?;
    sleep(CONSUMER_TIMEOUT + MAX_WAIT_FOR_TIMEOUT).await;
    transaction.commit().await?;
    ensure!(timeouts() > before, "the broker's patience did not end");
    Ok(())
}

fn message(execution: Uuid) -> String {
    format!(r#"{{"v":1,"execution_id":"{execution}"}}"#)
}

/// Counts the consumer timeouts in a log, by the broker's text.
fn timeouts(log: &str) -> usize {
    log.matches("delivery acknowledgement on channel").count()
}

pub(super) async fn publish_duplicates(
    cluster: &Cluster,
    load: &Load,
    random: &mut Random,
) -> anyhow::Result<()> {
    let mut ids = load.ids();
    random.shuffle(&mut ids);
    let bodies = ids.into_iter().take(20).map(message);
    publish(cluster, &cluster.topology.executions, bodies).await?;
    Ok(())
}

/// Publishes invalid messages and waits until they are dead letters: after the deletion of their queue they would be
/// lost.
pub(super) async fn publish_poison(cluster: &Cluster) -> anyhow::Result<usize> {
    let dead = async || crate::checker::dead_letters(cluster).await.unwrap_or(0);
    let before = dead().await;
    let messages =
        ["", "not json", r#"{"v":1}"#, r#"{"v":2,"execution_id":"01900000-0000-7000-8000-000000000000"}"#];
    let events = ["[]", r#"{"v":1,"idempotency_key":""}"#, r#"{"v":9}"#];
    publish(cluster, &cluster.topology.executions, messages.into_iter().map(str::to_owned)).await?;
    publish(cluster, &cluster.topology.events, events.into_iter().map(str::to_owned)).await?;
    let poison = messages.len() + events.len();
    let deadline = Instant::now() + MAX_WAIT_FOR_DEAD_LETTERS;
    while dead().await.saturating_sub(before) < poison && Instant::now() < deadline {
        sleep(Duration::from_millis(100)).await;
    }
    Ok(poison)
}

/// Publishes messages until the broker has confirmed all of them.
async fn publish(
    cluster: &Cluster,
    exchange: &str,
    bodies: impl Iterator<Item = String>,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_mins(1);
    for body in bodies {
        let publication = Publication {
            exchange: exchange.to_owned(),
            routing_key: exchange.to_owned(),
            body: body.into_bytes(),
            headers: Vec::new(),
        };
        loop {
            cluster.publisher.ready().await.context("the broker was closed")?;
            let mut results = cluster.publisher.publish(std::slice::from_ref(&publication)).await;
            match results.pop().context("no answer to a message")? {
                Ok(()) => break,
                Err(error) if Instant::now() > deadline => {
                    return Err(error).context("the broker takes no messages");
                }
                Err(_) => {}
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}
