//! Limits of one run. Each has its own error code and is enforced outside of the script.

use serde::{Deserialize, Serialize};
use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Maximum size of an author's text, in bytes, for a script and for a function.
pub const CODE_BYTES: usize = 256 * KIB;
/// Maximum size of `{event, context}` as JSON, in bytes.
pub const INPUT_BYTES: usize = 256 * KIB;

/// Maximum size of a script's build and those of all functions that it needs, as JSON texts, in bytes. With input,
/// variables and secrets they fit into one frame of the sandbox's socket.
pub const RUN_CODE_BYTES: usize = 12 * MIB;

/// Maximum nesting of arrays and objects in a request's body, in levels.
pub const BODY_NESTING: usize = 64;
/// Maximum nesting of arrays and objects in each part of an event that comes over AMQP, in levels. PostgreSQL's parser
/// accepts eight times as many with its default stack.
pub const EVENT_NESTING: usize = 1_000;
/// Maximum total size of the values of one set of secrets, in bytes: a workspace's environment, a script's `env`, or
/// the `env` that is submitted with an execution.
pub const SECRET_SET_BYTES: usize = 64 * KIB;
/// Maximum total size of the secrets of one run, in bytes. A run has at most three sets.
pub const RUN_SECRET_BYTES: usize = 3 * SECRET_SET_BYTES;

/// Limits of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// `EXECUTION_TIMEOUT_MS`: time limit from the call of `main` until its result is serialised, in milliseconds.
    pub execution_timeout: Duration,
    /// `INIT_TIMEOUT_MS`: time limit for creating the run's globals and evaluating the top level of functions and
    /// script, in milliseconds.
    pub init_timeout: Duration,
    /// `ISOLATE_MEMORY_MB`: memory limit of one run in MiB: V8 heap plus array buffers.
    // The field itself is in bytes.
    pub memory_bytes: usize,
    /// `MAX_RESULT_BYTES`: maximum size of the JSON text of the result, in bytes.
    pub result_bytes: usize,
    /// `MAX_LOG_BYTES`: maximum text of all console lines together, in bytes; further output is dropped, and
    /// the last line says so.
    pub log_bytes: usize,
    /// `MAX_LOG_LINES`: maximum number of console lines; further lines are dropped, and the last line says so.
    pub log_lines: usize,
    /// `MAX_FETCHES`: maximum number of `fetch` calls.
    pub fetches: u32,
    /// `MAX_RESPONSE_BYTES`: maximum size of the body of one response, decompressed, in bytes.
    pub response_bytes: usize,
}

impl Default for Limits {
    /// Returns the defaults of the script contract.
    fn default() -> Self {
        Self {
            execution_timeout: Duration::from_secs(20),
            init_timeout: Duration::from_secs(5),
            memory_bytes: 128 * MIB,
            result_bytes: MIB,
            log_bytes: 256 * KIB,
            log_lines: 1_000,
            fetches: 50,
            response_bytes: 10 * MIB,
        }
    }
}
