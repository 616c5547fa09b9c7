//! Messages that are sent before their rows are written: none runs here.

use super::{
    Queues,
    express::{is_marked, outgoing, submission, workspace},
    next, until,
};
use api::{
    db::enqueue::{Submitted, submit},
    delivery::Outgoing,
};
use shared::{amqp::Topology, message::ROW_PATIENCE};
use sqlx::{Connection, PgConnection, PgPool};
use std::sync::Arc;
use test_support::{Link, TestDatabase, TestQueues};
use uuid::Uuid;

/// A workspace whose last execution found an idle system, and a process that knows.
async fn unhindered(pool: &PgPool, queues: &Queues) -> (Arc<Outgoing>, Uuid) {
    let (outgoing, workspace) = (outgoing(pool, queues, 0).await, workspace(pool, None).await);
    let mut connection = pool.acquire().await.unwrap();
    let (first, submitted) = write(&mut connection, &outgoing, workspace).await;
    submitted.depart(&outgoing, &mut connection).await.unwrap();
    let message = next(&mut queues.executions()).await;
    assert!(asks_for(message.body(), first));
    message.ack().await;
    (outgoing, workspace)
}

async fn write(
    connection: &mut PgConnection,
    outgoing: &Arc<Outgoing>,
    workspace: Uuid,
) -> (Uuid, Submitted) {
    let submission = submission(workspace);
    let submitted = submit(connection, &submission, outgoing.ticket()).await.unwrap();
    (submission.id, submitted)
}

async fn count_runs(pool: &PgPool, workspace: Uuid) {
    sqlx::query!("UPDATE workspaces SET max_running = 1 WHERE id = $1", workspace)
        .execute(pool)
        .await
        .unwrap();
}

fn asks_for(body: &[u8], execution: Uuid) -> bool {
    String::from_utf8_lossy(body).contains(&execution.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_message_of_an_unhindered_workspace_is_sent_once_and_before_the_commit() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    let (outgoing, workspace) = unhindered(&pool, &queues).await;
    let mut executions = queues.executions();
    let mut connection = pool.acquire().await.unwrap();
    for _ in 0..2 {
        let mut transaction = connection.begin().await.unwrap();
        let (id, submitted) = write(&mut transaction, &outgoing, workspace).await;
        // Were one of them sent twice, the next would not be the other.
        let message = next(&mut executions).await;
        assert!(asks_for(message.body(), id));
        message.ack().await;
        transaction.commit().await.unwrap();
        submitted.depart(&outgoing, &mut connection).await.unwrap();
        assert!(is_marked(&pool, id).await);
    }
}

/// The worker has given up on its row by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_comes_late_is_published_again() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    let (outgoing, workspace) = unhindered(&pool, &queues).await;
    let mut executions = queues.executions();
    let mut connection = pool.acquire().await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    let (id, submitted) = write(&mut transaction, &outgoing, workspace).await;
    next(&mut executions).await.ack().await;
    tokio::time::sleep(ROW_PATIENCE).await;
    transaction.commit().await.unwrap();
    submitted.depart(&outgoing, &mut connection).await.unwrap();
    let again = next(&mut executions).await;
    assert!(asks_for(again.body(), id));
    again.ack().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_ahead_in_vain_is_the_relays() {
    let (database, queues) = (TestDatabase::create().await, TestQueues::create());
    let pool = database.pool().await;
    let link = Link::to(queues.url(), 5672).await;
    let queues = Queues { broker: super::connect(link.url()), topology: Topology::prefixed(queues.prefix()) };
    let (outgoing, workspace) = unhindered(&pool, &queues).await;
    let (submission, ticket) = (submission(workspace), outgoing.ticket());
    assert!(ticket.is_some());
    // Where runs are counted, only what went ahead is marked.
    count_runs(&pool, workspace).await;
    link.cut();
    let mut connection = pool.acquire().await.unwrap();
    let submitted = submit(&mut connection, &submission, ticket).await.unwrap();
    assert!(is_marked(&pool, submission.id).await);
    submitted.depart(&outgoing, &mut connection).await.unwrap();
    until("the mark is taken back", async || !is_marked(&pool, submission.id).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_ahead_of_the_row_while_runs_are_counted() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    let (outgoing, workspace) = unhindered(&pool, &queues).await;
    count_runs(&pool, workspace).await;
    let mut connection = pool.acquire().await.unwrap();
    // Nobody has told the process yet; this statement does.
    let (_, ahead) = write(&mut connection, &outgoing, workspace).await;
    assert!(ahead.departure.is_some());
    let (_, counted) = write(&mut connection, &outgoing, workspace).await;
    assert!(counted.departure.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sent_a_message_of_nothing_sends_none_ahead_next_time() {
    let (database, queues) = (TestDatabase::create().await, Queues::create());
    let pool = database.pool().await;
    let (outgoing, workspace) = unhindered(&pool, &queues).await;
    let mut executions = queues.executions();
    let mut connection = pool.acquire().await.unwrap();
    let twice = submission(workspace);
    for _ in 0..2 {
        let written = submit(&mut connection, &twice, outgoing.ticket()).await;
        let message = next(&mut executions).await;
        assert!(asks_for(message.body(), twice.id));
        message.ack().await;
        if let Ok(submitted) = written {
            submitted.depart(&outgoing, &mut connection).await.unwrap();
        }
    }

    let mut transaction = connection.begin().await.unwrap();
    let (_, submitted) = write(&mut transaction, &outgoing, workspace).await;
    // Were one on its way, it would have come before this.
    queues.publish_message("marker").await;
    let message = next(&mut executions).await;
    assert_eq!(message.body(), b"marker");
    message.ack().await;
    transaction.rollback().await.unwrap();
    drop(submitted);
}
