//! Runs whose worker no longer sends heartbeats.

use super::{Bench, claim, failed, finish};
use metrics_exporter_prometheus::PrometheusBuilder;
use shared::execution::ErrorCode;
use std::time::Duration;
use uuid::Uuid;
use worker::testing::lease::{
    FencedWrite, HeartbeatReply, WorkerRow,
    reaper::{Reaped, Reaper},
};

async fn lose_the_lease(bench: &Bench) {
    bench.execute("UPDATE script_executions SET lease_expires_at = now() - interval '1 second'").await;
}

/// Returns the runs that a new reaper takes over, after live workers have had the time to renew their leases.
async fn reaped(bench: &Bench) -> Vec<Reaped> {
    reaped_by(&mut reaper(bench)).await
}

async fn reaped_by(reaper: &mut Reaper) -> Vec<Reaped> {
    let reaping = async {
        loop {
            let reaped = reaper.scan().await.unwrap();
            if !reaped.is_empty() {
                return reaped;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reaping).await.unwrap()
}

fn reaper(bench: &Bench) -> Reaper {
    Reaper::new(bench.database.clone())
}

fn one(execution_id: Uuid, status: &str, attempt: i32) -> [Reaped; 1] {
    [Reaped { execution_id, status: status.to_owned(), attempt }]
}

#[tokio::test]
async fn a_lost_run_is_queued_again_and_its_worker_comes_too_late() {
    let bench = Bench::create().await;
    let id = bench.enqueue().await;
    let (lost, heir) = (bench.worker("lost"), bench.worker("heir"));
    let attempt = claim(&lost, id).await.unwrap();
    lose_the_lease(&bench).await;
    let (reaped, metrics) = counted(reaped(&bench)).await;
    assert_eq!(reaped, one(id, "queued", 1));
    assert!(metrics.contains(r#"runnerctl_reclaimed_total{outcome="requeued"} 1"#), "{metrics}");
    assert!(!metrics.contains("runnerctl_executions_total"), "it is not over: {metrics}");
    assert_eq!(bench.status(id).await, "queued 1");
    let delayed = "SELECT (available_at BETWEEN now() AND now() + interval '1.1 seconds')::text FROM outbox";
    assert_eq!(bench.text(delayed).await, "true");
    assert_eq!(
        bench.text("SELECT priority::text FROM outbox").await,
        "5",
        "before the backlog, after the editor"
    );
    bench.execute("UPDATE outbox SET available_at = now()").await;
    assert_eq!(claim(&heir, id).await.unwrap().number, 2);
    assert_eq!(finish(&lost, attempt, &failed(ErrorCode::Timeout)).await, FencedWrite::LeaseLost);
    assert_eq!(bench.status(id).await, "running 2");
}

/// Returns the metrics that this thread counts while `reaping` goes on.
async fn counted<T>(reaping: impl Future<Output = T>) -> (T, String) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let reaped = reaping.await;
    (reaped, recorder.handle().render())
}

#[tokio::test]
async fn the_loss_of_the_last_attempt_ends_the_execution() {
    let bench = Bench::create().await;
    let id = bench.enqueue().await;
    bench.execute("UPDATE script_executions SET attempt = 2").await;
    claim(&bench.worker("lost"), id).await.unwrap();
    lose_the_lease(&bench).await;
    let (reaped, metrics) = counted(reaped(&bench)).await;
    assert_eq!(reaped, one(id, "errored", 3));
    assert!(
        metrics.contains(r#"runnerctl_executions_total{status="errored",code="worker_lost"} 1"#),
        "{metrics}"
    );
    assert!(metrics.contains(r#"runnerctl_reclaimed_total{outcome="worker_lost"} 1"#), "{metrics}");
    assert_eq!(bench.text("SELECT error_code FROM script_executions").await, "worker_lost");
    assert_eq!(bench.outbox_rows().await, "0");
}

#[tokio::test]
async fn a_lost_run_with_a_cancel_request_is_cancelled() {
    let bench = Bench::create().await;
    let id = bench.enqueue().await;
    claim(&bench.worker("lost"), id).await.unwrap();
    bench.execute("UPDATE script_executions SET cancel_requested_at = now()").await;
    lose_the_lease(&bench).await;
    let (reaped, metrics) = counted(reaped(&bench)).await;
    assert_eq!(reaped, one(id, "cancelled", 1));
    assert!(
        metrics.contains(r#"runnerctl_executions_total{status="cancelled",code="cancelled"} 1"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_lease_dated_ahead_after_a_clock_step_is_shortened() {
    let bench = Bench::create().await;
    let id = bench.enqueue().await;
    claim(&bench.worker("lost"), id).await.unwrap();
    bench
        .execute("UPDATE script_executions SET lease_expires_at = lease_expires_at + interval '1 hour'")
        .await;
    let mut reaper = reaper(&bench);
    assert!(reaper.scan().await.unwrap().is_empty(), "a worker that lives has time to renew it");
    let ends_soon = "SELECT (lease_expires_at <= now() + interval '10 seconds')::text FROM script_executions";
    assert_eq!(bench.text(ends_soon).await, "true");
    lose_the_lease(&bench).await;
    assert_eq!(reaped_by(&mut reaper).await, one(id, "queued", 1));
}

#[tokio::test]
async fn a_worker_that_renews_its_lease_late_keeps_its_run() {
    let bench = Bench::create().await;
    let (kept, lost) = (bench.enqueue().await, bench.enqueue().await);
    let (alive, dead) = (bench.worker("alive"), bench.worker("dead"));
    let attempt = claim(&alive, kept).await.unwrap();
    claim(&dead, lost).await.unwrap();
    // This is the state after an outage of the database that was longer than a lease.
    lose_the_lease(&bench).await;
    let mut reaper = reaper(&bench);
    assert!(reaper.scan().await.unwrap().is_empty(), "whoever is alive has time to renew");
    let row = WorkerRow { slots: 1, busy: 1, layers: Vec::new(), draining: false };
    let renewed = alive.heartbeat(&row, &[attempt]).await.unwrap();
    assert_eq!(renewed, [HeartbeatReply { attempt, cancel_requested: false }]);
    assert_eq!(reaped_by(&mut reaper).await, one(lost, "queued", 1));
    assert_eq!(bench.status(kept).await, "running 1");
}

#[tokio::test]
async fn a_run_unknown_to_its_live_worker_is_requeued() {
    let bench = Bench::create().await;
    let id = bench.enqueue().await;
    let worker = bench.worker("alive");
    // The response to the claim was lost.
    claim(&worker, id).await.unwrap();
    let row = WorkerRow { slots: 1, busy: 0, layers: Vec::new(), draining: false };
    worker.heartbeat(&row, &[]).await.unwrap();
    lose_the_lease(&bench).await;
    assert_eq!(reaped(&bench).await, one(id, "queued", 1));
}

#[tokio::test]
async fn a_lease_that_holds_is_left_alone() {
    let bench = Bench::create().await;
    let (held, lost) = (bench.enqueue().await, bench.enqueue().await);
    let worker = bench.worker("alive");
    claim(&worker, held).await.unwrap();
    claim(&worker, lost).await.unwrap();
    let lose = format!(
        "UPDATE script_executions SET lease_expires_at = now() - interval '1 second' WHERE id = '{lost}'"
    );
    bench.execute(&lose).await;
    assert_eq!(reaped(&bench).await, one(lost, "queued", 1));
    assert_eq!(bench.status(held).await, "running 1");
}
