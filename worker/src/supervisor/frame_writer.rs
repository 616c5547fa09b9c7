//! Frames that wait to be written to a sandbox process.

use super::fetch::Hold;
use sandbox_protocol::{FetchAnswer, ToSandbox};
use tokio::sync::mpsc;

/// Frame that is written to the sandbox process.
#[derive(Default)]
pub(super) struct Outgoing {
    pub(super) bytes: Vec<u8>,
    pub(super) written: usize,
    /// Limits of the run that an answer counts against until its last byte is written.
    pub(super) _hold: Hold,
}

/// Queues a message. It counts against `hold` until it is written.
pub(super) fn send(outgoing: &mpsc::Sender<Outgoing>, message: &ToSandbox, hold: Hold) {
    let frame = sandbox_protocol::encode(message).or_else(|_too_long| match message {
        ToSandbox::FetchDone { id, .. } => {
            let message = "the response is too large".to_owned();
            sandbox_protocol::encode(&ToSandbox::FetchDone {
                id: *id,
                answer: FetchAnswer::Refused { message },
            })
        }
        other => sandbox_protocol::encode(other),
    });
    if let Ok(bytes) = frame {
        // The queue has room by construction. If it had none, the deadline would stop the run.
        let _ = outgoing.try_send(Outgoing { bytes, written: 0, _hold: hold });
    }
}
