//! Messages that cannot be processed, and become dead letters.

use super::{Queues, broker::behind_link, next, until};
use shared::amqp::{Consumer, DeadLetter, DeadLetters, Publisher};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

impl Queues {
    async fn letters(&self) -> Vec<DeadLetter> {
        DeadLetters::new(self.broker.clone(), self.topology.clone()).list(10).await.unwrap()
    }
}

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
    let letters = direct.letters().await;
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
    let queues = &queues;
    until("one letter", async || queues.letters().await.len() == 1).await;
}
