//! Frames that wait to be written to a sandbox process, the job first.

use super::fetch::Hold;
use bytes::Bytes;
use sandbox_protocol::{FetchAnswer, FrameError, Job, ToSandbox};
use shared::execution::ErrorCode;
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    net::unix::OwnedWriteHalf,
};

/// Encoded message to a sandbox process.
#[derive(Default)]
pub(super) struct Frame {
    /// All of the frame before the body.
    head: Vec<u8>,
    body: Bytes,
    /// Limits of the run that an answer counts against until its last byte is written.
    _hold: Hold,
}

impl Frame {
    /// Encodes the answer to a fetch. `hold` counts against the run until the frame is written.
    pub(super) fn answer(id: u32, answer: FetchAnswer, body: Bytes, hold: Hold) -> Self {
        match sandbox_protocol::encode_before_body(&ToSandbox::FetchDone { id, answer }, body.len()) {
            Ok(head) => Self { head, body, _hold: hold },
            Err(_too_long) => {
                let answer = FetchAnswer::Refused { message: "the response is too large".to_owned() };
                Self::message(&ToSandbox::FetchDone { id, answer })
            }
        }
    }

    /// Encodes the request for the body of a fetch.
    pub(super) fn send_body(id: u32) -> Self {
        Self::message(&ToSandbox::SendBody { id })
    }

    /// Encodes the order to stop the run.
    pub(super) fn terminate(code: ErrorCode) -> Self {
        Self::message(&ToSandbox::Terminate { code })
    }

    fn message(message: &ToSandbox) -> Self {
        Self { head: sandbox_protocol::encode(message).unwrap_or_default(), ..Self::default() }
    }

    fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Returns what follows the first `written` bytes.
    fn rest(&self, written: usize) -> [IoSlice<'_>; 2] {
        let (head, body) = match written.checked_sub(self.head.len()) {
            None => (&self.head[written..], &self.body[..]),
            Some(written) => (&[][..], &self.body[written..]),
        };
        [IoSlice::new(head), IoSlice::new(body)]
    }
}

/// Writes frames in their order, as fast as the socket takes them. The number of queued frames is bounded by the run's limit
/// of fetches: one answer and one request for a body for each, and one order to stop.
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
        let job = Frame { head: bytes, ..Frame::default() };
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
        match socket.write_vectored(&frame.rest(self.written)).await? {
            0 if frame.len() > 0 => Err(io::ErrorKind::WriteZero.into()),
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
        if self.queue.front().is_some_and(|frame| self.written >= frame.len()) {
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
        Frame { head: bytes.to_vec(), ..Frame::default() }
    }

    #[tokio::test]
    async fn the_body_follows_its_message_in_any_pieces() {
        let answer = || FetchAnswer::Response {
            status: 200,
            status_text: String::new(),
            url: "http://a.test/".to_owned(),
            redirected: false,
            headers: Vec::new(),
        };
        for piece in [1, 7, 1_000] {
            let (mut ours, mut theirs) = duplex(piece);
            let mut writer = FrameWriter::with_job(Vec::new());
            writer.push(Frame::answer(7, answer(), Bytes::from_static(b"the body"), Hold::default()));
            let reading = tokio::spawn(async move {
                let mut bytes = Vec::new();
                theirs.read_to_end(&mut bytes).await.map(|_| bytes)
            });
            while !writer.is_idle() {
                writer.write(&mut ours).await.unwrap();
            }
            drop(ours);
            let bytes = reading.await.unwrap().unwrap();
            let payload = sandbox_protocol::read_frame(&mut bytes.as_slice()).unwrap();
            let (message, start) = sandbox_protocol::decode(&payload).unwrap();
            assert!(matches!(message, ToSandbox::FetchDone { id: 7, answer: FetchAnswer::Response { .. } }));
            assert_eq!(&payload[start..], b"the body");
        }
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
