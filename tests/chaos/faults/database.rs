//! Faults of the database: slow, full or temporarily unreachable.

use crate::cluster::Cluster;
use sqlx::Executor as _;
use std::time::Duration;
use tokio::time::sleep;

/// Tables that grow with every execution.
const GROWING: [&str; 4] = ["script_executions", "execution_logs", "outbox", "idempotency_keys"];

/// SQL of a function that raises PostgreSQL's error of a full disk at every write.
pub(crate) const FULL: &str = "CREATE FUNCTION disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
    END $$";

pub(super) async fn end_connections(cluster: &Cluster) -> anyhow::Result<()> {
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                  WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'runnerctl%'";
    cluster.pool.execute(others).await?;
    Ok(())
}

pub(super) async fn lock_outbox(cluster: &Cluster, outage: Duration) -> anyhow::Result<()> {
    let mut transaction = cluster.pool.begin().await?;
    transaction.execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE").await?;
    sleep(outage).await;
    transaction.commit().await?;
    Ok(())
}

pub(super) async fn fill(cluster: &Cluster, outage: Duration) -> anyhow::Result<()> {
    for table in GROWING {
        let trigger = format!(
            "CREATE TRIGGER disk_is_full BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION disk_is_full()"
        );
        cluster.pool.execute(sqlx::AssertSqlSafe(trigger)).await?;
    }
    sleep(outage).await;
    for table in GROWING {
        cluster.pool.execute(sqlx::AssertSqlSafe(format!("DROP TRIGGER disk_is_full ON {table}"))).await?;
    }
    Ok(())
}
