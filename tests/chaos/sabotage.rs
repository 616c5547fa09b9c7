//! Breaks, one by one, what the checker vouches for.

use super::site::Site;
use shared::amqp::Publication;
use sqlx::Executor as _;

/// One promise that is broken by hand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sabotage {
    /// Rows stop being final, and a completed one ends again.
    EndTwice,
    Forget,
    Invent,
    /// Another attempt than the one that called the service is said to have completed.
    SwapAttempt,
    SwapResult,
    LeaveInOutbox,
    LeaveInQueue,
    LosePoison,
    /// Later by a minute than it was.
    RecoverLate,
}

/// Each with what the checker must say.
pub(crate) const ALL: [(Sabotage, &str); 9] = [
    (Sabotage::EndTwice, "1 ended more than once"),
    (Sabotage::Forget, "lost: [\"key-"),
    (Sabotage::Invent, "1 executions nobody asked for"),
    (Sabotage::SwapAttempt, "1 completed without their effect"),
    (Sabotage::SwapResult, "1 completed with a wrong result"),
    (Sabotage::LeaveInOutbox, "1 rows left in the outbox"),
    (Sabotage::LeaveInQueue, "1 messages left in the queues"),
    (Sabotage::LosePoison, "dead letters"),
    (Sabotage::RecoverLate, "a killed run began again only after"),
];

const ONE_COMPLETED: &str =
    "WHERE id = (SELECT min(id::text)::uuid FROM script_executions WHERE status = 'completed')";

pub(crate) async fn commit(site: &Site, sabotage: Sabotage) -> anyhow::Result<()> {
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
        Sabotage::LeaveInOutbox => {
            "INSERT INTO outbox (execution_id, workspace_id) VALUES (gen_random_uuid(), gen_random_uuid())"
                .to_owned()
        }
        Sabotage::RecoverLate => {
            "UPDATE status_audit SET at = at + interval '1 minute' WHERE attempt > 1 OR new = 'completed'"
                .to_owned()
        }
        Sabotage::LeaveInQueue => return leave_in_queue(site).await,
        Sabotage::LosePoison => return drop_letters(site).await,
    };
    site.pool.execute(sqlx::AssertSqlSafe(statement)).await?;
    Ok(())
}

async fn leave_in_queue(site: &Site) -> anyhow::Result<()> {
    let publication = Publication {
        exchange: site.topology.executions.clone(),
        routing_key: site.topology.executions.clone(),
        body: Vec::new(),
        headers: Vec::new(),
    };
    site.publisher.ready().await;
    site.publisher.publish(&[publication]).await.into_iter().collect::<Result<(), _>>()?;
    Ok(())
}

/// All of them: some may be there twice.
async fn drop_letters(site: &Site) -> anyhow::Result<()> {
    let letters = shared::amqp::DeadLetters::new(site.broker.clone(), site.topology.clone());
    let all = letters.list(shared::amqp::SCAN_LIMIT).await?;
    letters.drop(&all.into_iter().map(|letter| letter.id).collect()).await?;
    Ok(())
}
