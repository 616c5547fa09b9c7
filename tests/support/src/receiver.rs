//! HTTP server that imitates the services that scripts call: Slack, Discord, Teams, GitHub and other webhooks.
//!
//! `POST /hooks/…` is answered 200 and recorded. `/github/repos/{owner}/{name}/issues` stores issues like GitHub.

use axum::{
    Json, Router,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode, Uri},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// Message posted to a webhook.
#[derive(Clone, Debug)]
pub struct Posted {
    pub path: String,
    pub headers: HeaderMap,
    /// Text as sent, for signatures.
    pub text: String,
}

impl Posted {
    /// Returns the message as JSON, or null.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

#[derive(Default)]
struct ReceiverState {
    posted: Vec<Posted>,
    issues: Vec<Value>,
    /// Statuses of the next responses to webhooks, after which they are 200 again.
    failures: Vec<u16>,
    /// Statuses of the next responses of GitHub, by method.
    github_failures: Vec<(&'static str, u16)>,
    url: String,
}

/// Server, stopped when the value is dropped.
pub struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<ReceiverState>>,
    server: JoinHandle<()>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Arc::new(Mutex::new(ReceiverState {
            url: format!("http://{address}"),
            ..ReceiverState::default()
        }));
        let app = Router::new()
            .route("/github/repos/{owner}/{name}/issues", get(list_issues).post(create_issue))
            .route("/github/repos/{owner}/{name}/issues/{number}", get(read_issue).patch(change_issue))
            .layer(from_fn_with_state(Arc::clone(&state), github_failure))
            .route("/hooks/{*path}", post(take))
            .with_state(Arc::clone(&state));
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("the listener outlives the test");
        });
        Self { address, state, server }
    }

    /// Returns the URL of a webhook.
    pub fn hook(&self, name: &str) -> String {
        format!("http://{}/hooks/{name}", self.address)
    }

    /// Returns the base URL of the GitHub API.
    pub fn github(&self) -> String {
        format!("http://{}/github", self.address)
    }

    /// Returns the host for `allowed_domains`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Answers the next posts to webhooks with these statuses.
    pub fn fail(&self, statuses: &[u16]) {
        self.state().failures = statuses.to_vec();
    }

    /// Answers the next request of this method to GitHub with this status.
    pub fn fail_github(&self, method: &'static str, status: u16) {
        self.state().github_failures.push((method, status));
    }

    /// Deletes an issue, so that reading it is answered 410.
    pub fn delete_issue(&self, number: usize) {
        self.state().issues[number - 1] = Value::Null;
    }

    /// Returns the messages that were posted to webhooks and answered 200.
    pub fn posted(&self) -> Vec<Posted> {
        self.state().posted.clone()
    }

    /// Returns the issues of GitHub.
    pub fn issues(&self) -> Vec<Value> {
        self.state().issues.clone()
    }

    /// Adds an issue of another author.
    pub fn add_issue(&self, title: &str) {
        let issue = json!({ "title": title, "body": null });
        self.state().add_issue("someone/else", issue);
    }

    fn state(&self) -> MutexGuard<'_, ReceiverState> {
        lock(&self.state)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type Shared = State<Arc<Mutex<ReceiverState>>>;

fn lock(state: &Mutex<ReceiverState>) -> MutexGuard<'_, ReceiverState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(State(state): Shared, uri: Uri, headers: HeaderMap, text: String) -> Response {
    let mut state = lock(&state);
    if !state.failures.is_empty() {
        let status = StatusCode::from_u16(state.failures.remove(0)).expect("a status");
        return (status, "no_service").into_response();
    }
    state.posted.push(Posted { path: uri.path().to_owned(), headers, text });
    "ok".into_response()
}

impl ReceiverState {
    fn add_issue(&mut self, repository: &str, mut issue: Value) -> Value {
        let number = self.issues.len() + 1;
        issue["number"] = number.into();
        issue["state"] = "open".into();
        issue["html_url"] = format!("{}/{repository}/issues/{number}", self.url).into();
        self.issues.push(issue.clone());
        issue
    }
}

async fn github_failure(State(state): Shared, request: Request, next: Next) -> Response {
    let status = {
        let failures = &mut lock(&state).github_failures;
        let at = failures.iter().position(|(method, _)| request.method() == *method);
        at.map(|at| StatusCode::from_u16(failures.remove(at).1).expect("a status"))
    };
    match status {
        Some(status) => (status, Json(json!({ "message": "This failure was asked for." }))).into_response(),
        None => next.run(request).await,
    }
}

async fn list_issues(
    State(state): Shared,
    Query(query): Query<BTreeMap<String, String>>,
) -> Json<Vec<Value>> {
    let number =
        |name: &str, default: usize| query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (size, page) = (number("per_page", 30), number("page", 1));
    let issues = lock(&state)
        .issues
        .iter()
        .filter(|issue| !issue.is_null())
        .skip(size * (page - 1))
        .take(size)
        .cloned()
        .collect();
    Json(issues)
}

async fn create_issue(
    State(state): Shared,
    Path((owner, name)): Path<(String, String)>,
    Json(issue): Json<Value>,
) -> (StatusCode, Json<Value>) {
    (StatusCode::CREATED, Json(lock(&state).add_issue(&format!("{owner}/{name}"), issue)))
}

async fn read_issue(
    State(state): Shared,
    Path((_, _, number)): Path<(String, String, usize)>,
) -> Result<Json<Value>, StatusCode> {
    let issue = lock(&state).issues.get(number - 1).cloned().ok_or(StatusCode::NOT_FOUND)?;
    if issue.is_null() { Err(StatusCode::GONE) } else { Ok(Json(issue)) }
}

async fn change_issue(
    State(state): Shared,
    Path((_, _, number)): Path<(String, String, usize)>,
    Json(changes): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    let mut state = lock(&state);
    let issue = state.issues.get_mut(number - 1).ok_or(StatusCode::NOT_FOUND)?;
    for (field, value) in changes.as_object().ok_or(StatusCode::BAD_REQUEST)? {
        issue[field] = value.clone();
    }
    Ok(Json(issue.clone()))
}
