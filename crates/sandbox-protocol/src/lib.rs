//! Protocol of the socket between the supervisor and a sandbox process, the only interface of the two.
//!
//! A frame is a little-endian `u32` length, followed by that many bytes. They are the JSON of a message, or
//! [`ATTACHED`], the length of the JSON, the JSON, and the bytes of a body. The one exception is the startup snapshot,
//! whose bytes follow [`ToSandbox::Prepare`] as a frame. Invariant: neither side trusts the lengths of the other. A
//! frame over [`MAX_FRAME_BYTES`] ends the connection before a byte of it is allocated.
//!
//! The sandbox keeps large bodies of requests, and counts them against its run's memory, until the supervisor has
//! memory for them and sends [`ToSandbox::SendBody`].
//!
//! A template process is prepared by the same frames, and answers with [`FromSandbox::Ready`]. From then on each
//! request is one byte with the socket of a process to be made as ancillary data. The answer is the process id (a
//! little-endian `i32`) with the pidfd as ancillary data, or [`FORK_FAILED`] without one.

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

/// Maximum size of a frame, in bytes: the snapshot, or a body of at most 11 MiB with its message.
pub const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;
/// First byte of a frame with a body. JSON never begins with it.
pub const ATTACHED: u8 = 0;
/// Maximum size of a request's body that is attached to [`FromSandbox::Fetch`], in bytes. The supervisor holds one for
/// each fetch of a run, whatever memory is free.
pub const MAX_ATTACHED_REQUEST_BYTES: usize = 16 * 1024;

/// Maximum length of the message or stack of an error, in UTF-16 units. The sandbox truncates there, so that a text of
/// this length may end inside a secret.
pub const MAX_ERROR_TEXT_UNITS: usize = 16 * 1024;

/// Exit code of a sandbox process to which V8 or its kernel limit refused memory.
pub const EXIT_OUT_OF_MEMORY: i32 = 83;
/// Exit code after a fatal error of V8.
pub const EXIT_FATAL: i32 = 84;
/// Exit code after a failed set-up. No script was run.
pub const EXIT_SETUP: i32 = 85;

/// Request to a template for a process.
pub const FORK_REQUEST: [u8; 1] = [b'f'];
/// Answer of a template that could not make a process, in place of its id.
pub const FORK_FAILED: i32 = 0;

/// Message from the supervisor to a sandbox process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ToSandbox {
    /// First frame, sent once: the memory limit of isolates, which are made from the snapshot in the next frame.
    Prepare { memory_bytes: usize },
    /// Requests a run. Sent only after [`FromSandbox::Ready`].
    Execute(Box<Job>),
    /// Requests the body of the fetch with this id, which is answered by [`FromSandbox::Body`] unless the script aborts
    /// the fetch.
    SendBody { id: u32 },
    /// Answers [`FromSandbox::Fetch`] with the same id. The body is attached.
    FetchDone { id: u32, answer: FetchAnswer },
    /// Stops the run. The sandbox must answer with an outcome of this code, or is killed.
    Terminate { code: ErrorCode },
}

/// Message from a sandbox process to its supervisor. Not trusted: a script may have taken over the process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FromSandbox {
    /// A fresh isolate is ready. `layers` are the isolation layers in force.
    Ready {
        layers: Vec<String>,
    },
    /// The top level was evaluated, and the time limit of the run starts.
    Initialized,
    Log {
        level: LogLevel,
        message: String,
    },
    /// A body of at most [`MAX_ATTACHED_REQUEST_BYTES`] is attached.
    Fetch {
        id: u32,
        request: FetchRequest,
    },
    /// Answers [`ToSandbox::SendBody`]. The body is attached.
    Body {
        id: u32,
    },
    /// The script aborted the fetch with this id.
    FetchAborted {
        id: u32,
    },
    /// The run has ended. No other message of this run follows.
    Finished {
        end: RunEnd,
        usage: Usage,
    },
}

/// Errors of reading and writing a frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {0} bytes is over the limit of {MAX_FRAME_BYTES}")]
    TooLong(usize),
    #[error("the frame does not belong to the sandbox protocol: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("the frame ends before the message that it announces")]
    NoMessage,
    /// I/O error. `UnexpectedEof` if the other side has ended.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Decodes the length in the first four bytes of a frame and checks the limit.
pub fn frame_length(header: [u8; 4]) -> Result<usize, FrameError> {
    let length = u32::from_le_bytes(header) as usize;
    if length > MAX_FRAME_BYTES { Err(FrameError::TooLong(length)) } else { Ok(length) }
}

/// Encodes a length as the first four bytes of a frame.
fn frame_header(length: usize) -> Result<[u8; 4], FrameError> {
    match u32::try_from(length) {
        Ok(bytes) if length <= MAX_FRAME_BYTES => Ok(bytes.to_le_bytes()),
        _ => Err(FrameError::TooLong(length)),
    }
}

