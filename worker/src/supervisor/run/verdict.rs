//! Derives a run's verdict from the report of its sandbox process, or from the way the process died. Pure.

use crate::supervisor::logs::clean;
use sandbox_protocol::{EXIT_FATAL, EXIT_OUT_OF_MEMORY, MAX_ERROR_TEXT_UNITS, RunEnd};
use serde_json::value::RawValue;
use shared::{
    execution::ErrorCode,
    limits::Limits,
    masking::Masker,
    outcome::{ExecutionError, Verdict},
};
use std::{os::unix::process::ExitStatusExt as _, process::ExitStatus};

/// Reason for which the supervisor kills a process, or knows why it died. Without one the process died by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KillReason {
    /// The run exceeded a limit, or was cancelled: the supervisor told the process to stop with this code.
    Limit(ErrorCode),
    /// The process's resident memory exceeded the limit of a run.
    OverMemory,
    /// The process died by itself. At the last measurement it had more memory than its run may use.
    OverMemoryWhenLost,
    /// The process violated the protocol.
    ProtocolViolation,
}

/// Returns the verdict on a run whose process died. A reason to kill it outranks the way the process then died.
pub(super) fn of_dead_process(
    kill_reason: Option<KillReason>,
    status: Option<ExitStatus>,
    limits: &Limits,
) -> Verdict {
    match kill_reason {
        Some(KillReason::Limit(code)) => stopped(code, limits),
        Some(KillReason::OverMemory) => stopped(ErrorCode::MemoryLimit, limits),
        Some(KillReason::ProtocolViolation) => {
            failed(ErrorCode::SandboxCrashed, "the sandbox broke its protocol".to_owned())
        }
        // Native code that is refused memory crashes in many ways. The memory that it had shows the reason.
        Some(KillReason::OverMemoryWhenLost) if status.is_some_and(|status| status.signal().is_some()) => {
            stopped(ErrorCode::MemoryLimit, limits)
        }
        None | Some(KillReason::OverMemoryWhenLost) => match status.and_then(|status| status.code()) {
            Some(EXIT_OUT_OF_MEMORY) => stopped(ErrorCode::MemoryLimit, limits),
            Some(EXIT_FATAL) => {
                failed(ErrorCode::SandboxCrashed, "the sandbox stopped on a fatal V8 error".to_owned())
            }
            _ => failed(ErrorCode::SandboxCrashed, format!("the sandbox died: {}", describe(status))),
        },
    }
}

/// Returns the verdict on a run that was stopped, with a message that names its limit.
pub(super) fn stopped(code: ErrorCode, limits: &Limits) -> Verdict {
    let message = match code {
        ErrorCode::Timeout => {
            format!("the run took longer than {} ms", limits.execution_timeout.as_millis())
        }
        ErrorCode::InitTimeout => {
            format!("evaluating the top level took longer than {} ms", limits.init_timeout.as_millis())
        }
        ErrorCode::MemoryLimit => {
            format!("the run needed more than {} MiB of memory", limits.memory_bytes / (1024 * 1024))
        }
        ErrorCode::Cancelled => "the run was cancelled".to_owned(),
        _ => "the run was stopped".to_owned(),
    };
    failed(code, message)
}

pub(super) fn failed(code: ErrorCode, message: String) -> Verdict {
    Verdict::Failed(ExecutionError { code, message, stack: None, line: None, column: None })
}

/// Describes how a process exited, for logs and messages.
pub(super) fn describe(status: Option<ExitStatus>) -> String {
    let Some(status) = status else { return "its exit status could not be read".to_owned() };
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(libc::SIGSYS)) => "a forbidden system call (SIGSYS)".to_owned(),
        (None, Some(libc::SIGSEGV)) => "SIGSEGV".to_owned(),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown".to_owned(),
    }
}

