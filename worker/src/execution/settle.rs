//! What becomes of an attempt and of its message. Pure.

use shared::{
    backoff::Backoff,
    execution::ErrorCode,
    outcome::{ExecutionError, Verdict},
};
use std::time::Duration;

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The database has all that matters.
    Ack,
    /// Not taken on: somebody else may.
    Requeue,
    /// Nobody can read it: to the dead letters, with this reason.
    Reject(String),
}

impl Settlement {
    /// Metric label.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Requeue => "requeue",
            Self::Reject(_) => "reject",
        }
    }
}

/// Why we ended a run ourselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// Somebody asked for it.
    Cancelled,
    /// This worker stops; the time it gave its runs is over.
    Drained,
    /// The attempt is no longer ours.
    Fenced,
}

/// What becomes of an attempt whose run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Record the verdict.
    Finish,
    /// Run it again after this time.
    Retry { after: Duration },
    /// Give it back unspent.
    HandBack,
    /// Write nothing.
    Forget,
}

/// What the decision rests on besides the verdict.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    pub interruption: Option<Interruption>,
    /// Retries the script still has for its own faults.
    pub retries_left: i32,
    /// How often it was retried already.
    pub retries_spent: u32,
    /// Before the first retry; doubled for every further one.
    pub retry_backoff: Duration,
}

/// The longest time between a fault and the retry.
const LONGEST_RETRY: Duration = Duration::from_hours(24);

/// Decides. A verdict that was reached in time stands, whatever was asked for meanwhile: only a run that was cut
/// short is given back.
#[must_use]
pub fn decide(verdict: &Verdict, facts: Facts) -> Decision {
    let Verdict::Failed(error) = verdict else {
        return if facts.interruption == Some(Interruption::Fenced) {
            Decision::Forget
        } else {
            Decision::Finish
        };
    };
    match facts.interruption {
        Some(Interruption::Fenced) => Decision::Forget,
        Some(Interruption::Drained) if error.code == ErrorCode::Cancelled => Decision::HandBack,
        Some(Interruption::Cancelled) => Decision::Finish,
        _ if facts.retries_left > 0 && is_own_fault(error) => {
            let after = Backoff::after(facts.retry_backoff, LONGEST_RETRY, facts.retries_spent);
            Decision::Retry { after }
        }
        _ => Decision::Finish,
    }
}

/// Faults that another run of the same script may not have.
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
    fn a_verdict_is_recorded() {
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
    fn a_run_cut_short_by_the_drain_is_given_back() {
        let draining = Facts { interruption: Some(Interruption::Drained), retries_left: 3, ..FACTS };
        assert_eq!(decide(&failed(ErrorCode::Cancelled), draining), Decision::HandBack);
    }

    #[test]
    fn an_attempt_that_is_not_ours_any_more_is_forgotten() {
        let fenced = Facts { interruption: Some(Interruption::Fenced), retries_left: 3, ..FACTS };
        assert_eq!(decide(&completed(), fenced), Decision::Forget);
        assert_eq!(decide(&failed(ErrorCode::Timeout), fenced), Decision::Forget);
    }

    #[test]
    fn a_cancelled_run_is_never_retried() {
        let cancelled = Facts { interruption: Some(Interruption::Cancelled), retries_left: 3, ..FACTS };
        assert_eq!(decide(&failed(ErrorCode::Cancelled), cancelled), Decision::Finish);
        assert_eq!(decide(&failed(ErrorCode::ScriptError), cancelled), Decision::Finish);
    }

    #[test]
    fn only_the_scripts_own_faults_are_retried_and_later_each_time() {
        let left = |spent| Facts { retries_left: 2, retries_spent: spent, ..FACTS };
        let after = |spent| match decide(&failed(ErrorCode::ScriptError), left(spent)) {
            Decision::Retry { after } => after.as_secs_f64(),
            other => panic!("{other:?}"),
        };
        assert!((5.0..=10.0).contains(&after(0)));
        assert!((20.0..=40.0).contains(&after(2)));
        assert!(after(40) <= LONGEST_RETRY.as_secs_f64());
        for code in [ErrorCode::MemoryLimit, ErrorCode::InvalidResult, ErrorCode::SandboxCrashed] {
            assert_eq!(decide(&failed(code), left(0)), Decision::Finish, "{code}");
        }
    }
}
