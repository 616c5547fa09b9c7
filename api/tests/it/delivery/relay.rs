//! Publishing of outbox rows by the relay.

use super::{LIMIT, Queues, connect, next, until};
use api::testing::{
    delivery::{Dispatcher, Relay},
    live::{Live, NotificationSinks},
};
use shared::{amqp::Topology, config::Secret, message::ExecutionMessage};
use sqlx::PgPool;
use std::sync::Arc;
use test_support::{Link, TestDatabase, TestQueues};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

/// Number of messages that the relay publishes while no worker is known.
const SMALLEST_WINDOW: i64 = 8;

struct Running {
    wake: Arc<Notify>,
    _stop: DropGuard,
}

fn run(pool: &PgPool, queues: &Queues) -> Running {
    run_with_limit(pool, queues, 0)
}

fn run_with_limit(pool: &PgPool, queues: &Queues, workspace_limit: u32) -> Running {
    let stop = CancellationToken::new();
    let dispatcher = Dispatcher::new(pool, queues.broker.clone(), queues.topology.clone(), workspace_limit);
    let wake = Arc::clone(dispatcher.wake());
    tokio::spawn(Relay::new(dispatcher).run(stop.clone()));
    Running { wake, _stop: stop.drop_guard() }
}

async fn enqueue(pool: &PgPool, workspace: Uuid, priority: i16) -> Uuid {
    let execution = Uuid::now_v7();
    sqlx::query!(
        "INSERT INTO outbox (execution_id, workspace_id, priority) VALUES ($1, $2, $3)",
        execution,
        workspace,
        priority
    )
    .execute(pool)
    .await
    .unwrap();
    execution
}

async fn published(pool: &PgPool) -> i64 {
    sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM outbox WHERE published_at IS NOT NULL"#)
        .fetch_one(pool)
        .await
        .unwrap()
}

