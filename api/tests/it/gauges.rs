//! Gauges agree with the database and the broker.

use api::testing::background::metrics_sampler::MetricsSampler;
use metrics_exporter_prometheus::PrometheusBuilder;
use shared::amqp::{Broker, Publication, Publisher, Topology};
use sqlx::PgPool;
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
    MetricsSampler::new(vec![pool.clone()], broker, topology, 0).sample().await;
    drop(guard);

    let text = recorder.handle().render();
    let value = |series: &str| value(&text, series);
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

/// Returns the value of a series in a rendered text.
fn value(text: &str, series: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series))
        .unwrap_or_else(|| panic!("{series} in {text}"));
    line.trim().parse().unwrap()
}

/// Workspaces with executions in any state, to measure the backlog.
struct Backlog {
    pool: PgPool,
}

impl Backlog {
    /// Adds a workspace with this limit of running executions.
    async fn workspace(&self, max_running: Option<i32>) -> Uuid {
        let id = Uuid::now_v7();
        sqlx::query("INSERT INTO workspaces (id, slug, max_running) VALUES ($1, $1::text, $2)")
            .bind(id)
            .bind(max_running)
            .execute(&self.pool)
            .await
            .unwrap();
        id
    }

    /// Adds outbox rows that have been due for this time.
    async fn waiting(&self, workspace: Uuid, rows: i32, due: &str, published: bool) {
        let published_at = if published { "now()" } else { "NULL" };
        let insert = format!(
            "INSERT INTO outbox (execution_id, workspace_id, available_at, published_at)
             SELECT gen_random_uuid(), $1, now() - interval '{due}', {published_at} FROM generate_series(1, $2)"
        );
        let insert = sqlx::query(sqlx::AssertSqlSafe(insert)).bind(workspace).bind(rows);
        insert.execute(&self.pool).await.unwrap();
    }

    /// Adds running executions.
    async fn running(&self, workspace: Uuid, executions: usize) {
        for _ in 0..executions {
            sqlx::query(
                "INSERT INTO script_executions (id, workspace_id, trigger_type, status, build_hash, code_type)
                 VALUES ($1, $2, 'api', 'running', '', 'main_fn')",
            )
            .bind(Uuid::now_v7())
            .bind(workspace)
            .execute(&self.pool)
            .await
            .unwrap();
        }
    }
}

#[tokio::test]
async fn rows_that_a_workspace_limit_holds_back_are_counted_apart() {
    let (database, queues) = (TestDatabase::create().await, TestQueues::create());
    let backlog = Backlog { pool: database.pool().await };
    let free = backlog.workspace(None).await;
    backlog.waiting(free, 2, "1 second", false).await;
    let limited = backlog.workspace(Some(3)).await;
    backlog.waiting(limited, 500, "10 minutes", false).await;
    backlog.waiting(limited, 1, "10 minutes", true).await;
    backlog.running(limited, 1).await;

    let recorder = PrometheusBuilder::new().build_recorder();
    let guard = metrics::set_default_local_recorder(&recorder);
    let broker = Broker::connect(queues.url(), "gauges").unwrap();
    let topology = Topology::with_prefix(queues.prefix());
    MetricsSampler::new(vec![backlog.pool.clone()], broker, topology, 0).sample().await;
    drop(guard);
    let text = recorder.handle().render();
    // One of three may still be published: one runs, and the broker has one.
    let rows = (value(&text, "runnerctl_outbox_rows "), value(&text, "runnerctl_outbox_held_back_rows "));
    assert_eq!(rows, (3.0, 499.0));
    assert!((1.0..30.0).contains(&value(&text, "runnerctl_outbox_oldest_seconds ")), "{text}");
    assert!((600.0..630.0).contains(&value(&text, "runnerctl_outbox_held_back_oldest_seconds ")), "{text}");
}

/// The chart's KEDA trigger queries the database itself.
#[tokio::test]
async fn the_autoscalers_query_counts_the_slots_that_are_needed() {
    const QUERY: &str = include_str!("../../../helm/runnerctl/files/demand.sql");
    let database = TestDatabase::create().await;
    let backlog = Backlog { pool: database.pool().await };
    let demand = async |workspace_limit: &str| -> i64 {
        let query = QUERY.replace(":accepted_wait_seconds", "5").replace(":workspace_limit", workspace_limit);
        let query = format!("SELECT ({query})::bigint");
        sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&backlog.pool).await.unwrap()
    };
    assert_eq!(demand("0").await, 0);
    let free = backlog.workspace(None).await;
    backlog.running(free, 6).await;
    assert_eq!(demand("0").await, 6, "running work is demand");
    // A short wait, and one that is not due yet.
    backlog.waiting(free, 10, "1 second", false).await;
    backlog.waiting(free, 10, "-1 hour", false).await;
    assert_eq!(demand("0").await, 6);
    backlog.waiting(free, 20, "10 seconds", false).await;
    backlog.waiting(free, 4, "10 seconds", true).await;
    assert_eq!(demand("0").await, 30);
    // A tenant at its own limit needs no more than that.
    let limited = backlog.workspace(Some(1)).await;
    backlog.running(limited, 1).await;
    backlog.waiting(limited, 500, "10 minutes", false).await;
    assert_eq!(demand("0").await, 31);
    // The installation's limit holds for workspaces without one of their own, and stops no run.
    assert_eq!(demand("8").await, 9);
    assert_eq!(demand("2").await, 7);
}
