//! Statements of a worker, on a real database.

mod batches;
mod claims;
mod reaper;

use shared::{
    config::Secret,
    execution::ErrorCode,
    outcome::{ExecutionError, Usage, Verdict},
};
use std::time::Instant;
use test_support::TestDatabase;
use uuid::Uuid;
use worker::testing::{
    db::Database,
    lease::{Attempt, AttemptEnd, ClaimResult, Claimed, Claims, FencedWrite, PREPARED, Phases},
};

/// Database of one test, and workers on it.
struct Bench {
    database: Database,
    workspace: Uuid,
    _server: TestDatabase,
}

impl Bench {
    async fn create() -> Self {
        Self::on(TestDatabase::create().await).await
    }

    /// Creates a database whose commits wait for the disk, as they do outside tests.
    async fn durable() -> Self {
        let server = TestDatabase::create().await;
        server.wait_for_disk().await;
        Self::on(server).await
    }

    async fn on(server: TestDatabase) -> Self {
        let database = Database::new(&Secret::from(server.url().to_owned()), 4, PREPARED).unwrap();
        let bench = Self { database, workspace: Uuid::now_v7(), _server: server };
        bench
            .execute(&format!("INSERT INTO workspaces (id, slug) VALUES ('{}', 'demo')", bench.workspace))
            .await;
        bench
    }

    async fn execute(&self, sql: &str) {
        self.database.connection().await.unwrap().batch_execute(sql).await.unwrap();
    }

    async fn text(&self, sql: &str) -> String {
        self.database.connection().await.unwrap().query_one(sql, &[]).await.unwrap().get(0)
    }

    fn worker(&self, name: &str) -> Claims {
        Claims::new(self.database.clone(), name)
    }

    /// A queued execution with its outbox row.
    async fn enqueue(&self) -> Uuid {
        let (id, workspace) = (Uuid::now_v7(), self.workspace);
        self.execute(&format!(
            "INSERT INTO script_executions (id, workspace_id, trigger_type, build_hash, code_type, retries_left)
             VALUES ('{id}', '{workspace}', 'api', 'hash', 'main_fn', 1);
             INSERT INTO outbox (execution_id, workspace_id, published_at) VALUES ('{id}', '{workspace}', now())"
        ))
        .await;
        id
    }

    /// Returns status and attempt, as one text.
    async fn status(&self, id: Uuid) -> String {
        self.text(&format!("SELECT status || ' ' || attempt FROM script_executions WHERE id = '{id}'")).await
    }

    async fn outbox_rows(&self) -> String {
        self.text("SELECT count(*)::text FROM outbox").await
    }
}

async fn claim(worker: &Claims, id: Uuid) -> Option<Attempt> {
    Some(claimed(worker, id).await?.attempt)
}

/// The row of a claim that is on disk.
async fn claimed(worker: &Claims, id: Uuid) -> Option<Claimed> {
    let ClaimResult::Claimed(claim) = worker.claim(id).await.unwrap() else { return None };
    Some(claim.prepare(async |row| row.unwrap()).await.unwrap())
}

fn failed(code: ErrorCode) -> Verdict {
    Verdict::Failed(ExecutionError {
        code,
        message: "it failed".into(),
        stack: None,
        line: Some(3),
        column: None,
    })
}

async fn finish(worker: &Claims, attempt: Attempt, verdict: &Verdict) -> FencedWrite {
    let phases = Phases { usage: Usage::default(), ended_at: Instant::now() };
    worker.end(attempt, &AttemptEnd::Final { verdict, phases }, &[]).await.unwrap()
}
