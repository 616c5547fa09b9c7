//! Executions that their writer publishes on the fast path. No relay runs in these tests.

use super::{LIMIT, Queues, next, until};
use api::testing::{
    db::enqueue::{self, Inserted, Mode, Runnable, Submission},
    delivery::{Dispatcher, FastPath},
    model::execution::{Input, empty_object},
};
use shared::{
    amqp::Topology,
    execution::{CodeType, TriggerType},
};
use sqlx::{Connection, PgConnection, PgPool};
use std::{sync::Arc, time::Duration};
use test_support::{Link, TestDatabase, TestQueues};
use uuid::Uuid;

/// Number of messages in the broker at which executions are left to the relay.
const WINDOW: usize = 8;

async fn workspace(pool: &PgPool, max_running: Option<i32>) -> Uuid {
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

fn submission(workspace_id: Uuid) -> Submission {
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
        priority: shared::delivery::priority::BACKGROUND,
        traceparent: None,
        replay_of: None,
    }
}

/// An execution that is committed but not published yet.
struct Submitted {
    id: Uuid,
    fast_path: FastPath,
    inserted: Inserted,
}

impl Submitted {
    const fn is_marked(&self) -> bool {
        self.inserted.marked.is_some()
    }

    async fn publish(self, pool: &PgPool) {
        let connection = &mut pool.acquire().await.unwrap();
        self.fast_path.publish_and_wait_durable(self.inserted, connection).await.unwrap();
    }
}

async fn submit(pool: &PgPool, dispatcher: &Arc<Dispatcher>, workspace_id: Uuid) -> Submitted {
    let submission = submission(workspace_id);
    let fast_path = FastPath::try_enter(dispatcher);
    let connection = &mut pool.acquire().await.unwrap();
    let inserted = enqueue::insert(connection, &submission, fast_path.mode()).await.unwrap();
    Submitted { id: submission.id, fast_path, inserted }
}

