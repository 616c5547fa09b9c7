//! Executions that leave at once, without the relay: none runs here.

use super::{LIMIT, Queues, next, until};
use api::{
    db::enqueue::{self, BACKGROUND, Runnable, Submission, Submitted},
    delivery::Outgoing,
    model::execution::{Input, empty_object},
};
use shared::{
    amqp::Topology,
    execution::{CodeType, TriggerType},
};
use sqlx::PgPool;
use std::{sync::Arc, time::Duration};
use test_support::{Link, TestDatabase, TestQueues};
use uuid::Uuid;

/// How many messages the broker may hold before even the only row takes its turn.
const WINDOW: usize = 8;

pub(super) async fn workspace(pool: &PgPool, max_running: Option<i32>) -> Uuid {
    let id = Uuid::now_v7();
    sqlx::query!(
        "INSERT INTO workspaces (id, slug, max_running) VALUES ($1, $2, $3)",
        id,
        id.simple().to_string(),
        max_running
    )
    .execute(pool)
    .await
    .unwrap();
    id
}

pub(super) fn submission(workspace_id: Uuid) -> Submission {
    Submission {
        id: Uuid::now_v7(),
        workspace_id,
        trigger_type: TriggerType::Api,
        runnable: Runnable {
            script: None,
            build_hash: "none".to_owned(),
            code_type: CodeType::Raw.as_str().to_owned(),
            functions: Vec::new(),
            allowed_domains: Vec::new(),
            max_retries: 0,
        },
        input: Input { event: empty_object(), context: empty_object() },
        variables: empty_object(),
        env_sealed: None,
        priority: BACKGROUND,
        traceparent: None,
        replay_of: None,
    }
}

async fn submit(pool: &PgPool, outgoing: &Arc<Outgoing>, workspace_id: Uuid) -> (Uuid, Submitted) {
    let submission = submission(workspace_id);
    let mut connection = pool.acquire().await.unwrap();
    let submitted = enqueue::submit(&mut connection, &submission, outgoing.ticket()).await.unwrap();
    (submission.id, submitted)
}

async fn depart(pool: &PgPool, outgoing: &Arc<Outgoing>, submitted: Submitted) {
    submitted.depart(outgoing, &mut pool.acquire().await.unwrap()).await.unwrap();
}

pub(super) async fn is_marked(pool: &PgPool, execution: Uuid) -> bool {
    sqlx::query_scalar!(
        r#"SELECT published_at IS NOT NULL AS "marked!" FROM outbox WHERE execution_id = $1"#,
        execution
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

pub(super) async fn outgoing(pool: &PgPool, queues: &Queues, workspace_limit: u32) -> Arc<Outgoing> {
    let outgoing = Outgoing::new(pool, queues.broker.clone(), queues.topology.clone(), workspace_limit);
    outgoing.ready().await.unwrap();
    outgoing
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_execution_is_published_by_its_writer() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    let outgoing = outgoing(&pool, &queues, 0).await;
    let (id, submitted) = submit(&pool, &outgoing, workspace(&pool, None).await).await;
    assert!(is_marked(&pool, id).await);
    depart(&pool, &outgoing, submitted).await;

    let message = next(&mut queues.executions()).await;
    assert!(String::from_utf8_lossy(message.body()).contains(&id.to_string()));
    message.ack().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_after_one_that_waits_takes_its_turn() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    let outgoing = outgoing(&pool, &queues, 0).await;
    let waiting = Uuid::now_v7();
    sqlx::query!("INSERT INTO outbox (execution_id, workspace_id) VALUES ($1, $1)", waiting)
        .execute(&pool)
        .await
        .unwrap();
    let (id, submitted) = submit(&pool, &outgoing, workspace(&pool, None).await).await;
    assert!(submitted.departure.is_none());
    assert!(!is_marked(&pool, id).await);

    sqlx::query!(
        "UPDATE outbox SET available_at = now() + interval '1 hour' WHERE execution_id = $1",
        waiting
    )
    .execute(&pool)
    .await
    .unwrap();
    sqlx::query!("DELETE FROM outbox WHERE execution_id = $1", id).execute(&pool).await.unwrap();
    let (_, submitted) = submit(&pool, &outgoing, workspace(&pool, None).await).await;
    assert!(submitted.departure.is_some(), "one whose time has not come is no reason to wait");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_is_given_a_shallow_window_only() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    let outgoing = outgoing(&pool, &queues, 0).await;
    let workspace = workspace(&pool, None).await;
    for _ in 0..WINDOW {
        assert!(submit(&pool, &outgoing, workspace).await.1.departure.is_some());
    }
    assert!(submit(&pool, &outgoing, workspace).await.1.departure.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_same_moment_only_a_few_may_leave() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let outgoing = outgoing(&database.pool().await, &queues, 0).await;
    let held = [outgoing.ticket(), outgoing.ticket()];
    assert!(held.iter().all(Option::is_some));
    assert!(outgoing.ticket().is_none());
    drop(held);
    assert!(outgoing.ticket().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_seen_through_ends_though_nobody_waits() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let outgoing = outgoing(&database.pool().await, &queues, 0).await;
    let (gate, opened) = tokio::sync::oneshot::channel();
    let (done, ended) = tokio::sync::oneshot::channel();
    let work = outgoing.see_through(async move {
        opened.await.unwrap();
        done.send(()).unwrap();
    });
    assert!(tokio::time::timeout(Duration::ZERO, work).await.is_err(), "the client hung up");
    gate.send(()).unwrap();
    ended.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_runs_are_counted_the_relay_decides() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    assert!(outgoing(&pool, &queues, 1).await.ticket().is_none(), "the installation has a limit");
    let outgoing = outgoing(&pool, &queues, 0).await;
    let limited = workspace(&pool, Some(5)).await;
    assert!(submit(&pool, &outgoing, limited).await.1.departure.is_none(), "the workspace has a limit");
}

/// It leaves while the commit is not on disk: the answer must wait for that.
#[tokio::test(flavor = "multi_thread")]
async fn what_departed_is_on_disk() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    database.wait_for_disk().await;
    let pool = database.pool().await;
    let outgoing = outgoing(&pool, &queues, 0).await;
    let workspace = workspace(&pool, None).await;
    let mut connection = pool.acquire().await.unwrap();
    for _ in 0..WINDOW {
        let (_, submitted) = submit(&pool, &outgoing, workspace).await;
        assert!(submitted.departure.is_some());
        let written = sqlx::query_scalar!(r#"SELECT pg_current_wal_insert_lsn()::text AS "end!""#)
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        depart(&pool, &outgoing, submitted).await;
        let is_flushed = sqlx::query_scalar!(
            r#"SELECT pg_current_wal_flush_lsn() >= $1::text::pg_lsn AS "is_flushed!""#,
            written
        );
        assert!(is_flushed.fetch_one(&mut *connection).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_did_not_take_is_the_relays() {
    let (database, queues) = (TestDatabase::create().await, TestQueues::create());
    let pool = database.pool().await;
    let link = Link::to(queues.url(), 5672).await;
    let queues = Queues { broker: super::connect(link.url()), topology: Topology::prefixed(queues.prefix()) };
    let outgoing = outgoing(&pool, &queues, 0).await;
    let (id, submitted) = submit(&pool, &outgoing, workspace(&pool, None).await).await;
    link.cut();
    depart(&pool, &outgoing, submitted).await;

    tokio::time::timeout(LIMIT, outgoing.wake().notified()).await.expect("the relay is woken");
    until("the mark is taken back", async || !is_marked(&pool, id).await).await;
}