/// Returns why a process that died is replaced, as label of a metric.
pub(super) fn replace_reason(kill_reason: Option<KillReason>, status: Option<ExitStatus>) -> &'static str {
    match kill_reason {
        Some(KillReason::Limit(code)) => code.as_str(),
        Some(KillReason::OverMemory | KillReason::OverMemoryWhenLost) => ErrorCode::MemoryLimit.as_str(),
        Some(KillReason::ProtocolViolation) => "protocol",
        None if status.and_then(|status| status.code()) == Some(EXIT_OUT_OF_MEMORY) => {
            ErrorCode::MemoryLimit.as_str()
        }
        None => "crashed",
    }
}

/// Returns true if a script may have learnt something of its process's address layout: the process was lost, other than
/// by a cancel, or it violated the protocol.
pub(super) fn is_suspicious(
    lost: bool,
    kill_reason: Option<KillReason>,
    irregular: Option<&'static str>,
) -> bool {
    (lost && kill_reason != Some(KillReason::Limit(ErrorCode::Cancelled)))
        || matches!(irregular, Some("crashed" | "protocol"))
}

/// Returns the verdict on a run whose end the process reported, and why the process must be replaced, if it must.
pub(super) fn of_report(
    end: RunEnd,
    kill_reason: Option<KillReason>,
    limits: &Limits,
) -> (Verdict, Option<&'static str>) {
    let stopped = match kill_reason {
        Some(KillReason::Limit(code)) => Some(code.as_str()),
        _ => None,
    };
    match end {
        RunEnd::Completed { json } => {
            let result =
                if json.len() > limits.result_bytes { None } else { RawValue::from_string(json).ok() };
            match result {
                Some(result) => (Verdict::Completed(result), stopped),
                None => {
                    (of_dead_process(Some(KillReason::ProtocolViolation), None, limits), Some("protocol"))
                }
            }
        }
        RunEnd::Failed { code, .. } if !may_report(code, kill_reason) => {
            (of_dead_process(Some(KillReason::ProtocolViolation), None, limits), Some("protocol"))
        }
        RunEnd::Failed { code, message, stack, line, column } => {
            let replace_reason = match code {
                ErrorCode::ScriptError
                | ErrorCode::InvalidResult
                | ErrorCode::ResultTooLarge
                | ErrorCode::BuildFailed => stopped,
                ErrorCode::SandboxCrashed => Some("crashed"),
                _ => Some(code.as_str()),
            };
            let (message, stack) = (bounded(message), stack.map(bounded));
            (Verdict::Failed(ExecutionError { code, message, stack, line, column }), replace_reason)
        }
    }
}

/// Returns true if a sandbox process may report this code: a fault of the run itself, or the code that it was told to stop
/// with.
fn may_report(code: ErrorCode, kill_reason: Option<KillReason>) -> bool {
    match code {
        ErrorCode::ScriptError
        | ErrorCode::InvalidResult
        | ErrorCode::ResultTooLarge
        | ErrorCode::BuildFailed
        | ErrorCode::MemoryLimit
        | ErrorCode::SandboxCrashed => true,
        ErrorCode::Timeout | ErrorCode::InitTimeout | ErrorCode::Cancelled => {
            kill_reason == Some(KillReason::Limit(code))
        }
        ErrorCode::WorkerLost => false,
    }
}

/// Truncates a text to the length that the sandbox's own limit allows: a UTF-16 unit has at most three bytes.
fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(3 * MAX_ERROR_TEXT_UNITS));
    text
}

/// Returns the bytes of text that may contain secrets.
pub(super) fn bytes(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Completed(result) => result.get().len(),
        Verdict::Failed(error) => error.message.len() + error.stack.as_ref().map_or(0, String::len),
    }
}

/// Removes secrets, and characters that the database can't store.
pub(super) fn masked(verdict: Verdict, masker: &Masker) -> Verdict {
    match verdict {
        Verdict::Completed(result) => Verdict::Completed(masker.mask_json(result)),
        Verdict::Failed(error) => Verdict::Failed(ExecutionError {
            message: masked_text(&error.message, masker),
            stack: error.stack.map(|stack| masked_text(&stack, masker)),
            ..error
        }),
    }
}

