//! Health queries for requests without authentication: does the database answer, and how long is the queue.
//!
//! Invariant: however many requests come, one query at a time runs, on a connection that nothing else uses. Its answer
//! serves all requests that come soon after it.

use super::health::{self, Load};
use sqlx::PgPool;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Shortest time for which an answer is used, in milliseconds.
const MIN_TTL: Duration = Duration::from_millis(250);
/// Longest time for which an answer is used, in seconds.
const MAX_TTL: Duration = Duration::from_secs(2);
/// Ratio of the time for which an answer is used to the time its query took: queries use a tenth of one connection at
/// most.
const TTL_PER_COST: u32 = 10;

/// The latest answers of the database.
#[derive(Debug)]
pub struct Probe {
    pool: PgPool,
    ready: CachedAnswer<()>,
    load: CachedAnswer<Load>,
}

impl Probe {
    /// Runs its queries on `pool`.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, ready: CachedAnswer::default(), load: CachedAnswer::default() }
    }

    /// Tells whether the database answers.
    pub async fn is_ready(&self) -> bool {
        let asked = self.ready.get(health::ping(&self.pool)).await;
        asked.is_some()
    }

    /// Returns the load, or `None` if the database does not answer.
    pub async fn load(&self) -> Option<Load> {
        self.load.get(health::load(&self.pool)).await
    }
}

/// An answer, and the time until which it is used.
#[derive(Debug)]
struct CachedAnswer<T>(Mutex<Option<(Instant, Option<T>)>>);

impl<T> Default for CachedAnswer<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Copy> CachedAnswer<T> {
    /// Returns the latest answer, or a new one. A failure is used for the shortest time, so that its end is soon
    /// noticed.
    async fn get(&self, ask: impl Future<Output = Result<T, sqlx::Error>>) -> Option<T> {
        // Locked during the query: the other requests wait for its answer.
        let mut latest = self.0.lock().await;
        if let Some((until, answer)) = *latest
            && Instant::now() < until
        {
            return answer;
        }
        let asked = Instant::now();
        let answer = ask.await;
        let serves =
            if answer.is_ok() { (asked.elapsed() * TTL_PER_COST).clamp(MIN_TTL, MAX_TTL) } else { MIN_TTL };
        let answer = answer
            .inspect_err(|error| tracing::warn!(%error, "health probe: the database does not answer"))
            .ok();
        *latest = Some((Instant::now() + serves, answer));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn concurrent_callers_share_one_query() {
        let (latest, asked) = (CachedAnswer::<u32>::default(), AtomicU32::new(0));
        let ask = || async {
            tokio::task::yield_now().await;
            Ok(asked.fetch_add(1, Ordering::Relaxed))
        };
        let answers = futures_util::future::join_all((0..100).map(|_| latest.get(ask()))).await;
        assert_eq!(answers, [Some(0); 100]);
    }

    #[tokio::test]
    async fn a_failed_query_is_cached_only_briefly() {
        let latest = CachedAnswer::default();
        assert_eq!(latest.get(async { Err(sqlx::Error::PoolTimedOut) }).await, None);
        assert_eq!(latest.get(async { Ok(1) }).await, None);
        tokio::time::sleep(MIN_TTL).await;
        assert_eq!(latest.get(async { Ok(1) }).await, Some(1));
    }
}
