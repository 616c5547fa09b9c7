//! Gauges agree with the database and the broker.

use api::testing::background::metrics_sampler::sample;
use metrics_exporter_prometheus::PrometheusBuilder;
use shared::amqp::{Broker, Publication, Publisher, Topology};
use test_support::{TestDatabase, TestQueues};
use uuid::Uuid;

#[tokio::test]
async fn the_backlog_the_workers_and_the_queues_are_counted() {
    let (database, queues) = (TestDatabase::create().await, TestQueues::create());
    let pool = database.pool().await;
    let broker = Broker::connect(queues.url(), "gauges").unwrap();
    let topology = Topology::with_prefix(queues.prefix());
    let publisher = Publisher::new(broker.clone(), topology.clone());
    publisher.ready().await.unwrap();
    for (exchange, messages) in [(&topology.executions, 1), (&topology.events, 2), (&topology.dead, 3)] {
        let message = Publication {
            exchange: exchange.clone(),
            // The queue of executions is bound by this key; the other queues take any.
            routing_key: topology.executions.clone(),
            body: Vec::new(),
            headers: Vec::new(),
        };
        for answer in publisher.publish(&vec![message; messages]).await {
            answer.unwrap();
        }
    }
    for due in ["now() - interval '90 seconds'", "now() + interval '1 hour'"] {
        let row =
            format!("INSERT INTO outbox (execution_id, workspace_id, available_at) VALUES ($1, $1, {due})");
        sqlx::query(sqlx::AssertSqlSafe(row)).bind(Uuid::now_v7()).execute(&pool).await.unwrap();
    }
    sqlx::query("INSERT INTO workers (id, slots) VALUES ('here', 2)").execute(&pool).await.unwrap();

    let recorder = PrometheusBuilder::new().build_recorder();
    let guard = metrics::set_default_local_recorder(&recorder);
    sample(std::slice::from_ref(&pool), &broker, &topology).await;
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
    assert!(
        (0.0..3_600.0).contains(&value("runnerctl_maintenance_age_seconds ")),
        "as old as the template database"
    );
    assert!((21.0..36.0).contains(&(value("runnerctl_partitions_ahead_seconds ") / 86_400.0)));
    for (queue, messages) in [("executions", "1"), ("events", "2"), ("dead", "3")] {
        let depth = value(&format!(r#"runnerctl_queue_depth{{queue="{queue}"}}"#));
        assert_eq!(depth.to_string(), messages, "{queue}");
    }
    // The connection that ran the count may not be back in the pool yet.
    let connections = ["idle", "in_use"]
        .map(|state| value(&format!(r#"runnerctl_database_connections{{state="{state}"}}"#)));
    assert!(connections.iter().sum::<f64>() >= 1.0);
}

/// The chart's KEDA triggers query the database themselves.
#[tokio::test]
async fn the_autoscalers_queries_measure_what_is_due_and_unpublished() {
    const TEMPLATE: &str = include_str!("../../../helm/runnerctl/templates/autoscaling.yaml");
    let database = TestDatabase::create().await;
    let pool = database.pool().await;
    let queries: Vec<_> = TEMPLATE.lines().filter_map(|line| line.trim().strip_prefix("query: ")).collect();
    let [rows, lag] = queries[..] else { panic!("{queries:?}") };
    let rows = async || -> i64 { sqlx::query_scalar(rows).fetch_one(&pool).await.unwrap() };
    let lag = async || -> f64 { sqlx::query_scalar(lag).fetch_one(&pool).await.unwrap() };
    assert_eq!((rows().await, lag().await), (0, 0.0));
    for (due, published) in [
        ("- interval '90 seconds'", "NULL"),
        ("- interval '2 hours'", "now()"),
        ("+ interval '1 hour'", "NULL"),
    ] {
        let row = format!(
            "INSERT INTO outbox (execution_id, workspace_id, available_at, published_at)
             VALUES ($1, $1, now() {due}, {published})"
        );
        sqlx::query(sqlx::AssertSqlSafe(row)).bind(Uuid::now_v7()).execute(&pool).await.unwrap();
    }
    assert_eq!(rows().await, 1);
    assert!((90.0..120.0).contains(&lag().await), "{}", lag().await);
}
