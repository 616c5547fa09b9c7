//! Life cycle of an execution: its statuses and their allowed transitions.
//!
//! Invariant: a terminal status never changes. The database enforces the same rule with a trigger.

use serde::{Deserialize, Serialize};

/// Declares an enum whose variants have one fixed text, used on the wire, in the database and in metrics.
macro_rules! text_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident => $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_meta])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// All values, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the text used on the wire, in the database and as a metric label.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownText;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(UnknownText { kind: stringify!($name), text: text.to_owned() }),
                }
            }
        }
    };
}

/// Error of a text that is not a value of the expected enum.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{text:?} is not a {kind}")]
pub struct UnknownText {
    /// Name of the expected enum.
    pub kind: &'static str,
    /// Text that was found instead.
    pub text: String,
}

text_enum! {
    /// Form of an author's text.
    CodeType {
        /// The text declares `main`, which is called with `(input, env)`.
        MainFn => "main_fn",
        /// The text is the body of an async function.
        Raw => "raw",
    }
}

text_enum! {
    /// Origin of an execution.
    TriggerType {
        Automation => "automation",
        WorkflowTransition => "workflow_transition",
        Cron => "cron",
        /// Unsaved code run from the editor.
        Test => "test",
        /// Direct call of the executions endpoint.
        Api => "api",
    }
}

text_enum! {
    /// Status of an execution.
    Status {
        Queued => "queued",
        Running => "running",
        Completed => "completed",
        Errored => "errored",
        Cancelled => "cancelled",
    }
}

impl Status {
    /// Returns whether the status is `completed`, `errored` or `cancelled`.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Errored | Self::Cancelled)
    }

    /// Returns whether an execution may change from this status to `next`.
    ///
    /// `running` → `queued` returns a run to the queue whose worker died or drained.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Queued => matches!(next, Self::Running | Self::Errored | Self::Cancelled),
            Self::Running => !matches!(next, Self::Running),
            Self::Completed | Self::Errored | Self::Cancelled => false,
        }
    }
}

text_enum! {
    /// Reason why an execution did not complete.
    ErrorCode {
        /// The script threw, or its promise was rejected.
        ScriptError => "script_error",
        /// The run exceeded `EXECUTION_TIMEOUT_MS`.
        Timeout => "timeout",
        /// Evaluation of the script's top level exceeded `INIT_TIMEOUT_MS`.
        InitTimeout => "init_timeout",
        /// Heap and array buffers together exceeded `ISOLATE_MEMORY_MB`.
        MemoryLimit => "memory_limit",
        /// `main` returned a value that JSON cannot represent.
        InvalidResult => "invalid_result",
        ResultTooLarge => "result_too_large",
        BuildFailed => "build_failed",
        /// The sandbox process died for a reason other than its memory.
        SandboxCrashed => "sandbox_crashed",
        /// The worker of the run stopped responding, `max_attempts` times.
        WorkerLost => "worker_lost",
        Cancelled => "cancelled",
    }
}

text_enum! {
    /// Severity of one console line.
    LogLevel {
        Debug => "debug",
        /// `console.log` and `console.info`.
        Info => "info",
        Warn => "warn",
        Error => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_status_never_changes() {
        for &from in Status::ALL.iter().filter(|status| status.is_terminal()) {
            for &to in Status::ALL {
                assert!(!from.may_become(to), "{from} must not become {to}");
            }
        }
    }

    #[test]
    fn a_lost_run_goes_back_to_the_queue() {
        assert!(Status::Running.may_become(Status::Queued));
        assert!(!Status::Queued.may_become(Status::Completed));
    }

    #[test]
    fn texts_round_trip() {
        for &code in ErrorCode::ALL {
            assert_eq!(code.as_str().parse(), Ok(code));
        }
        assert!("finished".parse::<Status>().is_err());
    }
}
