//! Body of a request, which stays in the isolate's memory until it is sent.

use sandbox_protocol::{FrameError, FromSandbox, encode_before_body};
use std::io::Write;

/// Bytes that are copied out of the isolate's memory at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Bytes of a view that no script can reach or change: the runtime copied them for the request. They count against the
/// memory of the run until this value is dropped.
pub(super) struct RequestBody {
    store: v8::SharedRef<v8::BackingStore>,
    offset: usize,
    length: usize,
}

impl RequestBody {
    /// Takes the bytes of a view. `None` if it has no buffer.
    pub(super) fn of(view: v8::Local<v8::ArrayBufferView>) -> Option<Self> {
        let store = view.get_backing_store()?;
        let (offset, length) = (view.byte_offset(), view.byte_length());
        (offset.checked_add(length)? <= store.len()).then_some(Self { store, offset, length })
    }

    pub(super) const fn bytes(&self) -> usize {
        self.length
    }

    /// Writes a message with these bytes attached. Blocking.
    pub(super) fn write(&self, message: &FromSandbox, sink: &mut impl Write) -> Result<(), FrameError> {
        sink.write_all(&encode_before_body(message, self.length)?)?;
        let cells =
            self.store.get(self.offset..).and_then(|rest| rest.get(..self.length)).unwrap_or_default();
        for piece in cells.chunks(PIECE_BYTES) {
            let bytes: Vec<u8> = piece.iter().map(std::cell::Cell::get).collect();
            sink.write_all(&bytes)?;
        }
        Ok(())
    }
}
