//! Cache of build outputs by their hash. They are immutable, so a cached one is never checked again.

use crate::db::{Database, DatabaseError};
use moka::sync::Cache;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// Limits the cached code, in bytes. A build has at most some hundred KiB, most have a few.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

const FETCH: &str = "SELECT hash, code FROM builds WHERE hash = ANY ($1)";

/// Loads builds by their hash: from memory, else from the database.
#[derive(Debug)]
pub(crate) struct Builds {
    database: Database,
    cache: Cache<String, Arc<str>>,
}

fn cache() -> Cache<String, Arc<str>> {
    let bytes = |hash: &String, code: &Arc<str>| u32::try_from(hash.len() + code.len()).unwrap_or(u32::MAX);
    Cache::builder().max_capacity(CACHE_BYTES).weigher(bytes).build()
}

impl Builds {
    #[must_use]
    pub(crate) fn new(database: Database) -> Self {
        Self { database, cache: cache() }
    }

    /// Returns the code of each hash. A hash without a build is missing in the result.
    pub(crate) async fn get(
        &self,
        hashes: BTreeSet<&str>,
    ) -> Result<HashMap<String, Arc<str>>, DatabaseError> {
        let (mut found, unknown) = self.look_up(&hashes);
        if unknown.is_empty() {
            return Ok(found);
        }
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(FETCH).await?;
        for row in connection.query(&statement, &[&unknown]).await? {
            let (hash, code): (String, &str) = (row.try_get(0)?, row.try_get(1)?);
            let code: Arc<str> = code.into();
            self.cache.insert(hash.clone(), Arc::clone(&code));
            found.insert(hash, code);
        }
        Ok(found)
    }

    fn look_up<'a>(&self, hashes: &BTreeSet<&'a str>) -> (HashMap<String, Arc<str>>, Vec<&'a str>) {
        let mut unknown = Vec::new();
        let mut found = HashMap::new();
        for &hash in hashes {
            match self.cache.get(hash) {
                Some(code) => drop(found.insert(hash.to_owned(), code)),
                None => unknown.push(hash),
            }
        }
        (found, unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_code_stays_below_its_limit_in_bytes() {
        let cache = cache();
        let half: Arc<str> = "x".repeat(32 << 20).into();
        for hash in ["a", "b", "c"] {
            cache.insert(hash.to_owned(), Arc::clone(&half));
        }
        cache.run_pending_tasks();
        assert!(cache.weighted_size() <= CACHE_BYTES, "{} bytes", cache.weighted_size());
    }
}
