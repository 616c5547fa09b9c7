//! A broker that loses a queue or its patience, and messages that should not be there.

use crate::{
    load::Load,
    random::Random,
    site::{CONSUMER_TIMEOUT, Site},
};
use anyhow::{Context as _, ensure};
use shared::amqp::Publication;
use sqlx::Executor as _;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use uuid::Uuid;

/// The broker looks every half second; the claims that wait give up and come again once in between.
const TIMED_OUT_WITHIN: Duration = Duration::from_secs(2);
/// Every slot may be taken by a run that waits for the database. What is not judged then is for the checker to say.
const JUDGED_WITHIN: Duration = Duration::from_secs(30);
/// More than there are slots.
const HELD_UP: usize = 12;

pub(super) async fn delete_queue(site: &Site) -> anyhow::Result<()> {
    let channel =
        lapin::Connection::connect(site.services.amqp_url(), lapin::ConnectionProperties::default());
    let channel = channel.await?.create_channel().await?;
    let queue = site.topology.executions.as_str().into();
    channel
        .queue_delete(queue, lapin::options::QueueDeleteOptions::default())
        .await
        .context("delete the queue")?;
    Ok(())
}

/// Claims wait behind a lock, so that nothing is acknowledged. Messages of executions that never were make sure that
/// there are some to wait.
pub(super) async fn time_consumers_out(site: &Site) -> anyhow::Result<()> {
    let timeouts = || site.workers.iter().map(|worker| timeouts(&worker.log_text())).sum::<usize>();
    let before = timeouts();
    let mut transaction = site.pool.begin().await?;
    transaction.execute("LOCK TABLE script_executions IN SHARE MODE").await?;
    let bodies = (0..HELD_UP).map(|_| message(Uuid::now_v7()));
    publish(site, &site.topology.executions, bodies).await?;
    sleep(CONSUMER_TIMEOUT + TIMED_OUT_WITHIN).await;
    transaction.commit().await?;
    ensure!(timeouts() > before, "the broker's patience did not end");
    Ok(())
}

fn message(execution: Uuid) -> String {
    format!(r#"{{"v":1,"execution_id":"{execution}"}}"#)
}

/// As the broker words it.
fn timeouts(log: &str) -> usize {
    log.matches("delivery acknowledgement on channel").count()
}

pub(super) async fn publish_duplicates(site: &Site, load: &Load, random: &mut Random) -> anyhow::Result<()> {
    let mut ids = load.ids();
    random.shuffle(&mut ids);
    let bodies = ids.into_iter().take(20).map(message);
    publish(site, &site.topology.executions, bodies).await?;
    Ok(())
}

/// Comes back when it lies with the dead letters: of poison in a queue that is deleted nobody can tell.
pub(super) async fn publish_poison(site: &Site) -> anyhow::Result<usize> {
    let dead = async || site.broker.ready_messages(&site.topology.dead).await.unwrap_or(0);
    let before = dead().await;
    let messages =
        ["", "not json", r#"{"v":1}"#, r#"{"v":2,"execution_id":"01900000-0000-7000-8000-000000000000"}"#];
    let events = ["[]", r#"{"v":1,"idempotency_key":""}"#, r#"{"v":9}"#];
    publish(site, &site.topology.executions, messages.into_iter().map(str::to_owned)).await?;
    publish(site, &site.topology.events, events.into_iter().map(str::to_owned)).await?;
    let poison = messages.len() + events.len();
    let deadline = Instant::now() + JUDGED_WITHIN;
    while (dead().await.saturating_sub(before) as usize) < poison && Instant::now() < deadline {
        sleep(Duration::from_millis(100)).await;
    }
    Ok(poison)
}

/// Until the broker has them all.
async fn publish(site: &Site, exchange: &str, bodies: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_mins(1);
    for body in bodies {
        let publication = Publication {
            exchange: exchange.to_owned(),
            routing_key: exchange.to_owned(),
            body: body.into_bytes(),
            headers: Vec::new(),
        };
        loop {
            site.publisher.ready().await.context("the broker was closed")?;
            let mut results = site.publisher.publish(std::slice::from_ref(&publication)).await;
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
