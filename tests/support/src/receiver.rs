//! An HTTP server that stands for the services scripts call: Slack, Discord, Teams, GitHub, anybody's webhook.
//!
//! `POST /hooks/…` is answered 200 and recorded. `/github/repos/{owner}/{name}/issues` keeps issues as GitHub does.

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

/// One message that was posted.
#[derive(Clone, Debug)]
pub struct Posted {
    pub path: String,
    pub headers: HeaderMap,
    /// As it was sent, for signatures.
    pub text: String,
}

impl Posted {
    /// The message as JSON, or null.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

#[derive(Default)]
struct Kept {
    posted: Vec<Posted>,
    issues: Vec<Value>,
    /// Answers for the next posts, before they are 200 again.
    failures: Vec<u16>,
    /// The same for GitHub, by method.
    github_failures: Vec<(&'static str, u16)>,
    url: String,
}

/// The server; it ends with the value.
pub struct Receiver {
    address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
    server: JoinHandle<()>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let kept = Arc::new(Mutex::new(Kept { url: format!("http://{address}"), ..Kept::default() }));
        let app = Router::new()
            .route("/github/repos/{owner}/{name}/issues", get(list_issues).post(create_issue))
            .route("/github/repos/{owner}/{name}/issues/{number}", get(read_issue).patch(change_issue))
            .layer(from_fn_with_state(Arc::clone(&kept), github_failure))
            .route("/hooks/{*path}", post(take))
            .with_state(Arc::clone(&kept));
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("the listener outlives the test");
        });
        Self { address, kept, server }
    }

    /// Address of a webhook.
    pub fn hook(&self, name: &str) -> String {
        format!("http://{}/hooks/{name}", self.address)
    }

    /// Base address of the GitHub API.
    pub fn github(&self) -> String {
        format!("http://{}/github", self.address)
    }

    /// For `allowed_domains`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Answers the next posts to webhooks with these statuses.
    pub fn fail(&self, statuses: &[u16]) {
        self.kept().failures = statuses.to_vec();
    }

    /// Answers the next request of this method to GitHub with this status.
    pub fn fail_github(&self, method: &'static str, status: u16) {
        self.kept().github_failures.push((method, status));
    }

    /// Deletes an issue: reading it is answered 410 from now on.
    pub fn delete_issue(&self, number: usize) {
        self.kept().issues[number - 1] = Value::Null;
    }

    /// What was posted to webhooks and answered 200.
    pub fn posted(&self) -> Vec<Posted> {
        self.kept().posted.clone()
    }

    /// GitHub's issues.
    pub fn issues(&self) -> Vec<Value> {
        self.kept().issues.clone()
    }

    /// Adds an issue that somebody else wrote.
    pub fn add_issue(&self, title: &str) {
        let issue = json!({ "title": title, "body": null });
        self.kept().add_issue("someone/else", issue);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type Shared = State<Arc<Mutex<Kept>>>;

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(State(kept): Shared, uri: Uri, headers: HeaderMap, text: String) -> Response {
    let mut kept = lock(&kept);
    if !kept.failures.is_empty() {
        let status = StatusCode::from_u16(kept.failures.remove(0)).expect("a status");
        return (status, "no_service").into_response();
    }
    kept.posted.push(Posted { path: uri.path().to_owned(), headers, text });
    "ok".into_response()
}

impl Kept {
    fn add_issue(&mut self, repository: &str, mut issue: Value) -> Value {
        let number = self.issues.len() + 1;
        issue["number"] = number.into();
        issue["state"] = "open".into();
        issue["html_url"] = format!("{}/{repository}/issues/{number}", self.url).into();
        self.issues.push(issue.clone());
        issue
    }
}

async fn github_failure(State(kept): Shared, request: Request, next: Next) -> Response {
    let status = {
        let failures = &mut lock(&kept).github_failures;
        let at = failures.iter().position(|(method, _)| request.method() == *method);
        at.map(|at| StatusCode::from_u16(failures.remove(at).1).expect("a status"))
    };
    match status {
        Some(status) => (status, Json(json!({ "message": "This failure was asked for." }))).into_response(),
        None => next.run(request).await,
    }
}

async fn list_issues(State(kept): Shared, Query(query): Query<BTreeMap<String, String>>) -> Json<Vec<Value>> {
    let number =
        |name: &str, default: usize| query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (size, page) = (number("per_page", 30), number("page", 1));
    let issues = lock(&kept)
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
    State(kept): Shared,
    Path((owner, name)): Path<(String, String)>,
    Json(issue): Json<Value>,
) -> (StatusCode, Json<Value>) {
    (StatusCode::CREATED, Json(lock(&kept).add_issue(&format!("{owner}/{name}"), issue)))
}

async fn read_issue(
    State(kept): Shared,
    Path((_, _, number)): Path<(String, String, usize)>,
) -> Result<Json<Value>, StatusCode> {
    let issue = lock(&kept).issues.get(number - 1).cloned().ok_or(StatusCode::NOT_FOUND)?;
    if issue.is_null() { Err(StatusCode::GONE) } else { Ok(Json(issue)) }
}

async fn change_issue(
    State(kept): Shared,
    Path((_, _, number)): Path<(String, String, usize)>,
    Json(changes): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    let mut kept = lock(&kept);
    let issue = kept.issues.get_mut(number - 1).ok_or(StatusCode::NOT_FOUND)?;
    for (field, value) in changes.as_object().ok_or(StatusCode::BAD_REQUEST)? {
        issue[field] = value.clone();
    }
    Ok(Json(issue.clone()))
}
