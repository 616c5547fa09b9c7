//! Messages that nobody can handle, on their way to the dead letters.

use super::{Queues, broker::behind_link, next, until};
use shared::queue::{DeadLetter, DeadLetters, Publisher};
use tokio_util::sync::CancellationToken;

impl Queues {
    async fn letters(&self) -> Vec<DeadLetter> {
        DeadLetters::new(self.broker.clone(), self.topology.clone()).list(10).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_acknowledged_only_when_the_dead_letters_have_it() {
    let (direct, behind, link) = behind_link().await;
    let (direct, publisher) = (&direct, behind.publisher());
    direct.publish_message("not json").await;
    let mut consumer = direct.executions();
    let delivery = next(&mut consumer).await;
    link.cut();
    let exchange = direct.topology.executions.clone();
    let burying = tokio::spawn(async move {
        publisher.bury(delivery, &exchange, "not an execution", &CancellationToken::new()).await;
    });
    // Its consumer gone, the broker would have it again if it had not been acknowledged.
    assert!(direct.letters().await.is_empty());
    assert!(!burying.is_finished());
    link.mend();
    burying.await.unwrap();
    drop(consumer);
    let letters = direct.letters().await;
    let expected = (&*letters[0].reason, &letters[0].exchange, &letters[0].routing_key, &letters[0].body[..]);
    let executions = &direct.topology.executions;
    assert_eq!(expected, ("not an execution", executions, executions, &b"not json"[..]));
    assert_eq!(direct.ready(executions).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_can_t_be_buried_in_time_goes_back() {
    let (direct, behind, link) = behind_link().await;
    direct.publish_message("not json").await;
    let mut consumer = direct.executions();
    let delivery = next(&mut consumer).await;
    link.cut();
    let giving_up = CancellationToken::new();
    giving_up.cancel();
    behind.publisher().bury(delivery, &direct.topology.executions, "not an execution", &giving_up).await;
    let again = next(&mut consumer).await;
    assert_eq!((again.body(), again.redelivered()), (&b"not json"[..], true));
    assert!(direct.letters().await.is_empty());
    link.mend();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_queue_that_was_deleted_comes_back_with_the_next_letter() {
    let queues = Queues::create();
    queues.publish_message("not json").await;
    let mut consumer = queues.executions();
    let delivery = next(&mut consumer).await;
    let publisher: Publisher = queues.publisher();
    publisher.ready().await.unwrap();
    queues.delete(&queues.topology.dead).await;
    let (exchange, never) = (queues.topology.executions.clone(), CancellationToken::new());
    publisher.bury(delivery, &exchange, "not an execution", &never).await;
    let queues = &queues;
    until("one letter", async || queues.letters().await.len() == 1).await;
}
