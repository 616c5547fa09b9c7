//! Gauges are what the database and the broker say.

use api::gauges::sample;
use metrics_exporter_prometheus::PrometheusBuilder;
use shared::queue::{Broker, Topology};
use test_support::{TestDatabase, TestQueues};
use uuid::Uuid;

#[tokio::test]
async fn the_backlog_the_workers_and_the_queues_are_counted() {
    let (database, queues) = (TestDatabase::create().await, TestQueues::create());
    let pool = database.pool().await;
    let broker = Broker::connect(queues.url(), "gauges").unwrap();
    let topology = Topology::prefixed(queues.prefix());
    let channel = broker.channel().await.unwrap();
    topology.declare(&channel).await.unwrap();
    for due in ["now() - interval '90 seconds'", "now() + interval '1 hour'"] {
        let row =
            format!("INSERT INTO outbox (execution_id, workspace_id, available_at) VALUES ($1, $1, {due})");
        sqlx::query(sqlx::AssertSqlSafe(row)).bind(Uuid::now_v7()).execute(&pool).await.unwrap();
    }
    sqlx::query("INSERT INTO workers (id, slots) VALUES ('here', 2)").execute(&pool).await.unwrap();

    let recorder = PrometheusBuilder::new().build_recorder();
    let guard = metrics::set_default_local_recorder(&recorder);
    sample(&pool, &broker, &topology).await;
    drop(guard);

    let text = recorder.handle().render();
    let value = |series: &str| -> f64 {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(series))
            .unwrap_or_else(|| panic!("{series} in {text}"));
        line.trim().parse().unwrap()
    };
    assert_eq!((value("runnerctl_outbox_rows "), value("runnerctl_workers ")), (1.0, 1.0));
    assert!((90.0..120.0).contains(&value("runnerctl_outbox_oldest_seconds ")));
    assert_eq!(value(r#"runnerctl_queue_depth{queue="executions"}"#), 0.0);
    assert!(value(r#"runnerctl_database_connections{state="idle"}"#) >= 1.0);
}
