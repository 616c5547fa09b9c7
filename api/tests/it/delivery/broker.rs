//! Faults of the broker: returned messages, cancelled consumers and lost connections.

use super::{Queues, connect, next, until};
use futures_util::{StreamExt as _, stream};
use metrics_exporter_prometheus::PrometheusBuilder;
use shared::amqp::{Consumer, Publication, PublishError, Publisher, Topology};
use std::time::{Duration, Instant};
use test_support::{Direction, Link, TestQueues};

const AMQP_PORT: u16 = 5672;

/// Returns the same queues twice, directly and behind a link that the test can cut.
pub(super) async fn behind_link() -> (Queues, Queues, Link) {
    let queues = TestQueues::create();
    let link = Link::to(queues.url(), AMQP_PORT).await;
    let topology = Topology::with_prefix(queues.prefix());
    let direct = Queues { broker: connect(queues.url()), topology: topology.clone() };
    (direct, Queues { broker: connect(link.url()), topology }, link)
}

async fn publish(publisher: &Publisher, message: Publication) -> Result<(), PublishError> {
    publisher.ready().await.unwrap();
    publisher.publish(&[message]).await.pop().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unroutable_message_does_not_fail_the_rest_of_its_batch() {
    let queues = Queues::create();
    let publisher = queues.publisher();
    publisher.ready().await.unwrap();
    let stray = Publication { routing_key: "nowhere".to_owned(), ..queues.message("stray") };
    let results = publisher.publish(&[queues.message("one"), stray, queues.message("two")]).await;
    assert!(matches!(results[..], [Ok(()), Err(PublishError::Unroutable), Ok(())]), "{results:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_queue_is_declared_again_with_the_next_batch() {
    let queues = Queues::create();
    let publisher = queues.publisher();
    publish(&publisher, queues.message("one")).await.unwrap();
    queues.delete(&queues.topology.executions).await;
    let returned = publish(&publisher, queues.message("two")).await;
    assert!(matches!(returned, Err(PublishError::Unroutable)), "{returned:?}");
    publish(&publisher, queues.message("two")).await.unwrap();
    assert_eq!(next(&mut queues.executions()).await.body(), b"two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_survives_deletion_of_its_queue() {
    let queues = Queues::create();
    let (publisher, mut consumer) = (queues.publisher(), queues.executions());
    publish(&publisher, queues.message("one")).await.unwrap();
    next(&mut consumer).await.ack().await;
    // The deletion cancels the consumers. If the queue is declared again too soon, RabbitMQ 3.10 moves them without
    // notice.
    queues.delete(&queues.topology.executions).await;
    let consumed = tokio::spawn(async move { next(&mut consumer).await.body().to_vec() });
    let (queues, publisher) = (&queues, &publisher);
    until("a queue takes it", async || publish(publisher, queues.message("two")).await.is_ok()).await;
    assert_eq!(consumed.await.unwrap(), b"two");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unacknowledged_message_prevents_an_idle_resubscription() {
    let queues = Queues::create();
    let mut consumer = queues.executions();
    publish(&queues.publisher(), queues.message("one")).await.unwrap();
    let unacknowledged = next(&mut consumer).await;
    // A new subscription after 10 s would close the channel, and the broker would redeliver the message.
    let again = tokio::time::timeout(Duration::from_secs(12), consumer.next()).await;
    assert!(again.is_err(), "the message came twice");
    unacknowledged.ack().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_without_its_confirm_is_reported_as_unknown() {
    let (direct, queues, link) = behind_link().await;
    let publisher = queues.publisher();
    publish(&publisher, queues.message("one")).await.unwrap();
    publisher.ready().await.unwrap();
    link.lose(Direction::ToProgram);
    let message = [queues.message("two")];
    let cut = async {
        // The broker has the message, and its confirm is lost.
        until("both messages", async || direct.ready(&direct.topology.executions).await == 2).await;
        link.cut();
    };
    let (results, ()) = tokio::join!(publisher.publish(&message), cut);
    assert!(matches!(results[..], [Err(PublishError::Connection(_))]), "{results:?}");
    link.mend();
    publish(&publisher, queues.message("three")).await.unwrap();
    assert_eq!(direct.ready(&direct.topology.executions).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_with_a_lost_acknowledgement_is_redelivered() {
    let (direct, queues, link) = behind_link().await;
    publish(&direct.publisher(), direct.message("one")).await.unwrap();
    let mut consumer: Consumer = queues.executions();
    let first = next(&mut consumer).await;
    assert!(!first.redelivered());
    link.lose(Direction::ToServer);
    first.ack().await;
    link.cut();
    link.mend();
    let second = next(&mut consumer).await;
    assert_eq!((second.body(), second.redelivered()), (&b"one"[..], true));
    second.ack().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_does_not_wait_for_an_unresponsive_broker() {
    let (_direct, queues, link) = behind_link().await;
    queues.broker.channel().await.unwrap();
    link.lose(Direction::ToProgram);
    // Shorter than the time after which heartbeats detect the loss.
    tokio::time::timeout(Duration::from_secs(8), queues.broker.close()).await.expect("an end");
    link.cut();
}

#[tokio::test]
async fn metrics_show_the_state_of_each_connection() {
    let recorder = PrometheusBuilder::new().build_recorder();
    // Records on this thread, which runs all tasks of the test.
    let _recording = metrics::set_default_local_recorder(&recorder);
    let (_direct, queues, link) = behind_link().await;
    let shows = async |series: &str, value: &str| {
        let line = format!(r#"{series}{{dependency="broker",connection="test"}} {value}"#);
        until(&line, async || recorder.handle().render().lines().any(|shown| shown == line)).await;
    };
    queues.broker.channel().await.unwrap();
    link.cut();
    shows("runnerctl_connection_up", "0").await;
    link.mend();
    queues.broker.channel().await.unwrap();
    shows("runnerctl_reconnects_total", "1").await;
}

/// Measures the figures of docs/adr/0008. It tests no behaviour.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: `scripts/with-services cargo test --workspace --release --test it -- --ignored --nocapture publishes_per`"]
#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
async fn publishes_per_second_by_size_of_batch() {
    const MESSAGES: usize = 4096;
    let queues = Queues::create();
    let publisher = queues.publisher();
    for in_flight in [1, 4] {
        for size in [1, 4, 16, 64, 256] {
            publisher.ready().await.unwrap();
            let batch = vec![
                queues
                    .message(r#"{"v":1,"execution_id":"01900000-0000-7000-8000-000000000000"}"#);
                size
            ];
            let began = Instant::now();
            let mut times = stream::iter(0..MESSAGES / size)
                .map(async |_| {
                    let began = Instant::now();
                    let results = publisher.publish(&batch).await;
                    assert!(results.iter().all(Result::is_ok));
                    began.elapsed()
                })
                .buffer_unordered(in_flight)
                .collect::<Vec<_>>()
                .await;
            let per_second = MESSAGES as f64 / began.elapsed().as_secs_f64();
            times.sort_unstable();
            println!(
                "{in_flight} in flight of {size:3}: {per_second:6.0} per second, confirmed after {:.1} ms (p50), {:.1} ms (p99)",
                times[times.len() / 2].as_secs_f64() * 1e3,
                times[times.len() * 99 / 100].as_secs_f64() * 1e3,
            );
        }
    }
}
