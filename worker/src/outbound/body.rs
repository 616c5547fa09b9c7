//! A response's body as it arrives, before it is decompressed.

use super::{framing_budget::FramingBudget, poll_quota::PollQuota};
use bytes::Bytes;
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    http::Response,
};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Reason why a body ended before it was complete.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error(transparent)]
    Network(#[from] hyper::Error),
    #[error("the body is over {0} bytes on the wire")]
    TooLarge(usize),
}

/// A body whose bytes are bounded, and whose polls are.
pub(super) struct WireBody {
    inner: Incoming,
    /// The budget of the connection, if it speaks HTTP/1.
    budget: Option<FramingBudget>,
    quota: PollQuota,
    limit: usize,
    received: usize,
}

impl WireBody {
    /// Wraps the body of a response whose head has just arrived.
    pub(super) fn wrap(response: Response<Incoming>) -> Response<Self> {
        let budget = response.extensions().get::<FramingBudget>().cloned();
        if let Some(budget) = &budget {
            budget.refill();
        }
        response.map(|inner| Self {
            inner,
            budget,
            quota: PollQuota::default(),
            limit: usize::MAX,
            received: 0,
        })
    }

    /// Limits the bytes that may arrive.
    pub(super) fn limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }
}

impl Body for WireBody {
    type Data = Bytes;
    type Error = WireError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        let Self { inner, budget, quota, limit, received } = self.get_mut();
        let frame = ready!(quota.poll(cx, |cx| Pin::new(inner).poll_frame(cx), |frame| size(frame.as_ref())));
        let piece = size(frame.as_ref());
        if let Some(budget) = budget {
            budget.earn(piece);
        }
        *received += piece;
        if *received > *limit {
            return Poll::Ready(Some(Err(WireError::TooLarge(*limit))));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(WireError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Bytes of body in what was polled; trailers and errors have none.
fn size(frame: Option<&Result<Frame<Bytes>, hyper::Error>>) -> usize {
    match frame {
        Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
        _ => 0,
    }
}
