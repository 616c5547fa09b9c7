//! Concludes a run once its loop is over: verdict, usage, and what happens to its sandbox process.

use super::{
    LoopEnd, RESIDENT_OVERHEAD_BYTES, Run,
    verdict::{self, KillReason},
};
use sandbox_protocol::RunEnd;
use shared::{
    limits::Limits,
    outcome::{Usage, Verdict},
};
use std::{os::unix::process::ExitStatusExt as _, process::ExitStatus, time::Duration};

/// Verdict and usage of a run, and why its process did not end in order, if it did not.
type Conclusion = (Verdict, Usage, Option<&'static str>);

impl Run<'_> {
    /// Ends the run's fetches, then sends its last lines to the reader, then concludes.
    pub(super) async fn conclude(&mut self, end: LoopEnd) -> Conclusion {
        self.fetches.abort_all();
        match end {
            LoopEnd::Reported(end, reported) => {
                let usage = Usage {
                    fetches: self.fetch_count,
                    ..plausible(reported, self.given_at.elapsed(), self.limits())
                };
                self.flush_lines().await;
                self.conclude_reported(end, usage)
            }
            LoopEnd::Lost => {
                let usage = self.observed_usage();
                let status = self.exit_status().await;
                self.drain_lines().await;
                self.conclude_lost(status, usage)
            }
        }
    }

    /// Concludes a run whose end the process reported.
    fn conclude_reported(&self, end: RunEnd, usage: Usage) -> Conclusion {
        let (verdict, replace_reason) = verdict::of_report(end, self.kill_reason, self.limits());
        (verdict, usage, replace_reason)
    }

    /// Concludes a run whose process died, or had to be killed.
    fn conclude_lost(&mut self, status: Option<ExitStatus>, usage: Usage) -> Conclusion {
        self.safe_to_retry = self.is_safe_to_retry(status);
        let verdict = verdict::of_dead_process(self.kill_reason, status, self.limits());
        if let Verdict::Failed(error) = &verdict {
            tracing::warn!(
                execution.id = %self.job.execution_id,
                code = %error.code,
                end = verdict::describe(status),
                "a sandbox process died with its run"
            );
        }
        (verdict, usage, Some(verdict::replace_reason(self.kill_reason, status)))
    }

    /// Waits for the end of the process, or kills it if there is a reason to. Returns its status.
    async fn exit_status(&mut self) -> Option<ExitStatus> {
        if self.kill_reason.is_none() && self.resident_peak > self.limits().memory_bytes {
            self.kill_reason = Some(KillReason::OverMemoryWhenLost);
        }
        match self.kill_reason {
            None | Some(KillReason::OverMemoryWhenLost) => self.sandbox.exit().await,
            _ => self.sandbox.kill().await,
        }
    }

    /// Returns true if another process may run the job: this one was lost for no reason of the script's, before anything of
    /// the run was seen.
    fn is_safe_to_retry(&self, status: Option<ExitStatus>) -> bool {
        // The kernel kills when the machine has no memory left, and the supervisor kills a process that hangs. A script can't.
        let killed = status.and_then(|status| status.signal()) == Some(libc::SIGKILL);
        self.kill_reason.is_none()
            && self.initialized.is_none()
            && (killed || !self.has_sent_job)
            && self.fetch_count == 0
            && !self.logs.received_any()
    }

    /// Returns the usage of a run whose process died before it reported any, as far as the supervisor has observed it.
    fn observed_usage(&self) -> Usage {
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

/// Limits the usage that a process reports, which is untrusted, to what its run can have used in this time.
fn plausible(reported: Usage, wall: Duration, limits: &Limits) -> Usage {
    let max_memory = limits.memory_bytes.saturating_add(RESIDENT_OVERHEAD_BYTES);
    let init = reported.init.min(wall);
    Usage {
        init,
        run: reported.run.min(wall.saturating_sub(init)),
        cpu: reported.cpu.min(wall),
        memory_peak_bytes: reported.memory_peak_bytes.min(u64::try_from(max_memory).unwrap_or(u64::MAX)),
        ..reported
    }
}