fn masked_text(text: &str, masker: &Masker) -> String {
    let cut = text.len() >= MAX_ERROR_TEXT_UNITS && text.encode_utf16().count() >= MAX_ERROR_TEXT_UNITS;
    clean(&if cut { masker.mask_truncated(text) } else { masker.mask(text) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::execution::Status;

    fn code(kill_reason: Option<KillReason>, raw: i32) -> ErrorCode {
        match of_dead_process(kill_reason, Some(ExitStatus::from_raw(raw)), &Limits::default()) {
            Verdict::Failed(error) => error.code,
            Verdict::Completed(_) => unreachable!("a dead process completes nothing"),
        }
    }

    #[test]
    fn v8_out_of_memory_is_the_memory_limit() {
        assert_eq!(code(None, EXIT_OUT_OF_MEMORY << 8), ErrorCode::MemoryLimit);
    }

    #[test]
    fn a_crash_for_want_of_memory_is_the_memory_limit() {
        assert_eq!(code(Some(KillReason::OverMemoryWhenLost), libc::SIGSEGV), ErrorCode::MemoryLimit);
        assert_eq!(code(Some(KillReason::OverMemoryWhenLost), libc::SIGABRT), ErrorCode::MemoryLimit);
        assert_eq!(code(Some(KillReason::OverMemoryWhenLost), EXIT_FATAL << 8), ErrorCode::SandboxCrashed);
    }

    #[test]
    fn a_signal_or_early_exit_is_a_sandbox_crash() {
        assert_eq!(code(None, libc::SIGSEGV), ErrorCode::SandboxCrashed);
        assert_eq!(code(None, libc::SIGSYS), ErrorCode::SandboxCrashed);
        assert_eq!(code(None, 0), ErrorCode::SandboxCrashed);
    }

    fn failed_with(code: ErrorCode, message: &str) -> RunEnd {
        RunEnd::Failed { code, message: message.to_owned(), stack: None, line: None, column: None }
    }

    #[test]
    fn a_sandbox_cannot_report_errors_reserved_for_the_supervisor() {
        let limits = Limits::default();
        for code in [ErrorCode::WorkerLost, ErrorCode::Cancelled, ErrorCode::Timeout, ErrorCode::InitTimeout]
        {
            let (verdict, replace_reason) = of_report(failed_with(code, "forged"), None, &limits);
            let Verdict::Failed(error) = verdict else { unreachable!("nothing was completed") };
            assert_eq!((error.code, replace_reason), (ErrorCode::SandboxCrashed, Some("protocol")), "{code}");
        }
        let told = Some(KillReason::Limit(ErrorCode::Cancelled));
        let (verdict, replace_reason) =
            of_report(failed_with(ErrorCode::Cancelled, "as told"), told, &limits);
        assert_eq!((verdict.status(), replace_reason), (Status::Cancelled, Some("cancelled")));
        let (_, replace_reason) = of_report(failed_with(ErrorCode::Timeout, "not as told"), told, &limits);
        assert_eq!(replace_reason, Some("protocol"));
    }

    #[test]
    fn a_secret_cut_by_the_error_text_limit_is_masked() {
        let text = format!("{}hunter2-", "x".repeat(MAX_ERROR_TEXT_UNITS - 8));
        let (verdict, _) = of_report(failed_with(ErrorCode::ScriptError, &text), None, &Limits::default());
        let Verdict::Failed(error) = masked(verdict, &Masker::new(["hunter2-secret"])) else {
            unreachable!("it failed")
        };
        assert!(error.message.ends_with("x[masked]"), "{}", &error.message[MAX_ERROR_TEXT_UNITS - 20..]);
    }

    #[test]
    fn kill_reason_takes_precedence_over_exit_status() {
        assert_eq!(code(Some(KillReason::Limit(ErrorCode::Timeout)), libc::SIGKILL), ErrorCode::Timeout);
        assert_eq!(code(Some(KillReason::Limit(ErrorCode::Cancelled)), libc::SIGSEGV), ErrorCode::Cancelled);
        assert_eq!(code(Some(KillReason::OverMemory), libc::SIGKILL), ErrorCode::MemoryLimit);
    }
}