/// Makes a complete frame of length and payload, for one write.
pub fn frame(payload: &[u8]) -> Result<Vec<u8>, FrameError> {
    Ok([&frame_header(payload.len())?[..], payload].concat())
}

/// Encodes a message as a complete frame.
pub fn encode(message: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    frame(&serde_json::to_vec(message)?)
}

/// Encodes the beginning of a frame whose end is a body of `body_bytes`.
pub fn encode_before_body(message: &impl Serialize, body_bytes: usize) -> Result<Vec<u8>, FrameError> {
    let json = serde_json::to_vec(message)?;
    let header = frame_header((1 + 4 + json.len()).saturating_add(body_bytes))?;
    let json_length = u32::try_from(json.len()).map_err(|_| FrameError::TooLong(json.len()))?;
    Ok([&header[..], &[ATTACHED][..], &json_length.to_le_bytes()[..], &json[..]].concat())
}

/// Decodes the payload of a frame. Returns the message, and the index at which the attached body begins: the length of
/// the payload if there is none.
pub fn decode<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<(T, usize), FrameError> {
    let Some((&ATTACHED, rest)) = payload.split_first() else {
        return Ok((serde_json::from_slice(payload)?, payload.len()));
    };
    let (length, rest) = rest.split_first_chunk().ok_or(FrameError::NoMessage)?;
    let length = u32::from_le_bytes(*length) as usize;
    let json = rest.get(..length).ok_or(FrameError::NoMessage)?;
    Ok((serde_json::from_slice(json)?, 1 + 4 + length))
}

/// Reads the payload of one frame. Blocking.
pub fn read_frame(source: &mut impl Read) -> Result<Vec<u8>, FrameError> {
    let mut header = [0; 4];
    source.read_exact(&mut header)?;
    let mut payload = vec![0; frame_length(header)?];
    source.read_exact(&mut payload)?;
    Ok(payload)
}

/// Writes one message as a frame. Blocking.
pub fn write_message(sink: &mut impl Write, message: &impl Serialize) -> Result<(), FrameError> {
    Ok(sink.write_all(&encode(message)?)?)
}

/// Complete input of one run. The sandbox requests nothing else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub execution_id: Uuid,
    /// Build of the script (see `builder`): a classic script with the entry function as its completion value.
    pub build: String,
    /// Builds of the functions that the script uses, directly and transitively, by name.
    pub functions: BTreeMap<String, String>,
    /// JSON of `{ event, context, … }`, the first argument of `main`.
    pub input: Box<RawValue>,
    /// JSON object of the script's variables.
    pub variables: Box<RawValue>,
    /// Workspace and script environment, already merged. Values are secrets.
    pub env: BTreeMap<String, String>,
    pub workspace_slug: String,
    /// Base URL of Plane's API for the SDK. The token stays with the supervisor.
    pub api_base_url: String,
    pub limits: Limits,
}

/// End of a run as reported by the sandbox. The supervisor converts it to a `shared::outcome::Verdict`.
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

/// Request of a script.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    /// Length of the body, in bytes. `None` if there is no body.
    pub body_bytes: Option<u32>,
    pub redirect: Redirect,
    /// Sent by the Plane SDK. Goes only to the base URL of Plane's API, with the workspace's token.
    #[serde(default)]
    pub plane: bool,
}

/// Redirect mode of the Fetch standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Redirect {
    Follow,
    Error,
    Manual,
}

/// Result of a request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FetchAnswer {
    Response {
        status: u16,
        status_text: String,
        url: String,
        redirected: bool,
        headers: Vec<(String, String)>,
    },
    /// The request failed. The script receives a `TypeError` with this message.
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
    fn a_body_is_attached_to_its_message() {
        let body = b"\0 any { bytes";
        let message = encode_before_body(&FromSandbox::Body { id: 7 }, body.len()).expect("encodes");
        let payload = read_frame(&mut [message, body.to_vec()].concat().as_slice()).expect("reads");
        let (message, start) = decode(&payload).expect("decodes");
        assert!(matches!(message, FromSandbox::Body { id: 7 }));
        assert_eq!(&payload[start..], body);
        let plain = serde_json::to_vec(&FromSandbox::Initialized).expect("encodes");
        let (message, start) = decode(&plain).expect("decodes");
        assert!(matches!(message, FromSandbox::Initialized) && start == plain.len());
    }

    #[test]
    fn a_body_beyond_the_frame_is_refused() {
        let huge = encode_before_body(&FromSandbox::Initialized, MAX_FRAME_BYTES);
        assert!(matches!(huge, Err(FrameError::TooLong(_))));
        for payload in [&[ATTACHED][..], &[ATTACHED, 1, 0, 0], &[ATTACHED, 9, 0, 0, 0, b'{']] {
            assert!(matches!(decode::<FromSandbox>(payload), Err(FrameError::NoMessage)), "{payload:?}");
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        let nonsense = br#"{"ready":{"layers":[],"extra":1}}"#;
        assert!(serde_json::from_slice::<FromSandbox>(nonsense).is_err());
    }
}