async fn is_marked(pool: &PgPool, execution: Uuid) -> bool {
    sqlx::query_scalar!(
        r#"SELECT published_at IS NOT NULL AS "marked!" FROM outbox WHERE execution_id = $1"#,
        execution
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

async fn dispatcher(pool: &PgPool, queues: &Queues, workspace_limit: u32) -> Arc<Dispatcher> {
    let dispatcher = Dispatcher::new(pool, queues.broker.clone(), queues.topology.clone(), workspace_limit);
    dispatcher.ready().await.unwrap();
    dispatcher
}

fn is_open(fast_path: &FastPath) -> bool {
    fast_path.mode() == Mode::FastPath
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_backlog_the_writer_publishes_the_message() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    let dispatcher = dispatcher(&pool, &queues, 0).await;
    let submitted = submit(&pool, &dispatcher, workspace(&pool, None).await).await;
    let id = submitted.id;
    assert!(is_marked(&pool, id).await);
    submitted.publish(&pool).await;

    let message = next(&mut queues.executions()).await;
    assert!(String::from_utf8_lossy(message.body()).contains(&id.to_string()));
    message.ack().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_is_rolled_back_has_no_message() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    let dispatcher = dispatcher(&pool, &queues, 0).await;
    let submission = submission(workspace(&pool, None).await);
    let fast_path = FastPath::try_enter(&dispatcher);
    let mut connection = pool.acquire().await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    let inserted = enqueue::insert(&mut transaction, &submission, fast_path.mode()).await.unwrap();
    assert!(inserted.marked.is_some());
    transaction.rollback().await.unwrap();
    drop(fast_path);
    dispatcher.drain().await;
    // A message of the execution would arrive before this one.
    queues.publish_message("marker").await;
    let message = next(&mut queues.executions()).await;
    assert_eq!(message.body(), b"marker");
    message.ack().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_behind_a_due_row_is_left_to_the_relay() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    let dispatcher = dispatcher(&pool, &queues, 0).await;
    let waiting = Uuid::now_v7();
    sqlx::query!("INSERT INTO outbox (execution_id, workspace_id) VALUES ($1, $1)", waiting)
        .execute(&pool)
        .await
        .unwrap();
    let submitted = submit(&pool, &dispatcher, workspace(&pool, None).await).await;
    assert!(!submitted.is_marked());
    assert!(!is_marked(&pool, submitted.id).await);

    sqlx::query!(
        "UPDATE outbox SET available_at = now() + interval '1 hour' WHERE execution_id = $1",
        waiting
    )
    .execute(&pool)
    .await
    .unwrap();
    sqlx::query!("DELETE FROM outbox WHERE execution_id = $1", submitted.id).execute(&pool).await.unwrap();
    let submitted = submit(&pool, &dispatcher, workspace(&pool, None).await).await;
    assert!(submitted.is_marked(), "a row that is not due yet is no backlog");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fast_path_stops_at_its_window() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    let dispatcher = dispatcher(&pool, &queues, 0).await;
    let workspace = workspace(&pool, None).await;
    for _ in 0..WINDOW {
        assert!(submit(&pool, &dispatcher, workspace).await.is_marked());
    }
    assert!(!submit(&pool, &dispatcher, workspace).await.is_marked());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_executions_are_on_the_fast_path_at_a_time() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let dispatcher = dispatcher(&database.pool().await, &queues, 0).await;
    let held = [FastPath::try_enter(&dispatcher), FastPath::try_enter(&dispatcher)];
    assert!(held.iter().all(is_open));
    assert!(!is_open(&FastPath::try_enter(&dispatcher)));
    drop(held);
    assert!(is_open(&FastPath::try_enter(&dispatcher)));
}

#[tokio::test(flavor = "multi_thread")]
async fn detached_work_ends_though_its_caller_is_gone() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let dispatcher = dispatcher(&database.pool().await, &queues, 0).await;
    let (gate, opened) = tokio::sync::oneshot::channel();
    let (done, ended) = tokio::sync::oneshot::channel();
    let work = dispatcher.run_detached(async move {
        opened.await.unwrap();
        done.send(()).unwrap();
    });
    assert!(tokio::time::timeout(Duration::ZERO, work).await.is_err(), "the client disconnected");
    gate.send(()).unwrap();
    ended.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_that_are_limited_are_left_to_the_relay() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    let limited = dispatcher(&pool, &queues, 1).await;
    assert!(!is_open(&FastPath::try_enter(&limited)), "the installation has a limit");
    let dispatcher = dispatcher(&pool, &queues, 0).await;
    let limited = workspace(&pool, Some(5)).await;
    assert!(!submit(&pool, &dispatcher, limited).await.is_marked(), "the workspace has a limit");
}

/// Writes to the log without a wait for the disk. Returns the log's end behind it.
async fn end_of_log(connection: &mut PgConnection) -> String {
    sqlx::query("SELECT pg_logical_emit_message(true, 'test', '')").execute(&mut *connection).await.unwrap();
    sqlx::query_scalar!(r#"SELECT pg_current_wal_insert_lsn()::text AS "end!""#)
        .fetch_one(connection)
        .await
        .unwrap()
}

/// Tests that the response waits for the disk, which the publish does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_submission_is_durable_when_accepted() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    database.wait_for_disk().await;
    let pool = database.pool().await;
    let dispatcher = dispatcher(&pool, &queues, 0).await;
    let workspace = workspace(&pool, None).await;
    let mut connection = pool.acquire().await.unwrap();
    // Of this connection only: what it writes reaches the disk with the next commit that waits.
    sqlx::query("SET synchronous_commit = off").execute(&mut *connection).await.unwrap();
    // One more than the fast path accepts: the last commit waits for the disk, since the relay publishes it.
    for number in 0..=WINDOW {
        let mut written = String::new();
        if number == WINDOW {
            written = end_of_log(&mut connection).await;
        }
        let submitted = submit(&pool, &dispatcher, workspace).await;
        assert_eq!(submitted.is_marked(), number < WINDOW);
        if number < WINDOW {
            written = end_of_log(&mut connection).await;
        }
        submitted.publish(&pool).await;
        let is_flushed = sqlx::query_scalar!(
            r#"SELECT pg_current_wal_flush_lsn() >= $1::text::pg_lsn AS "is_flushed!""#,
            written
        );
        assert!(is_flushed.fetch_one(&mut *connection).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_broker_refused_is_left_to_the_relay() {
    let (database, queues) = (TestDatabase::create().await, TestQueues::create());
    let pool = database.pool().await;
    let link = Link::to(queues.url(), 5672).await;
    let queues =
        Queues { broker: super::connect(link.url()), topology: Topology::with_prefix(queues.prefix()) };
    let dispatcher = dispatcher(&pool, &queues, 0).await;
    let submitted = submit(&pool, &dispatcher, workspace(&pool, None).await).await;
    let id = submitted.id;
    link.cut();
    submitted.publish(&pool).await;

    tokio::time::timeout(LIMIT, dispatcher.wake().notified()).await.expect("the relay is notified");
    until("the row is unmarked", async || !is_marked(&pool, id).await).await;
}
