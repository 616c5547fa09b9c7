//! Frames on their way to a child.

use super::fetch::Hold;
use sandbox_protocol::{FetchAnswer, ToSandbox};
use tokio::sync::mpsc;

/// A frame on its way to the child.
#[derive(Default)]
pub(super) struct Outgoing {
    pub(super) bytes: Vec<u8>,
    pub(super) written: usize,
    /// What an answer counts against, until the last byte is written.
    pub(super) _hold: Hold,
}

/// Queues a message; `hold` is what it counts against until it is written.
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
        // There is room by construction; a child that has none is stopped by its deadline.
        let _ = outgoing.try_send(Outgoing { bytes, written: 0, _hold: hold });
    }
}
