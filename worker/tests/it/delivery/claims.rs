//! Claim, heartbeat, finish, retry, release.

use super::{Bench, claim, claimed, failed, finish};
use chrono::Utc;
use serde_json::value::RawValue;
use shared::{
    execution::{ErrorCode, LogLevel},
    outcome::{LogLine, Verdict},
};
use std::time::Duration;
use uuid::Uuid;
use worker::testing::lease::{AttemptEnd, ClaimResult, FencedWrite, HeartbeatReply, PREPARED, WorkerRow};

fn completed() -> Verdict {
    Verdict::Completed(RawValue::from_string(r#"{"text":"\u0000"}"#.to_owned()).unwrap())
}

fn line(seq: i32) -> LogLine {
    LogLine { seq, ts: Utc::now(), level: LogLevel::Info, message: format!("line {seq}") }
}

fn row() -> WorkerRow {
    WorkerRow { slots: 2, busy: 1, layers: vec!["seccomp".into()], draining: false }
}

#[tokio::test]
async fn a_redelivered_message_is_claimed_once() {
    let bench = Bench::create().await;
    let id = bench.enqueue().await;
    let (one, other) = (bench.worker("one"), bench.worker("other"));
    let (first, second) = tokio::join!(claim(&one, id), claim(&other, id));
    assert_eq!(first.is_some(), second.is_none());
    assert_eq!(bench.outbox_rows().await, "0");
    assert_eq!(bench.status(id).await, "running 1");
}

#[tokio::test]
async fn the_last_lines_and_the_end_are_stored_together() {
    let bench = Bench::create().await;
    let id = bench.enqueue().await;
    let worker = bench.worker("one");
    let attempt = claim(&worker, id).await.unwrap();
    assert_eq!(worker.append_logs(attempt, &[line(1)]).await.unwrap(), FencedWrite::Applied);
    // A line whose first write was not confirmed comes again.
    let verdict = completed();
    let phases = worker::testing::lease::Phases {
        usage: shared::outcome::Usage::default(),
        ended_at: std::time::Instant::now(),
    };
    let end = AttemptEnd::Final { verdict: &verdict, phases };
    assert_eq!(worker.end(attempt, &end, &[line(1), line(2)]).await.unwrap(), FencedWrite::Applied);
    assert_eq!(bench.status(id).await, "completed 1");
    assert_eq!(
        bench.text("SELECT string_agg(message, ',' ORDER BY seq) FROM execution_logs").await,
        "line 1,line 2"
    );
    assert_eq!(bench.text("SELECT result::text FROM script_executions").await, r#"{"text":"\u0000"}"#);
}

/// A run must not begin before its claim is on disk, or a crash of the server would have it run twice.
#[tokio::test]
async fn a_claim_is_flushed_to_disk_before_the_run() {
    let bench = Bench::durable().await;
    let connection = bench.database.connection().await.unwrap();
    let [claim_sql, flush_sql, ..] = PREPARED else { panic!("what a claim sends") };
    for _ in 0..8 {
        let id = bench.enqueue().await;
        connection.query_one(*claim_sql, &[&id, &"one", &10.0]).await.unwrap();
        let end = bench.text("SELECT pg_current_wal_insert_lsn()::text").await;
        connection.execute(*flush_sql, &[]).await.unwrap();
        let flushed = bench.text(&format!("SELECT (pg_current_wal_flush_lsn() >= '{end}')::text")).await;
        assert_eq!(flushed, "true");
        assert_eq!(claim(&bench.worker("other"), id).await, None);
    }
    let id = bench.enqueue().await;
    assert!(claim(&bench.worker("one"), id).await.is_some());
}

#[tokio::test]
async fn a_claim_tells_why_it_has_nothing_to_run() {
    let bench = Bench::create().await;
    let worker = bench.worker("one");
    let status = async |id| match worker.claim(id).await.unwrap() {
        ClaimResult::Claimed(_) => "claimed".to_owned(),
        ClaimResult::Unavailable(status) => status,
        ClaimResult::NotFound => "not found".to_owned(),
    };
    assert_eq!(status(Uuid::now_v7()).await, "not found");
    let id = bench.enqueue().await;
    bench.execute("UPDATE outbox SET available_at = now() + interval '1 hour'").await;
    assert_eq!(status(id).await, "queued");
    bench.execute("UPDATE outbox SET available_at = now()").await;
    assert_eq!(status(id).await, "claimed");
    assert_eq!(status(id).await, "running");
}

/// The plan of a claim is cached, so it must be good for many scripts, too.
#[tokio::test]
async fn the_plan_of_a_claim_scans_no_other_scripts() {
    let bench = Bench::create().await;
    let connection = bench.database.connection().await.unwrap();
    let prepare = format!("PREPARE claim (uuid, text, double precision) AS {}", PREPARED[0]);
    connection.batch_execute(&prepare).await.unwrap();
    let explain = format!("EXPLAIN EXECUTE claim ('{}', 'one', 10)", Uuid::nil());
    let plan: Vec<String> =
        connection.query(&explain, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    let scan = plan.iter().position(|line| line.contains("scripts_pkey")).expect("by its id");
    assert!(plan[scan + 1].contains("Index Cond: (id = "), "{plan:#?}");
}

#[tokio::test]
async fn a_repeated_end_changes_nothing() {
    let bench = Bench::create().await;
    let id = bench.enqueue().await;
    let worker = bench.worker("one");
    let attempt = claim(&worker, id).await.unwrap();
    assert_eq!(finish(&worker, attempt, &completed()).await, FencedWrite::Applied);
    assert_eq!(finish(&worker, attempt, &failed(ErrorCode::Timeout)).await, FencedWrite::LeaseLost);
    assert_eq!(worker.append_logs(attempt, &[line(9)]).await.unwrap(), FencedWrite::LeaseLost);
    assert_eq!(bench.status(id).await, "completed 1");
}

#[tokio::test]
async fn a_released_attempt_is_not_counted_and_no_longer_held() {
    let bench = Bench::create().await;
    let id = bench.enqueue().await;
    let (draining, heir) = (bench.worker("draining"), bench.worker("heir"));
    let attempt = claim(&draining, id).await.unwrap();
    assert_eq!(draining.end(attempt, &AttemptEnd::Release, &[line(1)]).await.unwrap(), FencedWrite::Applied);
    assert_eq!(bench.status(id).await, "queued 0");
    assert_eq!(bench.outbox_rows().await, "1");
    let claimed = claimed(&heir, id).await.unwrap();
    assert_eq!((claimed.attempt.number, claimed.last_log_seq), (1, 1));
    // The same number, but another worker's.
    assert_eq!(finish(&draining, attempt, &completed()).await, FencedWrite::LeaseLost);
    assert_eq!(bench.status(id).await, "running 1");
}

#[tokio::test]
async fn a_run_that_is_handed_back_after_its_cancel_is_cancelled() {
    let bench = Bench::create().await;
    let id = bench.enqueue().await;
    let worker = bench.worker("one");
    let attempt = claim(&worker, id).await.unwrap();
    bench.execute("UPDATE script_executions SET cancel_requested_at = now()").await;
    assert_eq!(worker.end(attempt, &AttemptEnd::Release, &[]).await.unwrap(), FencedWrite::Applied);
    assert_eq!(bench.status(id).await, "cancelled 1");
    assert_eq!(bench.outbox_rows().await, "0");
}

#[tokio::test]
async fn a_retry_waits_for_its_delay_and_uses_no_platform_attempt() {
    let bench = Bench::create().await;
    let id = bench.enqueue().await;
    let worker = bench.worker("one");
    let attempt = claim(&worker, id).await.unwrap();
    let retry = AttemptEnd::Retry { after: Duration::from_mins(1) };
    assert_eq!(worker.end(attempt, &retry, &[]).await.unwrap(), FencedWrite::Applied);
    assert_eq!(bench.status(id).await, "queued 1");
    // A duplicate message does not start the retry early.
    assert_eq!(claim(&worker, id).await, None);
    assert_eq!(bench.outbox_rows().await, "1");
    bench.execute("UPDATE outbox SET available_at = now()").await;
    let claimed = claimed(&worker, id).await.unwrap();
    assert_eq!((claimed.attempt.number, claimed.max_attempts, claimed.retries_left), (2, 4, 0));
}

#[tokio::test]
async fn a_retry_is_not_written_once_a_cancel_was_requested() {
    let bench = Bench::create().await;
    let id = bench.enqueue().await;
    let worker = bench.worker("one");
    let attempt = claim(&worker, id).await.unwrap();
    bench.execute("UPDATE script_executions SET cancel_requested_at = now()").await;
    let retry = AttemptEnd::Retry { after: Duration::from_mins(1) };
    assert_eq!(worker.end(attempt, &retry, &[line(1)]).await.unwrap(), FencedWrite::LeaseLost);
    assert_eq!(bench.status(id).await, "running 1");
    assert_eq!(finish(&worker, attempt, &failed(ErrorCode::Cancelled)).await, FencedWrite::Applied);
    assert_eq!((bench.status(id).await.as_str(), bench.outbox_rows().await.as_str()), ("cancelled 1", "0"));
}

#[tokio::test]
async fn a_heartbeat_renews_leases_and_reports_cancelled_or_lost_runs() {
    let bench = Bench::create().await;
    let worker = bench.worker("one");
    let (kept, cancelled, taken) = (bench.enqueue().await, bench.enqueue().await, bench.enqueue().await);
    let kept = claim(&worker, kept).await.unwrap();
    let cancelled = claim(&worker, cancelled).await.unwrap();
    let taken = claim(&worker, taken).await.unwrap();
    bench.execute("UPDATE script_executions SET lease_expires_at = now() + interval '1 second'").await;
    bench
        .execute(&format!(
            "UPDATE script_executions SET cancel_requested_at = now() WHERE id = '{}';
             UPDATE script_executions SET attempt = 2, worker_id = 'other' WHERE id = '{}'",
            cancelled.execution_id, taken.execution_id
        ))
        .await;
    let mut replies = worker.heartbeat(&row(), &[kept, cancelled, taken]).await.unwrap();
    replies.sort_by_key(|reply| reply.cancel_requested);
    let expected = [
        HeartbeatReply { attempt: kept, cancel_requested: false },
        HeartbeatReply { attempt: cancelled, cancel_requested: true },
    ];
    assert_eq!(replies, expected);
    let extended =
        "SELECT count(*)::text FROM script_executions WHERE lease_expires_at > now() + interval '5 seconds'";
    assert_eq!(bench.text(extended).await, "2");
    assert_eq!(bench.text("SELECT id || ' ' || slots FROM workers").await, "one 2");
    worker.deregister().await.unwrap();
    assert_eq!(bench.text("SELECT count(*)::text FROM workers").await, "0");
}

#[tokio::test]
async fn the_database_itself_keeps_a_terminal_row_as_it_is() {
    let bench = Bench::create().await;
    let id = bench.enqueue().await;
    let worker = bench.worker("one");
    let attempt = claim(&worker, id).await.unwrap();
    finish(&worker, attempt, &completed()).await;
    for change in [
        "status = 'queued', finished_at = NULL",
        "status = 'errored', error_code = 'timeout'",
        "result = '1'",
    ] {
        let connection = bench.database.connection().await.unwrap();
        let refused = connection.batch_execute(&format!("UPDATE script_executions SET {change}")).await;
        let error = refused.expect_err(change);
        assert_eq!(error.code(), Some(&tokio_postgres::error::SqlState::INTEGRITY_CONSTRAINT_VIOLATION));
    }
    assert_eq!(bench.status(id).await, "completed 1");
}

#[tokio::test]
async fn a_result_nested_too_deep_for_the_database_is_not_retried() {
    let bench = Bench::create().await;
    let id = bench.enqueue().await;
    let worker = bench.worker("one");
    let attempt = claim(&worker, id).await.unwrap();
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let verdict = Verdict::Completed(RawValue::from_string(deep).unwrap());
    let phases = worker::testing::lease::Phases {
        usage: shared::outcome::Usage::default(),
        ended_at: std::time::Instant::now(),
    };
    let refused =
        worker.end(attempt, &AttemptEnd::Final { verdict: &verdict, phases }, &[]).await.unwrap_err();
    assert!(!refused.is_temporary(), "tried again for ever: {refused}");
}
