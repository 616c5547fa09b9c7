//! An api for one test: a database and a listener on loopback, without a broker unless the test adds one.

use crate::client::Client;
use api::testing::{
    cli::serve,
    config::{Config, DatabaseConfig, HttpConfig},
    db,
    delivery::DeadLetterInbox,
    http::{self, state::AppState},
    model::api_key::{NewKey, Scope},
};
use shared::{
    amqp::{Broker, Topology},
    config::Secret,
    encryption::Keyring,
    http::server::{self, ServerLimits},
    signing::SigningKeys,
};
use sqlx::PgPool;
use std::sync::Arc;
use test_support::{Link, TestDatabase, TestQueues};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Secret that signs requests to test servers.
pub(crate) const HMAC_SECRET: &str = "a secret for tests that is 32 bytes long";
pub(crate) const ENCRYPTION_KEY: &str = "test:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// Limits the connections to a test server.
const CONNECTIONS: usize = 1024;

/// A running api. On drop it stops, and its database is deleted.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) state: AppState,
    pub(crate) pool: PgPool,
    _stop: DropGuard,
    _database: TestDatabase,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts with a configuration changed by `adjust`.
    pub(crate) async fn start_with(adjust: impl FnOnce(&mut Config)) -> Self {
        let database = TestDatabase::create().await;
        let mut config = config(database.url());
        adjust(&mut config);
        Self::serve(config, database).await
    }

    /// Starts with queues of its own, and stores their dead letters.
    pub(crate) async fn start_on(queues: &TestQueues) -> Self {
        let server = Self::start_with(|config| {
            config.amqp_url = queues.url().to_owned().into();
            queues.prefix().clone_into(&mut config.amqp_prefix);
        })
        .await;
        let (state, topology) = (&server.state, Topology::with_prefix(queues.prefix()));
        let inbox = DeadLetterInbox::new(state.pool.clone(), state.consuming.clone(), topology);
        tokio::spawn(inbox.run(state.stopping.clone()));
        server
    }

    /// Starts with a link to the database that can be cut. The test's own pool does not use the link.
    pub(crate) async fn start_behind_link() -> (Self, Link) {
        let database = TestDatabase::create().await;
        let link = Link::to(database.url(), 5432).await;
        let config = config(link.url());
        (Self::serve(config, database).await, link)
    }

    async fn serve(config: Config, database: TestDatabase) -> Self {
        let stopping = CancellationToken::new();
        let broker = Broker::connect(config.amqp_url.expose(), "test").unwrap();
        let state = serve::state(&config, broker.clone(), broker, stopping.clone()).unwrap();
        let sinks = serve::notification_sinks(&state);
        let url = config.database.url.clone();
        tokio::spawn(state.live.clone().run(state.pool.clone(), url, sinks, stopping.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let app = http::router(&state, None);
        tokio::spawn(server::serve(
            listener,
            app,
            ServerLimits::with_connections(CONNECTIONS),
            stopping.clone(),
        ));
        let pool = database.pool().await;
        Self { address, state, pool, _stop: stopping.drop_guard(), _database: database }
    }

    /// Returns a client with every scope in the workspace of this slug.
    pub(crate) async fn client(&self, workspace: &str) -> Client {
        self.client_with(workspace, &Scope::ALL).await
    }

    pub(crate) async fn client_with(&self, workspace: &str, scopes: &[Scope]) -> Client {
        let id = db::workspaces::id_of(&self.pool, workspace).await.unwrap();
        let key = NewKey::random();
        db::api_keys::insert(&self.pool, id, "test", &key, scopes).await.unwrap();
        Client::new(&self.address, &key.text)
    }
}

fn config(database_url: &str) -> Config {
    Config {
        port: 0,
        database: DatabaseConfig { url: Secret::from(database_url.to_owned()), pool_size: 8 },
        amqp_url: Secret::from("amqp://127.0.0.1:1".to_owned()),
        amqp_prefix: String::new(),
        workspace_concurrency: 0,
        retention_days: 0,
        signing_keys: Arc::new(SigningKeys::parse(HMAC_SECRET).unwrap()),
        keyring: Arc::new(Keyring::parse(ENCRYPTION_KEY).unwrap()),
        http: HttpConfig::default(),
        packages: None,
    }
}
