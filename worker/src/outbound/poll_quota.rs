//! A bound on the work of one poll. hyper reads for as long as its socket has more, so that without it one poll of a fast
//! server's connection lasts for seconds.

use std::task::{Context, Poll, ready};

/// Limits the bytes that one poll works on. Parsing the smallest interim heads takes about 1 µs for 16 bytes, so one poll
/// lasts a few milliseconds.
pub(super) const BYTES_PER_POLL: usize = 64 * 1024;

/// Counts the bytes since the task last yielded its thread.
#[derive(Debug, Default)]
pub(super) struct PollQuota {
    used: usize,
}

impl PollQuota {
    /// Polls `source`, whose result `size` gives the bytes of. Returns pending, and wakes the task at once, when the
    /// quota is used up.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        source: impl FnOnce(&mut Context<'_>) -> Poll<T>,
        size: impl FnOnce(&T) -> usize,
    ) -> Poll<T> {
        if self.used >= BYTES_PER_POLL {
            self.used = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = source(cx);
        if polled.is_pending() {
            self.used = 0;
        }
        let polled = ready!(polled);
        self.used += size(&polled);
        Poll::Ready(polled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    /// Polls with these results, and returns which of them came through.
    fn poll_all<const N: usize>(results: [Poll<usize>; N]) -> [bool; N] {
        let (mut quota, mut cx) = (PollQuota::default(), Context::from_waker(Waker::noop()));
        results.map(|result| quota.poll(&mut cx, |_| result, |bytes| *bytes).is_ready())
    }

    #[test]
    fn the_task_yields_after_64_kib() {
        let one = Poll::Ready(1);
        assert_eq!(poll_all([Poll::Ready(65_535), one, one, one]), [true, true, false, true]);
    }

    #[test]
    fn waiting_for_the_source_restores_the_quota() {
        let polled = poll_all([Poll::Ready(65_535), Poll::Pending, Poll::Ready(65_535), Poll::Ready(1)]);
        assert_eq!(polled, [true, false, true, true]);
    }
}
