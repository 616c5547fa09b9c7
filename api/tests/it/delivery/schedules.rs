//! Firing of schedules.

use super::until;
use crate::server::Server;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

struct Row {
    missed_runs: i64,
    fired: bool,
    next_is_later: bool,
}

async fn due_schedule(server: &Server, minutes_ago: i32, catch_up: &str) -> Value {
    let client = server.client("demo").await;
    let script = client.script("n", "export default (variables) => variables.greeting").await;
    let schedule =
        json!({ "script_id": script["id"], "cron": "* * * * *", "variables": { "greeting": "hello" } });
    let schedule = client.post("/schedules/", schedule).await.json(201);
    sqlx::query!(
        "UPDATE schedules SET next_run_at = date_trunc('minute', now()) - make_interval(mins => $1::int), catch_up = $2",
        minutes_ago,
        catch_up
    )
    .execute(&server.pool)
    .await
    .unwrap();
    schedule
}

async fn state(server: &Server) -> Row {
    sqlx::query_as!(
        Row,
        r#"SELECT missed_runs, last_execution_id IS NOT NULL AS "fired!", next_run_at > now() AS "next_is_later!"
           FROM schedules"#
    )
    .fetch_one(&server.pool)
    .await
    .unwrap()
}

async fn executions(server: &Server) -> i64 {
    sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM script_executions WHERE trigger_type = 'cron'"#)
        .fetch_one(&server.pool)
        .await
        .unwrap()
}

/// Runs two schedulers on the same schedules until they have advanced.
async fn run_two_until_advanced(server: &Server) {
    let stop = CancellationToken::new();
    for _ in 0..2 {
        tokio::spawn(api::testing::background::scheduler::run(
            server.pool.clone(),
            Arc::new(Notify::new()),
            stop.clone(),
        ));
    }
    until("the schedule has advanced", async || state(server).await.next_is_later).await;
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_schedule_fires_once_whichever_process_fires_it() {
    let server = Server::start().await;
    due_schedule(&server, 0, "latest").await;
    run_two_until_advanced(&server).await;
    assert_eq!(executions(&server).await, 1);
    let variables = sqlx::query_scalar!(r#"SELECT variables::text AS "variables!" FROM script_executions"#)
        .fetch_one(&server.pool)
        .await
        .unwrap();
    let variables: Value = serde_json::from_str(&variables).unwrap();
    assert_eq!(variables, json!({ "greeting": "hello" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_policy_latest_a_missed_schedule_fires_once() {
    let server = Server::start().await;
    due_schedule(&server, 10, "latest").await;
    run_two_until_advanced(&server).await;
    let row = state(&server).await;
    assert!((9..=11).contains(&row.missed_runs), "{} missed", row.missed_runs);
    assert!(row.fired);
    assert_eq!(executions(&server).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_policy_none_missed_occurrences_are_only_counted() {
    let server = Server::start().await;
    // An occurrence of ten minutes ago counts as missed. The one of the current minute would be on time.
    due_schedule(&server, 10, "none").await;
    sqlx::query("UPDATE schedules SET cron = to_char(now() AT TIME ZONE 'UTC' - interval '10 minutes', 'MI') || ' * * * *'")
        .execute(&server.pool)
        .await
        .unwrap();
    run_two_until_advanced(&server).await;
    let row = state(&server).await;
    assert_eq!((row.missed_runs, row.fired, executions(&server).await), (1, false, 0));
}
