//! The life of one execution: which statuses exist and which may follow which.
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
            /// Every value, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The text used on the wire, in the database and as a metric label.
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

/// A text that names no value of the enum it was read as.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{text:?} is not a {kind}")]
pub struct UnknownText {
    /// The enum that was expected.
    pub kind: &'static str,
    /// What was found instead.
    pub text: String,
}

text_enum! {
    /// How an author's text is turned into something to call.
    CodeType {
        /// The text declares `main`, which is called with `(input, env)`.
        MainFn => "main_fn",
        /// The text is the body of an async function.
        Raw => "raw",
    }
}

text_enum! {
    /// What asked for an execution.
    TriggerType {
        Automation => "automation",
        WorkflowTransition => "workflow_transition",
        Cron => "cron",
        /// Unsaved code run from the editor.
        Test => "test",
        /// A direct call of the executions endpoint.
        Api => "api",
    }
}

text_enum! {
    /// Where an execution is in its life.
    Status {
        Queued => "queued",
        Running => "running",
        Completed => "completed",
        Errored => "errored",
        Cancelled => "cancelled",
    }
}

impl Status {
    /// True for `completed`, `errored` and `cancelled`.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Errored | Self::Cancelled)
    }

    /// Whether an execution may go from this status to `next`.
    ///
    /// `running` → `queued` is how a run whose worker died, or drained, is handed back.
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
    /// Why an execution did not complete.
    ErrorCode {
        /// The script threw, or rejected.
        ScriptError => "script_error",
        /// The run outlived `EXECUTION_TIMEOUT_MS`.
        Timeout => "timeout",
        /// Evaluating the script's top level outlived `INIT_TIMEOUT_MS`.
        InitTimeout => "init_timeout",
        /// Heap and array buffers together outgrew `ISOLATE_MEMORY_MB`.
        MemoryLimit => "memory_limit",
        /// `main` returned something JSON can't hold.
        InvalidResult => "invalid_result",
        ResultTooLarge => "result_too_large",
        BuildFailed => "build_failed",
        /// The sandbox process died for another reason than its memory.
        SandboxCrashed => "sandbox_crashed",
        /// The worker that ran it stopped answering, `max_attempts` times.
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
