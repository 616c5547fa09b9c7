//! The token with which a workspace's scripts reach Plane, asked of the control service.
//!
//! Invariant: a run never fails for want of a token. While the control service is away, the last known one is
//! used, or none; then it is Plane that refuses, and only scripts that call Plane notice.

use crate::outbound::{self, Client, ClientError, ClientSettings, Response};
use http_body_util::Full;
use hyper::Request;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use moka::sync::Cache;
use serde::Deserialize;
use shared::signing::{self, SignedParts, SigningKeys};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;
use url::Url;
use uuid::Uuid;

const PATH: &str = "/api/runnerctl/control/plane-token/";
/// A changed token is in use this long after the change.
const KNOWN_FOR: Duration = Duration::from_mins(1);
/// A control service that failed is left alone this long.
const FAILED_FOR: Duration = Duration::from_secs(5);
/// Limits the workspaces whose tokens are kept.
const MAX_ENTRIES: u64 = 10_000;
/// Runs wait for the answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Limits an answer of the control service, in bytes.
const ANSWER_BYTES: usize = 64 * 1024;

/// Reason why no token could be fetched.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the control service's address can't be asked: {0}")]
    Address(#[from] hyper::http::Error),
    #[error("the control service: {0}")]
    Request(#[from] ClientError),
    #[error("the control service did not answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    #[error("the control service answered {0}")]
    Status(u16),
    #[error("the control service's answer is over {} KiB", ANSWER_BYTES >> 10)]
    TooLarge,
    /// Without serde's reason, which may quote a token.
    #[error("the control service's answer is not JSON with a token")]
    Unreadable,
}

/// Tokens by workspace slug. A worker without a control service has none.
pub struct PlaneTokens {
    control: Option<Control>,
    /// Beyond their time, too: while the control service is away, they are the last known ones.
    known: Cache<String, Known>,
    known_for: Duration,
}

struct Control {
    base: Url,
    keys: Arc<SigningKeys>,
    http: Client<GaiResolver>,
}

#[derive(Clone)]
struct Known {
    token: Option<String>,
    until: Instant,
}

#[derive(Deserialize)]
struct Answer {
    token: String,
}

impl fmt::Debug for PlaneTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = self.control.as_ref().map(|control| control.base.as_str());
        f.debug_struct("PlaneTokens").field("control", &base).finish_non_exhaustive()
    }
}

impl PlaneTokens {
    /// `control_service` is `CONTROL_SERVICE_BASE_URL`.
    pub fn new(control_service: Option<Url>, keys: Arc<SigningKeys>) -> Result<Self, TokenError> {
        let none = Self { control: None, known: Cache::new(MAX_ENTRIES), known_for: KNOWN_FOR };
        let Some(base) = control_service else { return Ok(none) };
        // A service of our own network: no proxy of the environment is asked.
        let http = Client::new(ClientSettings {
            resolver: GaiResolver::new(),
            tls: outbound::tls(&[])?,
            connect_timeout: TIMEOUT,
        });
        Ok(Self { control: Some(Control { base, keys, http }), ..none })
    }

    /// The same, with another time until a token is asked for again.
    #[must_use]
    pub fn known_for(self, known_for: Duration) -> Self {
        Self { known_for, ..self }
    }

    /// The workspace's token, if it has one.
    pub async fn get(&self, workspace_slug: &str) -> Option<String> {
        let control = self.control.as_ref()?;
        let last = self.known.get(workspace_slug);
        if let Some(known) = &last
            && known.until > Instant::now()
        {
            return known.token.clone();
        }
        let fetched = timeout(TIMEOUT, control.fetch(workspace_slug)).await;
        let known = match fetched.unwrap_or(Err(TokenError::Timeout)) {
            Ok(token) => Known { token, until: Instant::now() + self.known_for },
            Err(error) => {
                tracing::warn!(%error, workspace = workspace_slug, "no Plane token");
                Known { token: last.and_then(|known| known.token), until: Instant::now() + FAILED_FOR }
            }
        };
        let token = known.token.clone();
        self.known.insert(workspace_slug.to_owned(), known);
        token
    }
}

impl Control {
    async fn fetch(&self, workspace_slug: &str) -> Result<Option<String>, TokenError> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{PATH}", url.path().trim_end_matches('/')));
        let nonce = Uuid::now_v7().simple().to_string();
        let parts = SignedParts {
            timestamp: chrono::Utc::now().timestamp(),
            nonce: &nonce,
            method: "GET",
            path_and_query: url.path(),
            workspace_slug,
            user_id: "",
            body: b"",
        };
        let (timestamp, signature) = (parts.timestamp, self.keys.sign(&parts));
        let request = Request::get(url.as_str())
            .header(signing::TIMESTAMP_HEADER, timestamp)
            .header(signing::NONCE_HEADER, nonce)
            .header(signing::WORKSPACE_HEADER, workspace_slug)
            .header(signing::SIGNATURE_HEADER, signature)
            .body(Full::default())?;
        let response = self.http.send(request).await?;
        match response.status().as_u16() {
            200 => serde_json::from_slice(&read(response).await?)
                .map(|answer: Answer| Some(answer.token))
                .map_err(|_reason| TokenError::Unreadable),
            404 => Ok(None),
            status => Err(TokenError::Status(status)),
        }
    }
}

/// Reads an answer's body, up to its limit.
async fn read(mut response: Response) -> Result<Vec<u8>, TokenError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > ANSWER_BYTES {
            return Err(TokenError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
