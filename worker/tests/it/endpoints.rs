//! HTTP endpoints of a worker with a real pool of sandbox processes, and a client that signs its requests.

use axum::{Json, Router, routing::get};
use packages::Packages;
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use shared::{
    config::Secret,
    http::{
        BodyBudget,
        server::{self, ServerLimits},
    },
    limits::Limits,
    signing::{NONCE_HEADER, SIGNATURE_HEADER, SignedParts, SigningKeys, TIMESTAMP_HEADER, WORKSPACE_HEADER},
};
use std::{net::SocketAddr, sync::Arc};
use test_support::TestDatabase;
use tokio::{net::TcpListener, task::AbortHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use worker::testing::{
    db::Database,
    execution::{BusyTime, plane_token::PlaneTokens},
    http::{Connections, Nonces, Readiness, ServerState, router},
    lease::PREPARED,
    supervisor::{
        Pool, PoolConfig,
        fetch::{FetchConfig, Fetcher},
    },
};

pub(crate) const SECRET: &str = "the-secret-of-the-tests-32-bytes-long";
pub(crate) const WORKSPACE: &str = "demo";
/// Token that the control service of the tests issues.
pub(crate) const PLANE_TOKEN: &str = "plane-token-of-the-tests";

/// Limits the connections to one server of the tests.
pub(crate) const CONNECTIONS: usize = 32;

/// Endpoints on a port of their own. Dropping the value ends them.
pub(crate) struct Endpoints {
    pub(crate) pool: Arc<Pool>,
    pub(crate) address: SocketAddr,
    tasks: Vec<AbortHandle>,
    keys: SigningKeys,
    client: reqwest::Client,
    _database: TestDatabase,
}

/// Request before it is signed. Tests change the fields that they want to be wrong.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: String,
    pub(crate) workspace: String,
    pub(crate) timestamp: i64,
    pub(crate) nonce: String,
    pub(crate) secret: String,
}

impl Call {
    pub(crate) fn post(path: &str, body: &Value) -> Self {
        Self {
            method: Method::POST,
            path: path.to_owned(),
            body: body.to_string(),
            workspace: WORKSPACE.to_owned(),
            timestamp: chrono::Utc::now().timestamp(),
            nonce: Uuid::now_v7().simple().to_string(),
            secret: SECRET.to_owned(),
        }
    }
}

impl Endpoints {
    /// Starts endpoints whose scripts reach Plane at `api_base_url`, with the token of a real control service.
    pub(crate) async fn start(api_base_url: &str) -> Self {
        Self::with_limits(api_base_url, Limits::default()).await
    }

    pub(crate) async fn with_limits(api_base_url: &str, limits: Limits) -> Self {
        Self::with_packages(api_base_url, limits, None).await
    }

    pub(crate) async fn with_packages(
        api_base_url: &str,
        limits: Limits,
        packages: Option<Packages>,
    ) -> Self {
        let (control, control_task) = serve(Router::new().route(
            "/api/runnerctl/control/plane-token/",
            get(|| async { Json(json!({ "token": PLANE_TOKEN })) }),
        ))
        .await;
        let keys = SigningKeys::parse(SECRET).unwrap();
        let control = format!("http://{control}").parse().unwrap();
        let plane_tokens = PlaneTokens::new(Some(control), Arc::new(keys.clone())).unwrap();
        let exceptions = "127.0.0.1/32".parse().unwrap();
        let fetcher = Fetcher::new(FetchConfig::new(api_base_url.parse().unwrap(), exceptions)).unwrap();
        let pool = PoolConfig {
            program: env!("CARGO_BIN_EXE_worker").into(),
            spares: 0,
            ..PoolConfig::new(1, limits.memory_bytes, Arc::new(fetcher))
        };
        let pool = Pool::start(pool).await.unwrap();
        let server = TestDatabase::create().await;
        let database = Database::new(&Secret::from(server.url().to_owned()), 4, PREPARED).unwrap();
        let state = ServerState {
            keys: Arc::new(keys.clone()),
            nonces: Nonces::new(database),
            body_budget: BodyBudget::default(),
            pool: Arc::clone(&pool),
            busy_time: Arc::new(BusyTime::default()),
            limits,
            api_base_url: api_base_url.to_owned(),
            plane_tokens: Arc::new(plane_tokens),
            packages,
            connections: Arc::new(|| Connections { database: true, broker: false }),
            connection_error: Arc::new(|name| format!("no {name} in this test")),
            readiness: Readiness::default(),
            metrics: crate::metrics(),
        };
        let (address, task) = serve(router(Arc::new(state))).await;
        // reqwest asks for the process's provider of cryptography even if no request uses TLS.
        drop(rustls::crypto::ring::default_provider().install_default());
        let (tasks, client) = (vec![task, control_task], reqwest::Client::new());
        Self { pool, address, tasks, keys, client, _database: server }
    }

    /// Sends a signed POST.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.send(Call::post(path, body)).await
    }

    /// Sends a request, signed as the call says.
    pub(crate) async fn send(&self, call: Call) -> (StatusCode, Value) {
        let signature = self.signature(&call);
        self.send_signed(call, &signature).await
    }

    pub(crate) fn signature(&self, call: &Call) -> String {
        let parts = SignedParts {
            timestamp: call.timestamp,
            nonce: &call.nonce,
            method: call.method.as_str(),
            path_and_query: &call.path,
            workspace_slug: &call.workspace,
            user_id: "",
            body: call.body.as_bytes(),
        };
        if call.secret == SECRET {
            return self.keys.sign(&parts);
        }
        SigningKeys::parse(&call.secret).unwrap().sign(&parts)
    }

    pub(crate) async fn send_signed(&self, call: Call, signature: &str) -> (StatusCode, Value) {
        let (status, _, body) = answer(self.request(call, signature)).await;
        (status, body)
    }

    /// Returns the request of a call without sending it.
    pub(crate) fn request(&self, call: Call, signature: &str) -> reqwest::RequestBuilder {
        self.client
            .request(call.method, self.url(&call.path))
            .header("content-type", "application/json")
            .header(TIMESTAMP_HEADER, call.timestamp)
            .header(NONCE_HEADER, call.nonce)
            .header(WORKSPACE_HEADER, call.workspace)
            .header(SIGNATURE_HEADER, signature)
            .body(call.body)
    }

    /// Sends a GET without a signature.
    pub(crate) async fn get(&self, path: &str) -> (StatusCode, HeaderMap, Value) {
        answer(self.client.get(self.url(path))).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Endpoints {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// Returns status, headers and body, the body as JSON or else as text.
async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, HeaderMap, Value) {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    (status, headers, serde_json::from_str(&text).unwrap_or_else(|_| text.into()))
}

async fn serve(router: Router) -> (SocketAddr, AbortHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = ServerLimits::with_connections(CONNECTIONS);
    let serving = server::serve(listener, router, limits, CancellationToken::new());
    (address, tokio::spawn(serving).abort_handle())
}
