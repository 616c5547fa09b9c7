//! Frames that wait to be written to a sandbox process.

use super::fetch::Hold;
use sandbox_protocol::{FetchAnswer, ToSandbox};
use shared::execution::ErrorCode;
use tokio::sync::mpsc;

/// Frame that is written to the sandbox process.
#[derive(Default)]
pub(super) struct Outgoing {
    pub(super) bytes: Vec<u8>,
    pub(super) written: usize,
    /// Limits of the run that an answer counts against until its last byte is written.
    pub(super) _hold: Hold,
}

impl Outgoing {
    /// Encodes the answer to a fetch. `hold` counts against the run until the frame is written.
    pub(super) fn answer(id: u32, answer: FetchAnswer, hold: Hold) -> Self {
        let bytes = sandbox_protocol::encode(&ToSandbox::FetchDone { id, answer }).or_else(|_too_long| {
            let message = "the response is too large".to_owned();
            sandbox_protocol::encode(&ToSandbox::FetchDone { id, answer: FetchAnswer::Refused { message } })
        });
        Self { bytes: bytes.unwrap_or_default(), written: 0, _hold: hold }
    }

    /// Encodes the order to stop the run.
    pub(super) fn terminate(code: ErrorCode) -> Self {
        let bytes = sandbox_protocol::encode(&ToSandbox::Terminate { code }).unwrap_or_default();
        Self { bytes, ..Self::default() }
    }
}

/// Queues a frame.
pub(super) fn send(outgoing: &mpsc::Sender<Outgoing>, frame: Outgoing) {
    // There is room by construction; a child that has none is stopped by its deadline.
    let _ = outgoing.try_send(frame);
}
