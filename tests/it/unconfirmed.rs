//! Claims that are not on disk yet: their runs have not started.

use anyhow::ensure;
use axum::{Router, routing::post};
use e2e::stack::Stack;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// SQL that makes commits wait while the test holds an advisory lock: the programs call a function of the test, which
/// shadows PostgreSQL's, to flush.
const SLOW_DISK: &str = "
    CREATE FUNCTION public.pg_logical_emit_message(transactional boolean, prefix text, content text) RETURNS pg_lsn
    LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_advisory_xact_lock_shared(1);
        RETURN pg_catalog.pg_logical_emit_message(transactional, prefix, content);
    END $$;
    DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database());
        PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    END $$";

/// A stack whose disk is waited for, a server that scripts may reach, and a script that calls it at once.
struct Site {
    stack: Stack,
    pool: PgPool,
    requests: Arc<AtomicUsize>,
    script: String,
    server: JoinHandle<()>,
}

impl Site {
    async fn start() -> anyhow::Result<Self> {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let hook = async move || (counted.fetch_add(1, Ordering::SeqCst) + 1).to_string();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let host = listener.local_addr()?.to_string();
        let server = tokio::spawn(async {
            axum::serve(listener, Router::new().route("/", post(hook))).await.expect("the listener lives");
        });
        let stack = Stack::start(&[("SANDBOX_ALLOW_PRIVATE_NETWORK", &host)]).await?;
        let code = format!(
            "export async function main({{ context }}) {{
                const answer = await fetch('http://{host}/', {{ method: 'POST' }});
                return [context.attempt, await answer.text()];
            }}"
        );
        let script = json!({
            "name": "calls", "code": code, "code_type": "main_fn", "trigger_type": "automation", "allowed_domains": [host],
        });
        let (status, answer) = stack.client.post("/scripts/", &script).await?;
        ensure!(status == 201, "{answer}");
        let script = answer["id"].as_str().expect("scripts have ids").to_owned();
        // Runs once before, so that the worker has the build and only the flush delays the run.
        let execution = stack.client.execute(&script, json!({})).await?;
        stack.client.terminal(&execution, Duration::from_mins(1)).await?;
        let pool = stack.database.pool().await;
        sqlx::raw_sql(SLOW_DISK).execute(&pool).await?;
        Ok(Self { stack, pool, requests, script, server })
    }

    /// Requests an execution, whose response waits for the disk, and waits until it is claimed. Returns the holder of
    /// the lock.
    async fn claimed(&self) -> anyhow::Result<(sqlx::Transaction<'static, sqlx::Postgres>, JoinHandle<()>)> {
        let mut disk = self.pool.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock(1)").execute(&mut *disk).await?;
        let (client, script) = (self.stack.client.clone(), self.script.clone());
        let asking = tokio::spawn(async move {
            // The api's connections were closed, too, and the first request may use one.
            while client.execute(&script, json!({})).await.is_err() {}
        });
        let running = "SELECT count(*) FROM script_executions WHERE status = 'running'";
        self.until("the execution is claimed", async || {
            Ok(sqlx::query_scalar::<_, i64>(running).fetch_one(&self.pool).await? == 1)
        })
        .await?;
        // Long enough for a request on loopback to arrive, if it were sent.
        tokio::time::sleep(Duration::from_millis(500)).await;
        ensure!(self.requests.load(Ordering::SeqCst) == 1, "a run started before its claim was on disk");
        Ok((disk, asking))
    }

    async fn until(&self, what: &str, ask: impl AsyncFn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_mins(1);
        while !ask().await? {
            ensure!(Instant::now() < deadline, "not in time: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits until all executions have ended and returns their results.
    async fn results(&self) -> anyhow::Result<Vec<Value>> {
        let open = "SELECT count(*) FROM script_executions WHERE status NOT IN ('completed', 'errored')";
        self.until("all executions have ended", async || {
            Ok(sqlx::query_scalar::<_, i64>(open).fetch_one(&self.pool).await? == 0)
        })
        .await?;
        let results = "SELECT coalesce(result, to_json(error_code)) FROM script_executions ORDER BY id";
        Ok(sqlx::query_scalar(results).fetch_all(&self.pool).await?)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[tokio::test]
async fn a_run_starts_when_its_claim_is_on_disk() -> anyhow::Result<()> {
    let site = Site::start().await?;
    let (disk, asking) = site.claimed().await?;
    disk.rollback().await?;
    asking.await?;
    assert_eq!(site.results().await?, [json!([1, "1"]), json!([1, "2"])]);
    Ok(())
}

/// Tests a lost connection. The database did not crash, so the claim is valid and its lease must expire, but the worker
/// cannot know.
#[tokio::test]
async fn a_run_whose_claim_is_uncertain_is_not_started() -> anyhow::Result<()> {
    let site = Site::start().await?;
    let (disk, asking) = site.claimed().await?;
    let flushing = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'runnerctl-worker' AND query LIKE '%emit_message%'
            AND wait_event_type = 'Lock'";
    sqlx::query(flushing).execute(&site.pool).await?;
    disk.rollback().await?;
    asking.await?;
    // The first attempt of the second execution was not started.
    assert_eq!(site.results().await?, [json!([1, "1"]), json!([2, "2"])]);
    Ok(())
}
