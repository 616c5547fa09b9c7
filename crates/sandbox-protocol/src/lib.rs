//! The only thing both sides of the sandbox's socket know.
//!
//! A frame is a little-endian `u32` length, then that many bytes of JSON; the one exception is the startup
//! snapshot, whose bytes follow [`ToSandbox::Prepare`] as a frame of their own. Invariant: neither side trusts
//! the other's lengths; a frame over [`MAX_FRAME_BYTES`] ends the conversation before a byte of it is allocated.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shared::{
    execution::{ErrorCode, LogLevel},
    limits::Limits,
    outcome::Usage,
};
use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
};
use uuid::Uuid;

/// Largest frame either side accepts: a 10 MiB response body, base64-encoded, and its envelope.
pub const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// Longest message or stack of an error, in UTF-16 units. The sandbox cuts there, so that a text of this length may
/// end in the middle of a secret.
pub const LONGEST_ERROR_TEXT: usize = 16 * 1024;

/// How a sandbox process exits when V8, or its kernel limit, refused it memory.
pub const EXIT_OUT_OF_MEMORY: i32 = 83;
/// How it exits when V8 found its own state impossible.
pub const EXIT_FATAL: i32 = 84;
/// How it exits when it could not set itself up; nothing was run.
pub const EXIT_SETUP: i32 = 85;

/// What the supervisor says to a sandbox process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ToSandbox {
    /// The first frame, once: make isolates of this size, from the snapshot in the next frame.
    Prepare { memory_bytes: usize },
    /// Run this. Sent only to a sandbox that said [`FromSandbox::Ready`].
    Execute(Box<Job>),
    /// The answer to [`FromSandbox::Fetch`] with the same id.
    FetchDone { id: u32, answer: FetchAnswer },
    /// Stop the run now; the sandbox answers with an outcome of this code, or is killed.
    Terminate { code: ErrorCode },
}

/// What a sandbox process says to its supervisor. Hostile until proven otherwise.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
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

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {0} bytes is over the limit of {MAX_FRAME_BYTES}")]
    TooLong(usize),
    #[error("not a frame of this protocol: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Also how the other side's end shows: `UnexpectedEof`.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The length a frame's first four bytes announce, within the limit.
pub fn frame_length(header: [u8; 4]) -> Result<usize, FrameError> {
    let length = u32::from_le_bytes(header) as usize;
    if length > MAX_FRAME_BYTES { Err(FrameError::TooLong(length)) } else { Ok(length) }
}

/// A whole frame: length and payload, ready for one write.
pub fn frame(payload: &[u8]) -> Result<Vec<u8>, FrameError> {
    let length = u32::try_from(payload.len())
        .ok()
        .filter(|&length| length as usize <= MAX_FRAME_BYTES)
        .ok_or(FrameError::TooLong(payload.len()))?;
    let mut frame = Vec::with_capacity(4 + payload.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(payload);
    Ok(frame)
}

/// A message as a whole frame.
pub fn encode(message: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    frame(&serde_json::to_vec(message)?)
}

/// Reads one frame's payload, blocking.
pub fn read_frame(source: &mut impl Read) -> Result<Vec<u8>, FrameError> {
    let mut header = [0; 4];
    source.read_exact(&mut header)?;
    let mut payload = vec![0; frame_length(header)?];
    source.read_exact(&mut payload)?;
    Ok(payload)
}

/// Writes one message as a frame, blocking.
pub fn write_message(sink: &mut impl Write, message: &impl Serialize) -> Result<(), FrameError> {
    Ok(sink.write_all(&encode(message)?)?)
}

/// One run, complete: the sandbox asks for nothing else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub execution_id: Uuid,
    /// Build output of the script (see `builder`): a script whose completion value is the entry function.
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
#[serde(rename_all = "snake_case", deny_unknown_fields)]
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
#[serde(rename_all = "snake_case", deny_unknown_fields)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_round_trips() {
        let frame = encode(&FromSandbox::Initialized).expect("encodes");
        let payload = read_frame(&mut frame.as_slice()).expect("reads");
        assert!(matches!(serde_json::from_slice(&payload), Ok(FromSandbox::Initialized)));
    }

    #[test]
    fn an_overlong_frame_is_refused_before_it_is_allocated() {
        let mut header = u32::MAX.to_le_bytes().to_vec();
        header.extend_from_slice(b"tiny");
        assert!(matches!(read_frame(&mut header.as_slice()), Err(FrameError::TooLong(_))));
    }

    #[test]
    fn unknown_fields_are_refused() {
        let nonsense = br#"{"ready":{"layers":[],"extra":1}}"#;
        assert!(serde_json::from_slice::<FromSandbox>(nonsense).is_err());
    }
}
