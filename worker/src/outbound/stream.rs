//! A connection whose bytes are counted before hyper sees them.

use super::{frames::FrameCounter, framing_budget::FramingBudget, poll_quota::PollQuota};
use hyper_util::client::legacy::connect::{Connected, Connection};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection to a server that may be hostile. A read fails once the server has sent a [`super::Flood`].
#[derive(Debug)]
pub(super) struct CountedStream<S> {
    inner: S,
    quota: PollQuota,
    bound: Bound,
}

/// The bound that a connection's protocol needs.
#[derive(Debug)]
enum Bound {
    /// Bytes, against the body that they bring.
    Http1(FramingBudget),
    /// Frames, by their kind.
    Http2(Box<FrameCounter>),
}

impl<S: Connection> CountedStream<S> {
    pub(super) fn new(inner: S) -> Self {
        let bound = if inner.connected().is_negotiated_h2() {
            Bound::Http2(Box::default())
        } else {
            Bound::Http1(FramingBudget::default())
        };
        Self { inner, quota: PollQuota::default(), bound }
    }
}

impl<S> CountedStream<S> {
    fn count_written(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let (Bound::Http2(frames), Poll::Ready(Ok(bytes))) = (&mut self.bound, &written) {
            frames.sent(*bytes);
        }
        written
    }
}

impl<S: Connection> Connection for CountedStream<S> {
    fn connected(&self) -> Connected {
        match &self.bound {
            // hyper puts it among the extensions of each response, where `WireBody` finds it.
            Bound::Http1(budget) => self.inner.connected().extra(budget.clone()),
            Bound::Http2(_) => self.inner.connected(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CountedStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { inner, quota, bound } = self.get_mut();
        let before = buf.filled().len();
        let read = quota.poll(
            cx,
            |cx| Pin::new(inner).poll_read(cx, buf).map_ok(|()| buf.filled().len() - before),
            |read| read.as_ref().map_or(0, |bytes| *bytes),
        );
        let bytes = ready!(read)?;
        match bound {
            Bound::Http1(budget) => budget.spend(bytes)?,
            Bound::Http2(frames) => frames.received(&buf.filled()[before..])?,
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CountedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.count_written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.count_written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
