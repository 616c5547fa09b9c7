//! A bound on the interim heads (1xx) of a response over HTTP/1.
//!
//! hyper reads interim heads for as long as they arrive, and reports each. It reports none of HTTP/2's, which
//! [`super::frames`] counts.

use super::{Flood, INTERIM_BYTES, MAX_INTERIM_HEADS};
use hyper::http::{HeaderMap, Request};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::Notify;

/// Counts the interim heads of one request.
#[derive(Debug, Default)]
pub(super) struct InterimHeads {
    heads: AtomicUsize,
    bytes: AtomicUsize,
    exceeded: Notify,
}

impl InterimHeads {
    /// Starts counting for a request that is about to be sent.
    pub(super) fn watch<B>(request: &mut Request<B>) -> Arc<Self> {
        let watch = Arc::new(Self::default());
        let counting = Arc::clone(&watch);
        hyper::ext::on_informational(request, move |head| counting.count(size(head.headers())));
        watch
    }

    fn count(&self, bytes: usize) {
        let heads = self.heads.fetch_add(1, Ordering::Relaxed) + 1;
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if heads > MAX_INTERIM_HEADS || bytes > INTERIM_BYTES {
            self.exceeded.notify_one();
        }
    }

    /// Waits until a bound is exceeded.
    pub(super) async fn exceeded(&self) -> Flood {
        self.exceeded.notified().await;
        Flood
    }
}

fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn the_ninth_interim_head_is_too_many() {
        let interim = InterimHeads::default();
        (0..8).for_each(|_| interim.count(10));
        assert!(interim.exceeded().now_or_never().is_none());
        interim.count(10);
        assert!(interim.exceeded().now_or_never().is_some());
    }

    #[test]
    fn bytes_of_all_interim_heads_count_together() {
        let interim = InterimHeads::default();
        interim.count(40_000);
        assert!(interim.exceeded().now_or_never().is_none());
        interim.count(25_537);
        assert!(interim.exceeded().now_or_never().is_some());
    }
}
