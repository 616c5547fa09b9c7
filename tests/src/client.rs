//! HTTP client that depends only on the HTTP contract.

use anyhow::{Context as _, bail, ensure};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Client of one API with one key.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl Client {
    /// Makes a client of the API at `url`, such as `http://127.0.0.1:8000`.
    pub fn new(url: &str, key: &str) -> Self {
        Self { http: http(), url: url.to_owned(), key: key.to_owned() }
    }

    /// Makes a client with the same key for another API.
    #[must_use]
    pub fn at(&self, url: &str) -> Self {
        Self::new(url, &self.key)
    }

    /// Returns the key, for programs that make their own requests.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Sends a request with the body unchanged.
    ///
    /// # Errors
    /// If there is no response, or if it is not JSON.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: String,
    ) -> anyhow::Result<(StatusCode, Value)> {
        Self::answer(self.request(method, path).body(body)).await
    }

    /// Sends a request and returns the response as text: [`Value`] cannot represent all numbers and strings of JSON.
    ///
    /// # Errors
    /// If there is no response.
    pub async fn send_text(
        &self,
        method: Method,
        path: &str,
        body: String,
    ) -> anyhow::Result<(StatusCode, String)> {
        let answer = self.request(method, path).body(body).send().await?;
        Ok((answer.status(), answer.text().await?))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}/api/v1/runnerctl{path}", self.url))
            .header("X-Api-Key", &self.key)
            .header("Content-Type", "application/json")
    }

    async fn answer(request: RequestBuilder) -> anyhow::Result<(StatusCode, Value)> {
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        let value = serde_json::from_str(&text).with_context(|| format!("{status} {text:?} is not JSON"))?;
        Ok((status, value))
    }

    /// Sends a POST with an idempotency key.
    ///
    /// # Errors
    /// Like [`Self::send`].
    pub async fn post_with_key(
        &self,
        path: &str,
        body: &Value,
        key: &str,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let request = self.request(Method::POST, path).header("Idempotency-Key", key);
        Self::answer(request.body(body.to_string())).await
    }

    /// Sends a POST and returns the response with any status.
    ///
    /// # Errors
    /// Like [`Self::send`].
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<(StatusCode, Value)> {
        self.send(Method::POST, path, body.to_string()).await
    }

    /// Sends a GET that must succeed.
    ///
    /// # Errors
    /// If it does not.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let (status, answer) = self.send(Method::GET, path, String::new()).await?;
        ensure!(status.is_success(), "GET {path}: {status} {answer}");
        Ok(answer)
    }

    /// Sends a GET with the last tag, and returns the status and tag of the response.
    ///
    /// # Errors
    /// If there is no response.
    pub async fn poll(&self, path: &str, tag: Option<&str>) -> anyhow::Result<(StatusCode, Option<String>)> {
        let mut request = self.request(Method::GET, path);
        if let Some(tag) = tag {
            request = request.header("If-None-Match", tag);
        }
        let answer = request.send().await?;
        let (status, tag) = (answer.status(), answer.headers().get("ETag").cloned());
        answer.bytes().await?;
        Ok((status, tag.map(|tag| tag.to_str().map(str::to_owned)).transpose()?))
    }

    /// Creates a script of `code_type` `main_fn`; returns its id.
    ///
    /// # Errors
    /// If the API refuses it.
    pub async fn create_script(&self, name: &str, code: &str) -> anyhow::Result<String> {
        let script =
            json!({ "name": name, "code": code, "code_type": "main_fn", "trigger_type": "automation" });
        let (status, answer) = self.post("/scripts/", &script).await?;
        ensure!(status == StatusCode::CREATED, "POST /scripts/: {status} {answer}");
        id_of(&answer)
    }

    /// Requests an execution with `event`. Returns its id as soon as it is accepted.
    ///
    /// # Errors
    /// If it is not accepted.
    pub async fn execute(&self, script: &str, event: Value) -> anyhow::Result<String> {
        Self::accepted(self.execution(script, &event)).await
    }

    /// Makes the request for an execution with `event`, without sending it.
    pub fn execution(&self, script: &str, event: &Value) -> RequestBuilder {
        let execution = json!({ "script_id": script, "trigger_type": "automation", "event": event });
        self.request(Method::POST, "/executions/").body(execution.to_string())
    }

    /// Sends the request for an execution. Returns its id as soon as it is accepted.
    ///
    /// # Errors
    /// If it is not accepted.
    pub async fn accepted(execution: RequestBuilder) -> anyhow::Result<String> {
        let (status, answer) = Self::answer(execution).await?;
        ensure!(status == StatusCode::ACCEPTED, "POST /executions/: {status} {answer}");
        id_of(&answer)
    }

    /// Waits until the execution is terminal and returns it.
    ///
    /// # Errors
    /// If it is not terminal within `limit`.
    pub async fn terminal(&self, execution: &str, limit: Duration) -> anyhow::Result<Value> {
        let deadline = Instant::now() + limit;
        loop {
            let answer = self.get(&format!("/executions/{execution}/?wait=20")).await?;
            if matches!(answer["status"].as_str(), Some("completed" | "errored" | "cancelled")) {
                return Ok(answer);
            }
            if Instant::now() > deadline {
                bail!("execution {execution} is not terminal after {limit:?}: {answer}");
            }
        }
    }

    /// Creates a script, executes it and waits for the end.
    ///
    /// # Errors
    /// Those of [`Self::create_script`], [`Self::execute`] and [`Self::terminal`].
    pub async fn run(&self, name: &str, code: &str) -> anyhow::Result<Value> {
        let script = self.create_script(name, code).await?;
        let execution = self.execute(&script, json!({})).await?;
        self.terminal(&execution, Duration::from_mins(1)).await
    }
}

fn id_of(answer: &Value) -> anyhow::Result<String> {
    answer["id"].as_str().map(str::to_owned).with_context(|| format!("no id in {answer}"))
}

/// Returns the HTTP client of the process, with one pool of connections.
pub fn http() -> reqwest::Client {
    static HTTP: OnceLock<reqwest::Client> = OnceLock::new();
    HTTP.get_or_init(|| {
        // TLS is not used, but the client requires a provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .build()
            .expect("a client without special options")
    })
    .clone()
}
