//! An HTTP server that answers as Plane's API does, on a port of its own: what scripts and the SDK talk to in tests.
//!
//! It keeps rows per collection (`projects/P/work-items`), pages lists with cursors, expands relations and records
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

/// One request the server was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    /// JSON, or the text as a string, or null.
    pub body: Value,
}

struct Failure {
    method: &'static str,
    path_part: String,
    status: u16,
    times: usize,
}

#[derive(Default)]
struct World {
    prefix: &'static str,
    rows: Rows,
    failures: Vec<Failure>,
    received: Vec<Received>,
}

/// The server; it ends with the value.
pub struct FakePlane {
    address: SocketAddr,
    /// Of every path, such as `/plane`, or empty.
    prefix: &'static str,
    world: Arc<Mutex<World>>,
    server: JoinHandle<()>,
}

impl FakePlane {
    /// Starts an empty workspace, whatever its slug. Lists come in pages of at most `page_size` rows.
    pub async fn start(page_size: usize) -> Self {
        Self::start_below("", page_size).await
    }

    /// The same, with every path below `prefix`, as behind a proxy that serves other applications too.
    pub async fn start_below(prefix: &'static str, page_size: usize) -> Self {
        let world =
            Arc::new(Mutex::new(World { prefix, rows: Rows::paged_by(page_size), ..World::default() }));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let app = Router::new().fallback(answer).with_state(Arc::clone(&world));
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("the listener outlives the test");
        });
        Self { address, prefix, world, server }
    }

    /// `API_BASE_URL` for this server.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.prefix)
    }

    /// `SANDBOX_ALLOW_PRIVATE_NETWORK` that lets a worker reach it.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Adds a row to a collection, such as `projects/p/states`; an `id` of its own is made if it has none.
    pub fn add(&self, collection: &str, row: Value) -> String {
        self.world().rows.insert(collection, row)["id"].as_str().expect("ids are texts").to_owned()
    }

    /// Sets an answer that is not a list of rows, such as `projects/p/project-members`.
    pub fn set(&self, path: &str, answer: Value) {
        self.world().rows.set(path, answer);
    }

    /// The rows of a collection, in order of creation.
    pub fn rows(&self, collection: &str) -> Vec<Value> {
        self.world().rows.all(collection).to_vec()
    }

    /// One row.
    ///
    /// # Panics
    /// If there is none.
    pub fn row(&self, collection: &str, id: &str) -> Value {
        self.world().rows.find(collection, id).expect("the row exists").clone()
    }

    /// Answers the next `times` requests of this method whose path contains `path_part` with `status`.
    pub fn fail(&self, method: &'static str, path_part: &str, status: u16, times: usize) {
        self.world().failures.push(Failure { method, path_part: path_part.to_owned(), status, times });
    }

    /// Every request so far.
    pub fn received(&self) -> Vec<Received> {
        self.world().received.clone()
    }

    /// How many requests of other methods than GET there were.
    pub fn writes(&self) -> usize {
        self.world().received.iter().filter(|request| request.method != "GET").count()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FakePlane {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(
    State(world): State<Arc<Mutex<World>>>,
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
    let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
    world.received.push(Received {
        method: method.to_string(),
        path: uri.path().to_owned(),
        query: query.clone(),
        headers: headers.clone(),
        body: body.clone(),
    });
    if let Some(status) = world.injected(&method, uri.path()) {
        return refused(status, "This failure was asked for.");
    }
    if !headers.contains_key("x-api-key") && !headers.contains_key("authorization") {
        return refused(StatusCode::UNAUTHORIZED, "Authentication credentials were not provided.");
    }
    let Some(path) = uri.path().strip_prefix(world.prefix).and_then(workspace_path) else {
        return refused(StatusCode::NOT_FOUND, "Page not found.");
    };
    match world.rows.answer(method.as_str(), path, &query, body) {
        Some((status, body)) => (StatusCode::from_u16(status).expect("a status"), Json(body)).into_response(),
        None => refused(StatusCode::NOT_FOUND, "The requested resource does not exist."),
    }
}

impl World {
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

/// `/api/v1/workspaces/demo/projects/p/` is `projects/p`.
fn workspace_path(path: &str) -> Option<&str> {
    let (_slug, path) = path.strip_prefix("/api/v1/workspaces/")?.split_once('/')?;
    path.strip_suffix('/')
}
