//! What a run comes to, once its loop is over.

use super::{
    End, RESIDENT_OVERHEAD_BYTES, Run,
    verdict::{self, Decision},
};
use shared::outcome::{Usage, Verdict};
use std::os::unix::process::ExitStatusExt as _;

impl Run<'_> {
    /// Whatever still goes on for the run ends first; its last lines are handed over after that.
    pub(super) async fn conclude(&mut self, end: End) -> (Verdict, Usage, Option<&'static str>) {
        let limits = self.limits();
        self.fetches.abort_all();
        match end {
            End::Finished(end, mut usage) => {
                // A child's word on what it used is good up to what it can have used.
                let wall = self.given_at.elapsed();
                usage.init = usage.init.min(wall);
                usage.run = usage.run.min(wall.saturating_sub(usage.init));
                usage.cpu = usage.cpu.min(wall);
                let most = limits.memory_bytes.saturating_add(RESIDENT_OVERHEAD_BYTES);
                usage.memory_peak_bytes =
                    usage.memory_peak_bytes.min(u64::try_from(most).unwrap_or(u64::MAX));
                usage.fetches = self.fetch_count;
                self.flush_lines().await;
                let (verdict, dirty) = verdict::finished(end, self.decision, limits);
                (verdict, usage, dirty)
            }
            End::Gone => {
                let usage = self.observed();
                if self.decision == Decision::None && self.resident_peak > limits.memory_bytes {
                    self.decision = Decision::Swollen;
                }
                let status = match self.decision {
                    Decision::None | Decision::Swollen => self.sandbox.end().await,
                    _ => self.sandbox.kill().await,
                };
                self.drain().await;
                // The kernel kills when the machine has no memory left, and so do we what hangs; a script can't.
                let killed = status.and_then(|status| status.signal()) == Some(libc::SIGKILL);
                self.untouched = self.decision == Decision::None
                    && self.initialized.is_none()
                    && (killed || !self.handed_over)
                    && self.fetch_count == 0
                    && !self.logs.any();
                let verdict = verdict::of_dead_child(self.decision, status, limits);
                if let Verdict::Failed(error) = &verdict {
                    tracing::warn!(
                        execution.id = %self.job.execution_id,
                        code = %error.code,
                        end = verdict::describe(status),
                        "a sandbox process ended with its run"
                    );
                }
                (verdict, usage, Some(verdict::reason(self.decision, status)))
            }
        }
    }

    /// What can be told of a run whose child did not live to tell.
    fn observed(&self) -> Usage {
        let wall = self.given_at.elapsed();
        let init = self.initialized.map_or(wall, |at| at - self.given_at);
        Usage {
            init,
            run: wall.saturating_sub(init),
            cpu: self.sandbox.cpu_time().unwrap_or_default().saturating_sub(self.sandbox.cpu_before()),
            memory_peak_bytes: u64::try_from(self.resident_peak).unwrap_or(u64::MAX),
            fetches: self.fetch_count,
        }
    }
}