fn execution_of(body: &[u8]) -> Uuid {
    serde_json::from_slice::<ExecutionMessage>(body).unwrap().execution_id
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_row_is_published_on_wake_and_kept_until_claimed() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    let relay = run(&pool, &queues);
    let mut consumer = queues.executions();
    let execution = enqueue(&pool, Uuid::now_v7(), 0).await;
    relay.wake.notify_one();
    let delivery = next(&mut consumer).await;
    assert_eq!(execution_of(delivery.body()), execution);
    delivery.ack().await;
    assert_eq!(published(&pool).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_written_by_another_process_wakes_the_relay() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    let dispatcher = Dispatcher::new(&pool, queues.broker.clone(), queues.topology.clone(), 0);
    let (written, changed) = (Arc::clone(&dispatcher), Arc::clone(&dispatcher));
    let sinks = NotificationSinks {
        outage: Arc::default(),
        execution_changed: Box::new(move || changed.note_change()),
        outbox_written: Box::new(move || written.wake().notify_one()),
        api_key_revoked: Box::new(|| {}),
    };
    let url = Secret::from(database.url().to_owned());
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    tokio::spawn(Arc::new(Live::default()).run(pool.clone(), url, sinks, stop));
    // The relay is notified once the connection listens, since notifications may have been missed before.
    tokio::time::timeout(LIMIT, dispatcher.wake().notified()).await.expect("the connection listens");
    enqueue(&pool, Uuid::now_v7(), 0).await;
    sqlx::query!("NOTIFY outbox").execute(&pool).await.unwrap();
    tokio::time::timeout(LIMIT, dispatcher.wake().notified()).await.expect("the row is notified");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_backlog_does_not_delay_another_workspaces_only_run() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    let (busy, quiet) = (Uuid::now_v7(), Uuid::now_v7());
    for _ in 0..50 {
        enqueue(&pool, busy, 0).await;
    }
    let (only, test_run) = (enqueue(&pool, quiet, 0).await, enqueue(&pool, busy, 10).await);
    let _relay = run(&pool, &queues);
    let mut consumer = queues.executions();
    let mut first = Vec::new();
    for _ in 0..SMALLEST_WINDOW {
        first.push(execution_of(next(&mut consumer).await.body()));
    }
    assert_eq!(first[0], test_run, "a test run comes first");
    assert!(first[..3].contains(&only), "the quiet workspace's comes among the first three");
    // No execution was claimed, so no further one is published.
    assert_eq!(published(&pool).await, SMALLEST_WINDOW);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_row_is_published_when_it_is_due() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    let execution = enqueue(&pool, Uuid::now_v7(), 0).await;
    let due = sqlx::query_scalar!(
        r#"UPDATE outbox SET available_at = clock_timestamp() + interval '700 ms' RETURNING available_at"#
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    let _relay = run(&pool, &queues);
    let delivery = next(&mut queues.executions()).await;
    let came = sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(&pool).await.unwrap();
    assert_eq!(execution_of(delivery.body()), execution);
    assert!(came >= due, "{came} is before {due}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_lost_is_published_again() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    let execution = enqueue(&pool, Uuid::now_v7(), 0).await;
    // Like after the deletion of a queue: the row is marked as published, and no queue has the message.
    sqlx::query!("UPDATE outbox SET published_at = now() - interval '1 minute'")
        .execute(&pool)
        .await
        .unwrap();
    let _relay = run(&pool, &queues);
    assert_eq!(execution_of(next(&mut queues.executions()).await.body()), execution);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_wait_for_a_broker_that_is_away() {
    let (database, queues) = (TestDatabase::create().await, TestQueues::create());
    let pool = database.pool().await;
    let link = Link::to(queues.url(), 5672).await;
    link.cut();
    let queues = Queues { broker: connect(link.url()), topology: Topology::with_prefix(queues.prefix()) };
    let relay = run(&pool, &queues);
    let execution = enqueue(&pool, Uuid::now_v7(), 0).await;
    relay.wake.notify_one();
    link.mend();
    assert_eq!(execution_of(next(&mut queues.executions()).await.body()), execution);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_publish_each_row_once() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    sqlx::query!("INSERT INTO workers (id, slots) VALUES ('w', 100)").execute(&pool).await.unwrap();
    for _ in 0..100 {
        enqueue(&pool, Uuid::now_v7(), 0).await;
    }
    let _relays = (run(&pool, &queues), run(&pool, &queues));
    let (pool, queues) = (&pool, &queues);
    until("all rows are marked", async || published(pool).await == 100).await;
    until("all messages are there", async || queues.ready(&queues.topology.executions).await >= 100).await;
    assert_eq!(queues.ready(&queues.topology.executions).await, 100);
}

/// Inserts a running execution.
async fn running(pool: &PgPool, workspace: Uuid) -> Uuid {
    sqlx::query_scalar!(
        "INSERT INTO script_executions (id, workspace_id, trigger_type, status, attempt, build_hash, code_type)
         VALUES ($1, $2, 'api', 'running', 1, '', 'main_fn') RETURNING id",
        Uuid::now_v7(),
        workspace
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_runs_no_more_at_a_time_than_its_limit() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    let limited = api::testing::db::workspaces::id_of(&pool, "limited").await.unwrap();
    let usual = Uuid::now_v7();
    api::testing::db::workspaces::set_share(&pool, "limited", None, Some(2)).await.unwrap();
    let busy = running(&pool, limited).await;
    for _ in 0..5 {
        enqueue(&pool, limited, 0).await;
        enqueue(&pool, usual, 0).await;
    }
    let _relay = run_with_limit(&pool, &queues, 3);
    let mut consumer = queues.executions();
    // One besides the running execution, and three of the workspace that has the configured limit.
    let mut first = Vec::new();
    for _ in 0..4 {
        first.push(execution_of(next(&mut consumer).await.body()));
    }
    assert_eq!(published(&pool).await, 4);
    let of = async |workspace: Uuid| {
        let rows = sqlx::query_scalar!("SELECT execution_id FROM outbox WHERE workspace_id = $1", workspace);
        let rows = rows.fetch_all(&pool).await.unwrap();
        first.iter().filter(|execution| rows.contains(execution)).count()
    };
    assert_eq!((of(limited).await, of(usual).await), (1, 3));
    // The end of an execution lets the next one be published.
    sqlx::query!(
        "UPDATE script_executions SET status = 'completed', finished_at = now() WHERE id = $1",
        busy
    )
    .execute(&pool)
    .await
    .unwrap();
    next(&mut consumer).await;
    assert_eq!(published(&pool).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn outbox_rows_dated_ahead_after_a_clock_step_are_rebased() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    let (waiting, lost) = (enqueue(&pool, Uuid::now_v7(), 0).await, enqueue(&pool, Uuid::now_v7(), 0).await);
    let delayed = enqueue(&pool, Uuid::now_v7(), 0).await;
    // Like after the database's clock was set back by an hour: rows that were written just before are an hour ahead.
    sqlx::query("UPDATE outbox SET available_at = available_at + interval '1 hour', created_at = created_at + interval '1 hour'")
        .execute(&pool)
        .await
        .unwrap();
    for (change, execution) in [
        ("UPDATE outbox SET published_at = created_at WHERE execution_id = $1", lost),
        (
            "UPDATE outbox SET available_at = available_at + interval '5 minutes' WHERE execution_id = $1",
            delayed,
        ),
    ] {
        sqlx::query(change).bind(execution).execute(&pool).await.unwrap();
    }
    let _relay = run(&pool, &queues);
    let mut consumer = queues.executions();
    assert_eq!(execution_of(next(&mut consumer).await.body()), waiting);
    // Recovery detects the lost message ten seconds after its publish.
    assert_eq!(execution_of(next(&mut consumer).await.body()), lost);
    let delay: f64 = sqlx::query_scalar(
        "SELECT extract(epoch FROM available_at - now())::float8 FROM outbox WHERE execution_id = $1",
    )
    .bind(delayed)
    .fetch_one(&pool)
    .await
    .unwrap();
    assert!((200.0..=300.0).contains(&delay), "a delay of five minutes became {delay} s");
}
