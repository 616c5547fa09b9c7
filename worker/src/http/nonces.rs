//! Which nonces were used, so that a signed request counts once.

use crate::db::{Database, DatabaseError};
use shared::signing::CLOCK_SKEW_S;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A signature may be presented from 300 s before its time until 300 s after it.
const LIFETIME: Duration = Duration::from_secs(2 * CLOCK_SKEW_S);
/// How many nonces are remembered at most without a database; beyond, requests are refused rather than forgotten.
const MOST_REMEMBERED: usize = 200_000;

const INSERT: &str = "INSERT INTO request_nonces (nonce) VALUES ($1) ON CONFLICT DO NOTHING";

/// Where nonces are kept.
#[derive(Debug)]
pub enum Nonces {
    /// `request_nonces`, shared by every worker and api process.
    Database(Box<Database>),
    /// This process only, for a worker that runs without a database.
    Memory(MemoryNonces),
}

/// Why it is not known whether a nonce is new.
#[derive(Debug, thiserror::Error)]
pub enum NonceError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("{MOST_REMEMBERED} nonces are in use")]
    Full,
}

impl Nonces {
    /// Uses up `nonce`; false if it was used before.
    pub async fn take(&self, nonce: &str) -> Result<bool, NonceError> {
        match self {
            Self::Database(database) => {
                let connection = database.connection().await?;
                let insert = connection.prepare_cached(INSERT).await.map_err(DatabaseError::from)?;
                Ok(connection.execute(&insert, &[&nonce]).await.map_err(DatabaseError::from)? == 1)
            }
            Self::Memory(nonces) => nonces.take(nonce, Instant::now()),
        }
    }
}

/// Nonces of one process.
#[derive(Debug, Default)]
pub struct MemoryNonces(Mutex<HashMap<String, Instant>>);

impl MemoryNonces {
    fn take(&self, nonce: &str, now: Instant) -> Result<bool, NonceError> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains_key(nonce) {
            return Ok(false);
        }
        if seen.len() >= MOST_REMEMBERED {
            seen.retain(|_, since| now.duration_since(*since) < LIFETIME);
        }
        if seen.len() >= MOST_REMEMBERED {
            return Err(NonceError::Full);
        }
        seen.insert(nonce.to_owned(), now);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_nonce_is_taken_once() {
        let nonces = Nonces::Memory(MemoryNonces::default());
        assert!(nonces.take("0123456789abcdef").await.unwrap());
        assert!(!nonces.take("0123456789abcdef").await.unwrap());
        assert!(nonces.take("0123456789abcdeg").await.unwrap());
    }

    #[test]
    fn a_full_memory_refuses_until_old_nonces_may_go() {
        let nonces = MemoryNonces::default();
        let start = Instant::now();
        for number in 0..MOST_REMEMBERED {
            assert!(nonces.take(&number.to_string(), start).unwrap());
        }
        assert!(matches!(nonces.take("one more", start), Err(NonceError::Full)));
        assert!(nonces.take("one more", start + LIFETIME).unwrap());
    }
}
