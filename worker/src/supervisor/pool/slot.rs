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
    /// Returns the id of the process that the job will have.
    pub fn process_id(&self) -> Option<u32> {
        self.sandbox.as_ref().and_then(Sandbox::process_id)
    }

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
        self.ensure_alive().await;
        self.used = true;
        let sandbox = self.sandbox.as_mut().expect("a slot has its process until its run is over");
        let ended = run::run(sandbox, job, context, &self.pool.config.fetcher).await;
        self.used = false;
        if let Some(sandbox) = self.sandbox.take() {
            if ended.suspicious {
                self.pool.launcher.distrust(&sandbox);
            }
            match ended.irregular {
                None => self.pool.retire(sandbox),
                Some(reason) => self.pool.replace_lost(sandbox, reason),
            }
        }
        ended
    }

    /// Replaces a process that exited since it was ready.
    async fn ensure_alive(&mut self) {
        while let Some(mut sandbox) = self.sandbox.take() {
            if sandbox.is_alive() {
                self.sandbox = Some(sandbox);
                return;
            }
            self.pool.replace_lost(sandbox, EXITED_WHILE_IDLE);
            self.sandbox = Some(self.pool.next_ready().await);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        match self.sandbox.take() {
            Some(sandbox) if self.used => self.pool.replace_lost(sandbox, "abandoned"),
            Some(sandbox) => self.pool.put_idle(sandbox),
            None => {}
        }
    }
}
