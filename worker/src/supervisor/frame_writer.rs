//! Frames that wait to be written to a sandbox process, the job first.

use super::fetch::Hold;
use sandbox_protocol::{FetchAnswer, FrameError, Job, ToSandbox};
use shared::execution::ErrorCode;
use std::{collections::VecDeque, io};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    net::unix::OwnedWriteHalf,
};

/// Encoded message to a sandbox process.
pub(super) struct Frame {
    bytes: Vec<u8>,
    /// Limits of the run that an answer counts against until its last byte is written.
    _hold: Hold,
}

impl Frame {
    /// Encodes the answer to a fetch. `hold` counts against the run until the frame is written.
    pub(super) fn answer(id: u32, answer: FetchAnswer, hold: Hold) -> Self {
        let bytes = sandbox_protocol::encode(&ToSandbox::FetchDone { id, answer }).or_else(|_too_long| {
            let message = "the response is too large".to_owned();
            sandbox_protocol::encode(&ToSandbox::FetchDone { id, answer: FetchAnswer::Refused { message } })
        });
        Self { bytes: bytes.unwrap_or_default(), _hold: hold }
    }

    /// Encodes the order to stop the run.
    pub(super) fn terminate(code: ErrorCode) -> Self {
        let bytes = sandbox_protocol::encode(&ToSandbox::Terminate { code }).unwrap_or_default();
        Self { bytes, _hold: Hold::default() }
    }
}

/// Writes frames in their order, as fast as the socket takes them. The number of queued frames is bounded by the run's limit
/// of fetches: one answer for each, and one order to stop.
pub(super) struct FrameWriter {
    queue: VecDeque<Frame>,
    /// Number of bytes of the first frame that the socket has taken.
    written: usize,
    has_sent_job: bool,
    is_closed: bool,
}

impl FrameWriter {
    /// Queues the job, and writes at once as much of it as the socket takes.
    pub(super) fn start(job: &Job, socket: &OwnedWriteHalf) -> Result<Self, FrameError> {
        let bytes = sandbox_protocol::encode(&ToSandbox::Execute(Box::new(job.clone())))?;
        // An error occurs again when the rest is written.
        let written = socket.try_write(&bytes).unwrap_or(0);
        let mut writer = Self::with_job(bytes);
        writer.advance(written);
        Ok(writer)
    }

    fn with_job(bytes: Vec<u8>) -> Self {
        let job = Frame { bytes, _hold: Hold::default() };
        Self { queue: VecDeque::from([job]), written: 0, has_sent_job: false, is_closed: false }
    }

    pub(super) fn push(&mut self, frame: Frame) {
        if !self.is_closed {
            self.queue.push_back(frame);
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns true once the process has been sent the whole job.
    pub(super) const fn has_sent_job(&self) -> bool {
        self.has_sent_job
    }

    /// Writes once. Cancel-safe.
    pub(super) async fn write(&mut self, socket: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let Some(frame) = self.queue.front() else { return Ok(()) };
        match socket.write(&frame.bytes[self.written..]).await? {
            0 if !frame.bytes.is_empty() => Err(io::ErrorKind::WriteZero.into()),
            bytes => {
                self.advance(bytes);
                Ok(())
            }
        }
    }

    /// Drops all frames, and those that are pushed from now on: the process reads no more.
    pub(super) fn close(&mut self) {
        self.queue.clear();
        self.is_closed = true;
    }

    fn advance(&mut self, bytes: usize) {
        self.written += bytes;
        if self.queue.front().is_some_and(|frame| self.written >= frame.bytes.len()) {
            self.queue.pop_front();
            self.written = 0;
            self.has_sent_job = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, duplex};

    fn frame(bytes: &[u8]) -> Frame {
        Frame { bytes: bytes.to_vec(), _hold: Hold::default() }
    }

    #[tokio::test]
    async fn frames_are_written_in_their_order() {
        let (mut ours, mut theirs) = duplex(3);
        let mut writer = FrameWriter::with_job(b"the job".to_vec());
        writer.push(frame(b", an answer"));
        let reading = tokio::spawn(async move {
            let mut text = String::new();
            theirs.read_to_string(&mut text).await.map(|_| text)
        });
        while !writer.is_idle() {
            writer.write(&mut ours).await.unwrap();
        }
        drop(ours);
        assert_eq!(reading.await.unwrap().unwrap(), "the job, an answer");
    }

    #[tokio::test]
    async fn the_job_is_sent_with_its_last_byte() {
        let (mut ours, _theirs) = duplex(6);
        let mut writer = FrameWriter::with_job(b"the job".to_vec());
        writer.write(&mut ours).await.unwrap();
        assert!(!writer.has_sent_job());
        let (mut ours, _theirs) = duplex(6);
        writer.write(&mut ours).await.unwrap();
        assert!(writer.has_sent_job());
    }

    #[test]
    fn a_closed_writer_takes_no_frames() {
        let mut writer = FrameWriter::with_job(b"job".to_vec());
        writer.close();
        writer.push(frame(b"answer"));
        assert!(writer.is_idle());
    }

    #[tokio::test]
    async fn a_closed_socket_is_an_error() {
        let (mut ours, theirs) = duplex(64);
        drop(theirs);
        let mut writer = FrameWriter::with_job(b"job".to_vec());
        assert!(writer.write(&mut ours).await.is_err());
    }
}
