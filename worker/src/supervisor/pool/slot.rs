//! Slot of a pool: runs one job.

use super::{EXITED_WHILE_IDLE, Pool};
use crate::supervisor::{
    run::{self, RunContext},
    sandbox_process::Sandbox,
};
use sandbox_protocol::Job;
use shared::outcome::Outcome;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Permission to run one job. Dropped unused, its process goes back to the pool. Dropped during a run, its process is
/// replaced.
pub struct Slot {
    pub(super) pool: Arc<Pool>,
    pub(super) sandbox: Option<Sandbox>,
    pub(super) used: bool,
    pub(super) _permit: OwnedSemaphorePermit,
}

impl Slot {
    /// Runs a job. The outcome contains whatever the script does. Dropping the future ends the run.
    pub async fn run(mut self, job: Job, context: RunContext) -> Outcome {
        let mut ended = self.run_once(&job, &context).await;
        if ended.safe_to_retry {
            tracing::warn!(
                execution.id = %job.execution_id,
                "a sandbox process was lost before its run did anything: another process runs the job"
            );
            self.sandbox = Some(self.pool.next_ready().await);
            ended = self.run_once(&job, &context).await;
        }
        ended.outcome
    }

    async fn run_once(&mut self, job: &Job, context: &RunContext) -> run::ConcludedRun {
        self.assign(&job.workspace_slug).await;
        self.used = true;
        let sandbox = self.sandbox.as_mut().expect("a slot has its process until its run is over");
        let ended = run::run(sandbox, job, context, &self.pool.config.fetcher).await;
        self.used = false;
        if let Some(sandbox) = self.sandbox.take() {
            match ended.replace_reason {
                None => self.pool.reuse(sandbox),
                Some(reason) => self.pool.replace(sandbox, reason),
            }
        }
        ended
    }

    /// Makes the slot's process one that has had no run of another workspace.
    async fn assign(&mut self, workspace: &str) {
        loop {
            let sandbox = self.sandbox.take().expect("a slot has its process until its run is over");
            let mut sandbox = self.pool.swap_for_affinity(sandbox, workspace);
            if !sandbox.is_alive() {
                self.pool.replace(sandbox, EXITED_WHILE_IDLE);
            } else if sandbox.is_fresh() || sandbox.belongs_to(workspace) {
                sandbox.assign(workspace);
                self.sandbox = Some(sandbox);
                return;
            } else {
                self.pool.replace(sandbox, "other_workspace");
            }
            self.sandbox = Some(self.pool.next_ready().await);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        match self.sandbox.take() {
            Some(sandbox) if self.used => self.pool.replace(sandbox, "abandoned"),
            Some(sandbox) => self.pool.put_idle(sandbox),
            None => {}
        }
    }
}
