//! Claims and ends of executions that arrive together.

use super::{Bench, claim, finish};
use futures_util::future::{join, join_all};
use serde_json::value::RawValue;
use shared::outcome::Verdict;
use uuid::Uuid;
use worker::testing::lease::{Attempt, Claims, FencedWrite};

fn completed(result: &str) -> Verdict {
    Verdict::Completed(RawValue::from_string(result.to_owned()).unwrap())
}

async fn claim_all(worker: &Claims, ids: &[Uuid]) -> Vec<Attempt> {
    join_all(ids.iter().map(|id| claim(worker, *id))).await.into_iter().map(Option::unwrap).collect()
}

async fn enqueue(bench: &Bench, count: usize) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(bench.enqueue().await);
    }
    ids
}

#[tokio::test]
async fn claims_and_ends_that_arrive_together_share_a_commit() {
    let bench = Bench::create().await;
    let worker = bench.worker("one");
    let ids = enqueue(&bench, 8).await;
    let running = claim_all(&worker, &ids[..4]).await;
    let transactions = "SELECT count(DISTINCT xmin::text)::text FROM script_executions WHERE attempt = 1";
    assert_eq!(bench.text(transactions).await, "1");
    let verdict = completed("1");
    let ends = join_all(running.iter().map(|attempt| finish(&worker, *attempt, &verdict)));
    let (ends, claims) = join(ends, claim_all(&worker, &ids[4..])).await;
    assert_eq!(ends, [FencedWrite::Applied; 4]);
    assert_eq!(claims.len(), 4);
    assert_eq!(bench.text(transactions).await, "1");
}

/// Runs begin once their claims are on disk, and messages are acknowledged once the ends are.
#[tokio::test]
async fn a_shared_commit_is_on_disk_when_its_operations_end() {
    let bench = Bench::durable().await;
    let worker = bench.worker("one");
    bench
        .execute(
            "CREATE TABLE written (lsn pg_lsn);
             CREATE FUNCTION record_lsn() RETURNS trigger LANGUAGE plpgsql AS
                 $$BEGIN INSERT INTO written VALUES (pg_current_wal_insert_lsn()); RETURN NULL; END$$;
             CREATE TRIGGER record_lsn AFTER UPDATE ON script_executions FOR EACH ROW EXECUTE FUNCTION record_lsn()",
        )
        .await;
    let on_disk = "SELECT (pg_current_wal_flush_lsn() > max(lsn))::text FROM written";
    // One batch, and more than one.
    for count in [2, 2, 2, 2, 40, 40] {
        let running = claim_all(&worker, &enqueue(&bench, count).await).await;
        assert_eq!(bench.text(on_disk).await, "true");
        let verdict = completed("1");
        join_all(running.iter().map(|attempt| finish(&worker, *attempt, &verdict))).await;
        assert_eq!(bench.text(on_disk).await, "true");
    }
}

#[tokio::test]
async fn operations_sent_with_a_rejected_one_have_their_effects() {
    let bench = Bench::create().await;
    let worker = bench.worker("one");
    let ids = enqueue(&bench, 4).await;
    let running = claim_all(&worker, &ids[..3]).await;
    let deep = completed(&format!("{}{}", "[".repeat(50_000), "]".repeat(50_000)));
    let (good, lost) = (completed("1"), Attempt { number: 2, ..running[2] });
    let phases = || worker::testing::lease::Phases {
        usage: shared::outcome::Usage::default(),
        ended_at: std::time::Instant::now(),
    };
    let rejected = worker::testing::lease::AttemptEnd::Final { verdict: &deep, phases: phases() };
    let ends = join(
        join(worker.end(running[0], &rejected, &[]), finish(&worker, running[1], &good)),
        join(finish(&worker, lost, &good), claim(&worker, ids[3])),
    );
    let ((rejected, applied), (lost, claimed)) = ends.await;
    assert!(!rejected.unwrap_err().is_temporary());
    assert_eq!((applied, lost), (FencedWrite::Applied, FencedWrite::LeaseLost));
    assert!(claimed.is_some());
    let mut status = Vec::new();
    for id in ids {
        status.push(bench.status(id).await);
    }
    assert_eq!(status, ["running 1", "completed 1", "running 1", "running 1"]);
}

#[tokio::test]
async fn one_execution_claimed_twice_at_once_is_claimed_once() {
    let bench = Bench::create().await;
    let worker = bench.worker("one");
    let id = bench.enqueue().await;
    let (first, second) = join(claim(&worker, id), claim(&worker, id)).await;
    assert!(first.is_some() != second.is_some());
    assert_eq!(bench.status(id).await, "running 1");
}
