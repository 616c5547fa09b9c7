//! The token with which a workspace's scripts reach Plane, asked of the control service.
//!
//! Invariant: a run never fails for want of a token. While the control service is away, the last known one is
//! used, or none; then it is Plane that refuses, and only scripts that call Plane notice.

use moka::sync::Cache;
use serde::Deserialize;
use shared::signing::{self, SignedParts, SigningKeys};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};
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

/// Why no token could be fetched.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Without the URL, which is in the configuration.
    #[error("the control service: {0}")]
    Request(reqwest::Error),
    #[error("the control service answered {0}")]
    Status(u16),
}

impl From<reqwest::Error> for TokenError {
    fn from(error: reqwest::Error) -> Self {
        Self::Request(error.without_url())
    }
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
    http: reqwest::Client,
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
        // The client asks for the process's provider of cryptography; an error means that there is one already.
        drop(rustls::crypto::ring::default_provider().install_default());
        // A service of our own network: no proxy of the environment is asked.
        let http = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build()?;
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
        let known = match control.fetch(workspace_slug).await {
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
        let response = self
            .http
            .get(url)
            .header(signing::TIMESTAMP_HEADER, timestamp)
            .header(signing::NONCE_HEADER, nonce)
            .header(signing::WORKSPACE_HEADER, workspace_slug)
            .header(signing::SIGNATURE_HEADER, signature)
            .send()
            .await?;
        match response.status().as_u16() {
            200 => Ok(Some(
                serde_json::from_slice::<Answer>(&response.bytes().await?)
                    .map_or_else(|_| Err(TokenError::Status(200)), |answer| Ok(answer.token))?,
            )),
            404 => Ok(None),
            status => Err(TokenError::Status(status)),
        }
    }
}
