//! Decides how an attempt ends and how its message is settled. Pure.

use shared::{
    backoff::Backoff,
    execution::ErrorCode,
    outcome::{ExecutionError, Verdict},
};
use std::time::Duration;

/// Settlement of a message with the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// The database has everything that matters: the outcome, or the status that leaves nothing to do.
    Ack,
    /// The message was not processed. Another worker may take it.
    Requeue,
    /// No worker can read the message. It becomes a dead letter with this reason.
    Reject(String),
}

impl Settlement {
    /// Returns the label of the metric.
    #[must_use]
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Requeue => "requeue",
            Self::Reject(_) => "reject",
        }
    }
}

/// Reason why the worker ended a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// A client asked to cancel the execution.
    Cancelled,
    /// This worker stops, and its drain timeout is over.
    Drained,
    /// The attempt no longer belongs to this worker.
    Fenced,
}

/// Decision about an attempt whose run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Record the verdict.
    Finish,
    /// Run the execution again after this time.
    Retry { after: Duration },
    /// Record that the execution was cancelled, in place of its retry.
    Cancel,
    /// Release the attempt without counting it.
    Release,
    /// Write nothing.
    Discard,
}

/// Inputs of the decision besides the verdict.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub interruption: Option<Interruption>,
    /// Number of retries left for the script's own faults.
    pub retries_left: i32,
    /// Number of retries so far.
    pub retries_spent: u32,
    /// Delay before the first retry. It doubles with every further one.
    pub retry_backoff: Duration,
}

/// Limits the delay between a fault and its retry, in hours.
const MAX_RETRY_DELAY: Duration = Duration::from_hours(24);

/// Decides about an attempt. A verdict that was reached in time is recorded, even if the worker drains meanwhile: only
/// a run that the drain ended is released.
#[must_use]
pub(crate) fn decide(verdict: &Verdict, facts: Facts) -> Decision {
    let Verdict::Failed(error) = verdict else {
        return if facts.interruption == Some(Interruption::Fenced) {
            Decision::Discard
        } else {
            Decision::Finish
        };
    };
    match facts.interruption {
        Some(Interruption::Fenced) => Decision::Discard,
        Some(Interruption::Drained) if error.code == ErrorCode::Cancelled => Decision::Release,
        Some(Interruption::Cancelled) if facts.retries_left > 0 && is_own_fault(error) => Decision::Cancel,
        Some(Interruption::Cancelled) => Decision::Finish,
        _ if facts.retries_left > 0 && is_own_fault(error) => {
            let after = Backoff::after(facts.retry_backoff, MAX_RETRY_DELAY, facts.retries_spent);
            Decision::Retry { after }
        }
        _ => Decision::Finish,
    }
}

/// Returns true for faults that another run of the same script may not have.
const fn is_own_fault(error: &ExecutionError) -> bool {
    matches!(error.code, ErrorCode::ScriptError | ErrorCode::Timeout | ErrorCode::InitTimeout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    const FACTS: Facts = Facts {
        interruption: None,
        retries_left: 0,
        retries_spent: 0,
        retry_backoff: Duration::from_secs(10),
    };

    fn completed() -> Verdict {
        Verdict::Completed(RawValue::NULL.to_owned())
    }

    fn failed(code: ErrorCode) -> Verdict {
        Verdict::Failed(ExecutionError {
            code,
            message: String::new(),
            stack: None,
            line: None,
            column: None,
        })
    }

    #[test]
    fn every_verdict_of_a_run_finishes_it() {
        assert_eq!(decide(&completed(), FACTS), Decision::Finish);
        for &code in ErrorCode::ALL {
            assert_eq!(decide(&failed(code), FACTS), Decision::Finish, "{code}");
        }
    }

    #[test]
    fn a_run_that_ended_in_time_counts_even_while_draining() {
        let draining = Facts { interruption: Some(Interruption::Drained), ..FACTS };
        assert_eq!(decide(&completed(), draining), Decision::Finish);
        assert_eq!(decide(&failed(ErrorCode::ScriptError), draining), Decision::Finish);
    }

    #[test]
    fn a_run_interrupted_by_the_drain_is_released() {
        let draining = Facts { interruption: Some(Interruption::Drained), retries_left: 3, ..FACTS };
        assert_eq!(decide(&failed(ErrorCode::Cancelled), draining), Decision::Release);
    }

    #[test]
    fn an_attempt_with_a_lost_lease_is_discarded() {
        let fenced = Facts { interruption: Some(Interruption::Fenced), retries_left: 3, ..FACTS };
        assert_eq!(decide(&completed(), fenced), Decision::Discard);
        assert_eq!(decide(&failed(ErrorCode::Timeout), fenced), Decision::Discard);
    }

    #[test]
    fn a_cancelled_run_is_never_retried() {
        let cancelled = Facts { interruption: Some(Interruption::Cancelled), retries_left: 3, ..FACTS };
        assert_eq!(decide(&failed(ErrorCode::Cancelled), cancelled), Decision::Finish);
        assert_eq!(decide(&failed(ErrorCode::ScriptError), cancelled), Decision::Cancel);
        assert_eq!(decide(&completed(), cancelled), Decision::Finish);
        let last = Facts { retries_left: 0, ..cancelled };
        assert_eq!(decide(&failed(ErrorCode::ScriptError), last), Decision::Finish);
    }

    #[test]
    fn only_script_errors_are_retried_with_growing_delay() {
        let left = |spent| Facts { retries_left: 2, retries_spent: spent, ..FACTS };
        let after = |spent| match decide(&failed(ErrorCode::ScriptError), left(spent)) {
            Decision::Retry { after } => after.as_secs_f64(),
            other => panic!("{other:?}"),
        };
        assert!((5.0..=10.0).contains(&after(0)));
        assert!((20.0..=40.0).contains(&after(2)));
        assert!(after(40) <= MAX_RETRY_DELAY.as_secs_f64());
        for code in [ErrorCode::MemoryLimit, ErrorCode::InvalidResult, ErrorCode::SandboxCrashed] {
            assert_eq!(decide(&failed(code), left(0)), Decision::Finish, "{code}");
        }
    }
}
