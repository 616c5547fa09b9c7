//! A client that knows the HTTP contract and nothing else.

use anyhow::{Context as _, bail, ensure};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// One API, one key.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl Client {
    /// A client of the API at `url`, such as `http://127.0.0.1:8000`.
    pub fn new(url: &str, key: &str) -> Self {
        Self { http: http(), url: url.to_owned(), key: key.to_owned() }
    }

    /// The same key at another API.
    #[must_use]
    pub fn at(&self, url: &str) -> Self {
        Self::new(url, &self.key)
    }

    /// The key itself, for programs that make their own requests.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Any request; the body as it is.
    ///
    /// # Errors
    /// If no answer comes, or one that is not JSON.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: String,
    ) -> anyhow::Result<(StatusCode, Value)> {
        Self::answer(self.request(method, path).body(body)).await
    }

    /// Any request, and the answer as it is written: reading it as [`Value`] refuses numbers and texts that JSON may hold.
    ///
    /// # Errors
    /// If no answer comes.
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

    /// A POST that, sent again with the same key, is the same request.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn post_with_key(
        &self,
        path: &str,
        body: &Value,
        key: &str,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let request = self.request(Method::POST, path).header("Idempotency-Key", key);
        Self::answer(request.body(body.to_string())).await
    }

    /// A POST, whatever the answer's status.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<(StatusCode, Value)> {
        self.send(Method::POST, path, body.to_string()).await
    }

    /// A GET that must succeed.
    ///
    /// # Errors
    /// If it does not.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let (status, answer) = self.send(Method::GET, path, String::new()).await?;
        ensure!(status.is_success(), "GET {path}: {status} {answer}");
        Ok(answer)
    }

    /// A GET that says what is known already, and its answer's status and tag.
    ///
    /// # Errors
    /// If no answer comes.
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

    /// Asks for an execution with `event`; returns its id as soon as it is accepted.
    ///
    /// # Errors
    /// If it is not accepted.
    pub async fn execute(&self, script: &str, event: Value) -> anyhow::Result<String> {
        Self::accepted(self.execution(script, &event)).await
    }

    /// The request for an execution with `event`, not sent yet.
    pub fn execution(&self, script: &str, event: &Value) -> RequestBuilder {
        let execution = json!({ "script_id": script, "trigger_type": "automation", "event": event });
        self.request(Method::POST, "/executions/").body(execution.to_string())
    }

    /// Sends the request for an execution; returns its id as soon as it is accepted.
    ///
    /// # Errors
    /// If it is not accepted.
    pub async fn accepted(execution: RequestBuilder) -> anyhow::Result<String> {
        let (status, answer) = Self::answer(execution).await?;
        ensure!(status == StatusCode::ACCEPTED, "POST /executions/: {status} {answer}");
        id_of(&answer)
    }

    /// The execution once it is terminal.
    ///
    /// # Errors
    /// If it is not within `limit`.
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

    /// Creates, executes, waits.
    ///
    /// # Errors
    /// As its parts.
    pub async fn run(&self, name: &str, code: &str) -> anyhow::Result<Value> {
        let script = self.create_script(name, code).await?;
        let execution = self.execute(&script, json!({})).await?;
        self.terminal(&execution, Duration::from_mins(1)).await
    }
}

fn id_of(answer: &Value) -> anyhow::Result<String> {
    answer["id"].as_str().map(str::to_owned).with_context(|| format!("no id in {answer}"))
}

/// One pool of connections per process.
pub fn http() -> reqwest::Client {
    static HTTP: OnceLock<reqwest::Client> = OnceLock::new();
    HTTP.get_or_init(|| {
        // Nothing here speaks TLS, but the client wants to know who would.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .build()
            .expect("a client without special options")
    })
    .clone()
}
