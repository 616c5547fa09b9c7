//! Registry of npm packages on its own port.

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tar::{Builder, EntryType, Header};
use tokio::{net::TcpListener, task::AbortHandle};

#[derive(Default)]
struct RegistryState {
    /// Responses by path, without the leading slash.
    metadata: BTreeMap<String, Value>,
    archives: BTreeMap<String, Vec<u8>>,
    requests: Vec<String>,
}

/// Registry of npm packages, stopped when the value is dropped.
pub struct Registry {
    origin: String,
    state: Arc<Mutex<RegistryState>>,
    task: AbortHandle,
}

impl Registry {
    /// Starts an empty registry.
    ///
    /// # Panics
    /// If the registry can't listen.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let origin = format!("http://{}", listener.local_addr().expect("it listens"));
        let state = Arc::new(Mutex::new(RegistryState::default()));
        let app = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let task = tokio::spawn(async { axum::serve(listener, app).await }).abort_handle();
        Self { origin, state, task }
    }

    /// Returns the URL for `NPM_REGISTRY_URL`.
    pub fn url(&self) -> String {
        self.origin.clone()
    }

    /// Publishes a version with these files. `more` has additional fields of its metadata.
    pub fn publish(&self, name: &str, version: &str, files: &[(&str, &str)], more: Value) {
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (format!("package/{path}"), EntryType::Regular, (*text).to_owned()))
            .collect();
        let archive = archive(&files);
        let integrity = format!("sha512-{}", STANDARD.encode(Sha512::digest(&archive)));
        self.publish_archive(name, version, archive, &integrity, more);
    }

    /// Publishes a version with any archive and integrity, valid or not.
    pub fn publish_archive(
        &self,
        name: &str,
        version: &str,
        archive: Vec<u8>,
        integrity: &str,
        mut more: Value,
    ) {
        let path = format!("{name}/-/{version}.tgz");
        more["name"] = name.into();
        more["version"] = version.into();
        more["dist"] = json!({ "tarball": format!("{}/{path}", self.origin), "integrity": integrity });
        let mut state = self.state();
        state.archives.insert(path, archive);
        let key = name.replace('/', "%2f");
        let metadata =
            state.metadata.entry(key).or_insert_with(|| json!({ "dist-tags": {}, "versions": {} }));
        metadata["dist-tags"]["latest"] = version.into();
        metadata["versions"][version] = more;
    }

    /// Returns the requested paths since the start.
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    fn state(&self) -> MutexGuard<'_, RegistryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Makes a gzipped archive of entries `(path, type, content)`.
///
/// # Panics
/// If a path is too long for a header.
pub fn archive(files: &[(String, EntryType, String)]) -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, kind, content) in files {
        let mut header = Header::new_old();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).expect("memory takes everything");
    }
    let encoder = builder.into_inner().expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

async fn answer(State(state): State<Arc<Mutex<RegistryState>>>, uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/').to_owned();
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.requests.push(path.clone());
    if let Some(metadata) = state.metadata.get(&path) {
        return Json(metadata.clone()).into_response();
    }
    match state.archives.get(&path) {
        Some(archive) => archive.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
