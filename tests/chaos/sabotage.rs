//! Sabotage of each promise that the checker verifies, to prove that the checker can fail.

use super::cluster::Cluster;
use anyhow::Context as _;
use lapin::options::QueuePurgeOptions;
use shared::amqp::Publication;
use sqlx::Executor as _;

/// Promise that is broken deliberately.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sabotage {
    /// Terminal rows can change, and a completed one ends again.
    EndTwice,
    Forget,
    Invent,
    /// Another attempt than the one that called the service is recorded as completed.
    SwapAttempt,
    SwapResult,
    /// A cancelled execution ends as if its cancel had been ignored.
    IgnoreCancel,
    LeaveInOutbox,
    LeaveInQueue,
    LosePoison,
    /// The recovery is recorded a minute later than it was.
    RecoverLate,
}

/// Kinds of sabotage, each with the message that the checker must report.
pub(crate) const ALL: [(Sabotage, &str); 10] = [
    (Sabotage::EndTwice, "1 ended more than once"),
    (Sabotage::Forget, "lost: [\"key-"),
    (Sabotage::Invent, "1 executions nobody asked for"),
    (Sabotage::SwapAttempt, "1 completed without their effect"),
    (Sabotage::SwapResult, "1 completed with a wrong result"),
    (Sabotage::IgnoreCancel, "ended otherwise: [\""),
    (Sabotage::LeaveInOutbox, "1 rows left in the outbox"),
    (Sabotage::LeaveInQueue, "1 messages left in the queues"),
    (Sabotage::LosePoison, "dead letters"),
    (Sabotage::RecoverLate, "a killed run began again only after"),
];

const ONE_COMPLETED: &str =
    "WHERE id = (SELECT min(id::text)::uuid FROM script_executions WHERE status = 'completed')";

pub(crate) async fn apply(cluster: &Cluster, sabotage: Sabotage) -> anyhow::Result<()> {
    let statement = match sabotage {
        Sabotage::EndTwice => format!(
            "DROP TRIGGER terminal_status_is_final ON script_executions;
             UPDATE script_executions SET status = 'errored', error_code = 'worker_lost' {ONE_COMPLETED}"
        ),
        Sabotage::Forget => format!("DELETE FROM script_executions {ONE_COMPLETED}"),
        Sabotage::Invent => format!(
            "INSERT INTO script_executions (id, workspace_id, trigger_type, build_hash, code_type)
             SELECT uuid_v7_floor(now()), workspace_id, trigger_type, build_hash, code_type
             FROM script_executions {ONE_COMPLETED}"
        ),
        Sabotage::SwapAttempt => {
            format!("UPDATE script_executions SET attempt = attempt + 9 {ONE_COMPLETED}")
        }
        Sabotage::SwapResult => format!("UPDATE script_executions SET result = '-1' {ONE_COMPLETED}"),
        Sabotage::IgnoreCancel => {
            "UPDATE script_executions SET status = 'errored', error_code = 'script_error'
             WHERE id = (SELECT min(id::text)::uuid FROM script_executions WHERE status = 'cancelled')"
                .to_owned()
        }
        Sabotage::LeaveInOutbox => {
            "INSERT INTO outbox (execution_id, workspace_id) VALUES (gen_random_uuid(), gen_random_uuid())"
                .to_owned()
        }
        Sabotage::RecoverLate => {
            "UPDATE status_audit SET at = at + interval '1 minute' WHERE attempt > 1 OR new = 'completed'"
                .to_owned()
        }
        Sabotage::LeaveInQueue => return leave_in_queue(cluster).await,
        Sabotage::LosePoison => return drop_letters(cluster).await,
    };
    cluster.pool.execute(sqlx::AssertSqlSafe(statement)).await?;
    Ok(())
}

async fn leave_in_queue(cluster: &Cluster) -> anyhow::Result<()> {
    let publication = Publication {
        exchange: cluster.topology.executions.clone(),
        routing_key: cluster.topology.executions.clone(),
        body: Vec::new(),
        headers: Vec::new(),
    };
    cluster.publisher.ready().await;
    cluster.publisher.publish(&[publication]).await.into_iter().collect::<Result<(), _>>()?;
    Ok(())
}

/// Deletes all dead letters. Some may be duplicates.
async fn drop_letters(cluster: &Cluster) -> anyhow::Result<()> {
    cluster.pool.execute("DELETE FROM dead_letters").await?;
    let channel = cluster.broker.channel().await.context("the broker")?;
    channel.queue_purge(cluster.topology.dead.as_str().into(), QueuePurgeOptions::default()).await?;
    Ok(())
}
