//! Build outputs by their hash. They are immutable, so what was fetched once is never asked for again.

use crate::db::{Database, DatabaseError};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

/// Bytes of code kept. A build is at most some hundred KiB, most are a few.
const KEPT_BYTES: usize = 64 * 1024 * 1024;

const FETCH: &str = "SELECT hash, code FROM builds WHERE hash = ANY ($1)";

/// The builds this worker has seen last.
#[derive(Debug)]
pub struct Builds {
    database: Database,
    kept: Mutex<Kept>,
}

/// The oldest go first when there are too many.
#[derive(Debug, Default)]
struct Kept {
    by_hash: HashMap<String, Arc<str>>,
    by_age: VecDeque<String>,
    bytes: usize,
}

impl Kept {
    fn insert(&mut self, hash: String, code: Arc<str>) {
        if self.by_hash.contains_key(&hash) {
            return;
        }
        self.bytes += code.len();
        self.by_age.push_back(hash.clone());
        self.by_hash.insert(hash, code);
        while self.bytes > KEPT_BYTES && self.by_age.len() > 1 {
            let oldest = self.by_age.pop_front().and_then(|hash| self.by_hash.remove(&hash));
            self.bytes -= oldest.map_or(0, |code| code.len());
        }
    }
}

impl Builds {
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database, kept: Mutex::default() }
    }

    /// The code of each hash; one that does not exist is missing in the answer.
    pub async fn get(&self, hashes: BTreeSet<&str>) -> Result<HashMap<String, Arc<str>>, DatabaseError> {
        let (mut found, unknown) = self.look_up(&hashes);
        if unknown.is_empty() {
            return Ok(found);
        }
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(FETCH).await?;
        for row in connection.query(&statement, &[&unknown]).await? {
            let (hash, code): (String, &str) = (row.try_get(0)?, row.try_get(1)?);
            let code: Arc<str> = code.into();
            self.kept().insert(hash.clone(), Arc::clone(&code));
            found.insert(hash, code);
        }
        Ok(found)
    }

    fn look_up<'a>(&self, hashes: &BTreeSet<&'a str>) -> (HashMap<String, Arc<str>>, Vec<&'a str>) {
        let kept = self.kept();
        let mut unknown = Vec::new();
        let mut found = HashMap::new();
        for &hash in hashes {
            match kept.by_hash.get(hash) {
                Some(code) => drop(found.insert(hash.to_owned(), Arc::clone(code))),
                None => unknown.push(hash),
            }
        }
        (found, unknown)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        // A panic elsewhere can't leave a half-made entry that matters: the worst is a wrong byte count.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_when_there_are_too_many_bytes() {
        let mut kept = Kept::default();
        let large: Arc<str> = "x".repeat(KEPT_BYTES / 2 + 1).into();
        for hash in ["a", "b", "b", "c"] {
            kept.insert(hash.to_owned(), Arc::clone(&large));
        }
        assert_eq!(kept.by_hash.keys().collect::<Vec<_>>(), ["c"]);
        assert_eq!(kept.bytes, large.len());
    }
}
