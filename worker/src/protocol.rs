//! The only thing both sides of the sandbox's socket know.
//!
//! A frame is a little-endian `u32` length, then that many bytes of JSON. Invariant: neither side trusts the
//! other's lengths; a frame over [`MAX_FRAME_BYTES`] ends the conversation before a byte of it is allocated.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shared::{
    execution::{ErrorCode, LogLevel},
    limits::Limits,
    outcome::Usage,
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Largest frame either side accepts: a 10 MiB response body, base64-encoded, and its envelope.
pub const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// What the supervisor says to a sandbox process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ToSandbox {
    /// Run this. Sent only to a sandbox that said [`FromSandbox::Ready`].
    Execute(Box<Job>),
    /// The answer to [`FromSandbox::Fetch`] with the same id.
    FetchDone { id: u32, answer: FetchAnswer },
    /// Stop the run now; the sandbox answers with an outcome of this code, or is killed.
    Terminate { code: ErrorCode },
}

/// What a sandbox process says to its supervisor. Hostile until proven otherwise.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum FromSandbox {
    /// A fresh isolate stands ready; `layers` are the isolation layers in force.
    Ready {
        layers: Vec<String>,
    },
    /// The top level was evaluated; the run's own clock starts.
    Initialized,
    Log {
        level: LogLevel,
        message: String,
    },
    Fetch {
        id: u32,
        request: FetchRequest,
    },
    /// The script no longer wants this answer.
    FetchAborted {
        id: u32,
    },
    /// The run is over. Nothing else of this run follows.
    Finished {
        end: RunEnd,
        usage: Usage,
    },
}

/// One run, complete: the sandbox asks for nothing else.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    pub execution_id: Uuid,
    /// Build output of the script (see `shared::builder`): a script whose completion value is the entry function.
    pub build: String,
    /// Build outputs of the functions it needs, transitively, by name.
    pub functions: BTreeMap<String, String>,
    /// JSON of `{ event, context, … }`, the first argument of `main`.
    pub input: Box<RawValue>,
    /// JSON object of the script's variables.
    pub variables: Box<RawValue>,
    /// Workspace and script environment, already merged. Values are secrets.
    pub env: BTreeMap<String, String>,
    pub workspace_slug: String,
    /// Base address of Plane's API for the SDK. The token stays with the supervisor.
    pub api_base_url: String,
    pub limits: Limits,
}

/// How the sandbox says a run ended; the supervisor turns it into a `shared::outcome::Verdict`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum RunEnd {
    /// `json` is the text of the result, within the result limit.
    Completed {
        json: String,
    },
    Failed {
        code: ErrorCode,
        message: String,
        stack: Option<String>,
        line: Option<u32>,
        column: Option<u32>,
    },
}

/// A request the script wants made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    /// Body bytes, base64.
    pub body: Option<String>,
    pub redirect: Redirect,
    /// Made by the Plane SDK: goes to the API base address only, and gets the workspace's token there.
    #[serde(default)]
    pub plane: bool,
}

/// The Fetch standard's redirect mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Redirect {
    Follow,
    Error,
    Manual,
}

/// What came of a request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum FetchAnswer {
    Response {
        status: u16,
        status_text: String,
        url: String,
        redirected: bool,
        headers: Vec<(String, String)>,
        body: String,
    },
    /// The `TypeError` message the script sees.
    Refused { message: String },
}
