//! How much waits, and where: for the metrics.

use shared::{
    backoff::Backoff,
    queue::{Broker, Topology},
    telemetry::metrics::{CONNECTION_UP, OUTBOX_AGE, OUTBOX_ROWS, QUEUE_DEPTH, WORKERS},
};
use sqlx::PgPool;
use std::time::Duration;

/// As often as Prometheus usually asks.
const INTERVAL: Duration = Duration::from_secs(10);

pub(super) async fn observe(pool: &PgPool, broker: &Broker, topology: &Topology) {
    let mut interval = Backoff::new(INTERVAL, INTERVAL);
    loop {
        let database = outbox(pool).await;
        CONNECTION_UP.with(["database"]).set(if database.is_ok() { 1.0 } else { 0.0 });
        for queue in [&topology.executions, &topology.events, &topology.dead] {
            if let Some(messages) = broker.ready_messages(queue).await {
                QUEUE_DEPTH.with([queue.clone()]).set(f64::from(messages));
            }
        }
        interval.wait().await;
    }
}

async fn outbox(pool: &PgPool) -> sqlx::Result<()> {
    let row = sqlx::query!(
        r#"SELECT count(*)::float8 AS "rows!",
                  coalesce(extract(epoch FROM now() - min(available_at)), 0)::float8 AS "age!",
                  (SELECT count(*)::float8 FROM workers WHERE last_seen_at > now() - interval '30 seconds') AS "workers!"
           FROM outbox WHERE published_at IS NULL AND available_at <= now()"#
    )
    .fetch_one(pool)
    .await?;
    OUTBOX_ROWS.with::<&str>([]).set(row.rows);
    OUTBOX_AGE.with::<&str>([]).set(row.age);
    WORKERS.with::<&str>([]).set(row.workers);
    Ok(())
}
