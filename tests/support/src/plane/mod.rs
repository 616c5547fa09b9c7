//! HTTP server that imitates Plane's API on its own port, for scripts and the SDK in tests.
//!
//! It stores rows per collection (`projects/P/work-items`), pages lists with cursors, expands relations and records
//! every request. Failures are injected by path. Paths that Plane does not have are answered 404.

mod rows;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{RawQuery, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use rows::Rows;
use serde_json::{Value, json};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// Request that the server received.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    /// JSON, else the text as a string, or null.
    pub body: Value,
}

struct Failure {
    method: &'static str,
    path_part: String,
    status: u16,
    times: usize,
}

#[derive(Default)]
struct PlaneState {
    prefix: &'static str,
    rows: Rows,
    failures: Vec<Failure>,
    received: Vec<Received>,
}

/// Server, stopped when the value is dropped.
pub struct FakePlane {
    address: SocketAddr,
    /// Prefix of every path, such as `/plane`, or empty.
    prefix: &'static str,
    state: Arc<Mutex<PlaneState>>,
    server: JoinHandle<()>,
}

impl FakePlane {
    /// Starts a server with an empty workspace for any slug. Lists have pages of at most `page_size` rows.
    pub async fn start(page_size: usize) -> Self {
        Self::start_below("", page_size).await
    }

    /// Starts a server with every path below `prefix`, like behind a proxy that serves other applications, too.
    pub async fn start_below(prefix: &'static str, page_size: usize) -> Self {
        let state = Arc::new(Mutex::new(PlaneState {
            prefix,
            rows: Rows::paged_by(page_size),
            ..PlaneState::default()
        }));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let app = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("the listener outlives the test");
        });
        Self { address, prefix, state, server }
    }

    /// Returns the URL for `API_BASE_URL`.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.prefix)
    }

    /// Returns the value for `SANDBOX_ALLOW_PRIVATE_NETWORK` with which a worker can reach the server.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Adds a row to a collection, such as `projects/p/states`. Generates its `id` if it has none.
    pub fn add(&self, collection: &str, row: Value) -> String {
        self.state().rows.insert(collection, row)["id"].as_str().expect("ids are texts").to_owned()
    }

    /// Sets a response that is not a list of rows, such as that of `projects/p/project-members`.
    pub fn set(&self, path: &str, answer: Value) {
        self.state().rows.set(path, answer);
    }

    /// Returns the rows of a collection, in order of creation.
    pub fn rows(&self, collection: &str) -> Vec<Value> {
        self.state().rows.all(collection).to_vec()
    }

    /// Returns one row.
    ///
    /// # Panics
    /// If it does not exist.
    pub fn row(&self, collection: &str, id: &str) -> Value {
        self.state().rows.find(collection, id).expect("the row exists").clone()
    }

    /// Answers the next `times` requests of this method whose path contains `path_part` with `status`.
    pub fn fail(&self, method: &'static str, path_part: &str, status: u16, times: usize) {
        self.state().failures.push(Failure { method, path_part: path_part.to_owned(), status, times });
    }

    /// Returns every request so far.
    pub fn received(&self) -> Vec<Received> {
        self.state().received.clone()
    }

    /// Returns the number of requests with methods other than GET.
    pub fn writes(&self) -> usize {
        self.state().received.iter().filter(|request| request.method != "GET").count()
    }

    fn state(&self) -> MutexGuard<'_, PlaneState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FakePlane {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(
    State(state): State<Arc<Mutex<PlaneState>>>,
    method: Method,
    uri: Uri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body = serde_json::from_slice(&body).unwrap_or_else(|_| {
        if body.is_empty() { Value::Null } else { String::from_utf8_lossy(&body).into() }
    });
    let query = query.unwrap_or_default();
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.received.push(Received {
        method: method.to_string(),
        path: uri.path().to_owned(),
        query: query.clone(),
        headers: headers.clone(),
        body: body.clone(),
    });
    if let Some(status) = state.injected(&method, uri.path()) {
        return refused(status, "This failure was asked for.");
    }
    if !headers.contains_key("x-api-key") && !headers.contains_key("authorization") {
        return refused(StatusCode::UNAUTHORIZED, "Authentication credentials were not provided.");
    }
    let Some(path) = uri.path().strip_prefix(state.prefix).and_then(workspace_path) else {
        return refused(StatusCode::NOT_FOUND, "Page not found.");
    };
    match state.rows.answer(method.as_str(), path, &query, body) {
        Some((status, body)) => (StatusCode::from_u16(status).expect("a status"), Json(body)).into_response(),
        None => refused(StatusCode::NOT_FOUND, "The requested resource does not exist."),
    }
}

impl PlaneState {
    fn injected(&mut self, method: &Method, path: &str) -> Option<StatusCode> {
        let failure = self.failures.iter_mut().find(|failure| {
            failure.times > 0 && method == failure.method && path.contains(&failure.path_part)
        })?;
        failure.times -= 1;
        Some(StatusCode::from_u16(failure.status).expect("a status"))
    }
}

fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

/// Returns the path inside the workspace: `projects/p` for `/api/v1/workspaces/demo/projects/p/`.
fn workspace_path(path: &str) -> Option<&str> {
    let (_slug, path) = path.strip_prefix("/api/v1/workspaces/")?.split_once('/')?;
    path.strip_suffix('/')
}
