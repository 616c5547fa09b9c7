//! The types for the editor, made once for each state of a workspace's functions.

use super::type_declarations::{Declarations, RUNTIME};
use crate::{
    db,
    model::{error::ApiError, etag::Etag},
};
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use std::sync::Arc;
use uuid::Uuid;

/// Limits the bytes of the workspaces' declarations in the cache.
const MAX_CACHED_BYTES: u64 = 16 * 1024 * 1024;

/// The declarations of a workspace's functions.
#[derive(Debug)]
pub(crate) struct Types {
    /// State of the functions that are declared.
    state: String,
    text: String,
    pub tag: Etag,
}

impl Types {
    fn new(state: String, text: String) -> Self {
        let digest = Sha256::new().chain_update(RUNTIME).chain_update(&text).finalize();
        Self { state, text, tag: Etag::of_text(&hex::encode(&digest[..16])) }
    }

    /// Returns the `.d.ts` file: the declarations of the sandbox's globals, and then those of the functions.
    pub(crate) fn file(&self) -> Vec<u8> {
        [RUNTIME.as_bytes(), self.text.as_bytes()].concat()
    }
}

/// The types that this process made last, by workspace. Clones share entries.
#[derive(Clone, Debug)]
pub struct TypesCache(Cache<Uuid, Arc<Types>>);

impl Default for TypesCache {
    fn default() -> Self {
        let bytes = |_: &Uuid, types: &Arc<Types>| u32::try_from(types.text.len()).unwrap_or(u32::MAX);
        Self(Cache::builder().max_capacity(MAX_CACHED_BYTES).weigher(bytes).build())
    }
}

impl TypesCache {
    /// Returns the types if they were made for this state of the functions.
    fn get(&self, workspace_id: Uuid, state: &str) -> Option<Arc<Types>> {
        self.0.get(&workspace_id).filter(|types| types.state == state)
    }
}

/// Returns the types of a workspace, from the cache if its functions have not changed. Otherwise reads the functions one
/// by one, since the code of all of them may take much memory.
pub(crate) async fn types(
    cache: &TypesCache,
    pool: &PgPool,
    workspace_id: Uuid,
) -> Result<Arc<Types>, ApiError> {
    // Read first: types made of newer functions are made again by the next request.
    let state = db::functions::visible_state(pool, workspace_id).await?;
    if let Some(types) = cache.get(workspace_id, &state) {
        return Ok(types);
    }
    let mut declarations = Declarations::new();
    for id in db::functions::visible_ids(pool, workspace_id).await? {
        // A function may be deleted meanwhile.
        let Some(function) = db::functions::get(pool, workspace_id, id).await? else { continue };
        // Parses the code of the function: some hundred microseconds.
        let added = tokio::task::spawn_blocking(move || {
            declarations.add(&function);
            declarations
        });
        declarations = added
            .await
            .map_err(|error| ApiError::Internal(format!("the declarations failed: {error}").into()))?;
    }
    let types = Arc::new(Types::new(state, declarations.finish()));
    cache.0.insert(workspace_id, types.clone());
    Ok(types)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_kept_for_one_state_of_the_functions() {
        let (cache, workspace) = (TypesCache::default(), Uuid::nil());
        let types = Arc::new(Types::new("old".to_owned(), "declare const a: 1;".to_owned()));
        cache.0.insert(workspace, types.clone());
        assert!(Arc::ptr_eq(&cache.get(workspace, "old").unwrap(), &types));
        assert!(cache.get(workspace, "new").is_none());
        assert!(cache.get(Uuid::max(), "old").is_none());
    }

    #[test]
    fn the_file_has_the_globals_and_then_the_functions() {
        let types = Types::new(String::new(), "declare const a: 1;".to_owned());
        let file = String::from_utf8(types.file()).unwrap();
        assert!(file.starts_with(RUNTIME) && file.ends_with("declare const a: 1;"));
    }
}
