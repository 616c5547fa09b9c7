//! Messages that cannot be processed, and become dead letters.

use super::{Queues, broker::behind_link, next, until};
use crate::server::Server;
use api::testing::delivery::DeadLetterInbox;
use shared::amqp::{Consumer, Publisher};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_acked_only_after_it_is_dead_lettered() {
    let (direct, behind, link) = behind_link().await;
    let (executions, publisher) = (direct.topology.executions.clone(), behind.publisher());
    direct.publish_message("not json").await;
    direct.publish_message("the next").await;
    // With a prefetch of 1 it gets the next message after it has acknowledged the one before.
    let mut consumer = Consumer::new(direct.broker.clone(), direct.topology.clone(), executions.clone(), 1);
    let delivery = next(&mut consumer).await;
    link.cut();
    let exchange = executions.clone();
    let dead_lettering = tokio::spawn(async move {
        publisher.dead_letter(delivery, &exchange, "not an execution", &CancellationToken::new()).await;
    });
    let early = tokio::time::timeout(Duration::from_secs(1), consumer.next()).await;
    assert!(early.is_err(), "{early:?}");
    assert!(direct.letters().await.is_empty());
    link.mend();
    assert_eq!(next(&mut consumer).await.body(), b"the next");
    dead_lettering.await.unwrap();
    let letters = direct.until_letters(1).await;
    let found = (&*letters[0].reason, &letters[0].exchange, &letters[0].routing_key, &letters[0].body[..]);
    assert_eq!(found, ("not an execution", &executions, &executions, &b"not json"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_dead_lettered_in_time_is_requeued() {
    let (direct, behind, link) = behind_link().await;
    direct.publish_message("not json").await;
    let mut consumer = direct.executions();
    let delivery = next(&mut consumer).await;
    link.cut();
    let stopping = CancellationToken::new();
    stopping.cancel();
    behind
        .publisher()
        .dead_letter(delivery, &direct.topology.executions, "not an execution", &stopping)
        .await;
    let requeued = next(&mut consumer).await;
    assert_eq!((requeued.body(), requeued.redelivered()), (&b"not json"[..], true));
    assert!(direct.letters().await.is_empty());
    link.mend();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_dead_letter_queue_is_declared_again_on_next_use() {
    let queues = Queues::create();
    queues.publish_message("not json").await;
    let mut consumer = queues.executions();
    let delivery = next(&mut consumer).await;
    let publisher: Publisher = queues.publisher();
    publisher.ready().await.unwrap();
    queues.delete(&queues.topology.dead).await;
    let (exchange, never) = (queues.topology.executions.clone(), CancellationToken::new());
    publisher.dead_letter(delivery, &exchange, "not an execution", &never).await;
    queues.until_letters(1).await;
}

/// The lock holds the insert of the letter until its acknowledgement can no longer reach the broker.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_stored_once_if_its_acknowledgement_is_lost() {
    let (direct, behind, link) = behind_link().await;
    let server = Server::start().await;
    let (pool, stop) = (&server.pool, CancellationToken::new());
    let inbox = DeadLetterInbox::new(pool.clone(), behind.broker.clone(), behind.topology.clone());
    tokio::spawn(inbox.run(stop.clone()));
    let mut lock = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE dead_letters").execute(&mut *lock).await.unwrap();
    direct.publish_message("not json").await;
    let mut consumer = direct.executions();
    let (delivery, never) = (next(&mut consumer).await, CancellationToken::new());
    direct.publisher().dead_letter(delivery, &direct.topology.executions, "not an execution", &never).await;
    until("the insert waits", async || {
        let waiting =
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'dead_letters'::regclass)";
        sqlx::query_scalar(waiting).fetch_one(pool).await.unwrap()
    })
    .await;
    link.cut();
    let direct = &direct;
    until("the letter is back", async || direct.ready(&direct.topology.dead).await == 1).await;
    lock.commit().await.unwrap();
    let stored = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM dead_letters").fetch_one(pool).await.unwrap()
    };
    until("it is stored", async || stored().await == 1).await;
    link.mend();
    until("it is acknowledged", async || direct.ready(&direct.topology.dead).await == 0).await;
    // The next letter is stored after it, so that it can no longer be on its way.
    direct.publish_message("the next").await;
    let delivery = next(&mut consumer).await;
    direct.publisher().dead_letter(delivery, &direct.topology.executions, "not an execution", &never).await;
    until("the next is stored", async || stored().await == 2).await;
    let bodies: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT body FROM dead_letters ORDER BY id").fetch_all(pool).await.unwrap();
    assert_eq!(bodies, [&b"not json"[..], b"the next"]);
    stop.cancel();
}
