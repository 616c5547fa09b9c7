//! Used nonces: each signed request is accepted once.

use crate::db::{Database, DatabaseError};
use shared::signing::CLOCK_SKEW_S;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Time, in seconds, for which a nonce must be remembered: a signature is valid from 300 s before its timestamp until 300 s
/// after it.
const LIFETIME: Duration = Duration::from_secs(2 * CLOCK_SKEW_S);
/// Limits the nonces in memory, where there is no database. Beyond it requests are refused, since a forgotten nonce could be
/// used again.
const MAX_NONCES: usize = 200_000;

const INSERT: &str = "INSERT INTO request_nonces (nonce) VALUES ($1) ON CONFLICT DO NOTHING";

/// Store of used nonces.
#[derive(Debug)]
pub enum Nonces {
    /// Table `request_nonces`, shared by every worker and api process.
    Database(Box<Database>),
    /// Memory of this process, for tests of the endpoints without a database.
    Memory(MemoryNonces),
}

/// Reason why a nonce could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum NonceError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("the memory of nonces is full: {MAX_NONCES} are in use")]
    Full,
}

impl Nonces {
    /// Marks `nonce` as used. Returns false if it was used before.
    pub async fn use_once(&self, nonce: &str) -> Result<bool, NonceError> {
        match self {
            Self::Database(database) => {
                let connection = database.connection().await?;
                let insert = connection.prepare_cached(INSERT).await.map_err(DatabaseError::from)?;
                Ok(connection.execute(&insert, &[&nonce]).await.map_err(DatabaseError::from)? == 1)
            }
            Self::Memory(nonces) => nonces.use_once(nonce, Instant::now()),
        }
    }
}

/// Used nonces of one process.
#[derive(Debug, Default)]
pub struct MemoryNonces(Mutex<HashMap<String, Instant>>);

impl MemoryNonces {
    fn use_once(&self, nonce: &str, now: Instant) -> Result<bool, NonceError> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains_key(nonce) {
            return Ok(false);
        }
        if seen.len() >= MAX_NONCES {
            seen.retain(|_, since| now.duration_since(*since) < LIFETIME);
        }
        if seen.len() >= MAX_NONCES {
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
        assert!(nonces.use_once("0123456789abcdef").await.unwrap());
        assert!(!nonces.use_once("0123456789abcdef").await.unwrap());
        assert!(nonces.use_once("0123456789abcdeg").await.unwrap());
    }

    #[test]
    fn a_full_nonce_store_refuses_until_old_nonces_expire() {
        let nonces = MemoryNonces::default();
        let start = Instant::now();
        for number in 0..MAX_NONCES {
            assert!(nonces.use_once(&number.to_string(), start).unwrap());
        }
        assert!(matches!(nonces.use_once("one more", start), Err(NonceError::Full)));
        assert!(nonces.use_once("one more", start + LIFETIME).unwrap());
    }
}
