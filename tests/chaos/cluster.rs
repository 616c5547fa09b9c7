//! System under test: servers, links and programs.

use super::{clock::Clock, faults};
use anyhow::Context as _;
use e2e::{
    client::{Client, http},
    program::{self, Program, Settings},
};
use shared::amqp::{Broker, Publisher, Topology};
use sqlx::{PgPool, postgres::PgPoolOptions};
use std::{path::PathBuf, sync::Arc, time::Duration};
use test_support::{Link, Receiver, Services};
use tokio::sync::watch;

const APIS: usize = 2;
const WORKERS: usize = 3;
/// Consumer timeout of the broker. The longest run takes a third of a second, so only a blocked one exceeds it.
pub(crate) const CONSUMER_TIMEOUT: Duration = Duration::from_secs(4);

/// SQL that records every change of a status, with triggers that the programs cannot affect.
const AUDIT: [&str; 3] = [
    "CREATE TABLE status_audit (
         id bigint GENERATED ALWAYS AS IDENTITY, execution_id uuid NOT NULL, old text NOT NULL, new text NOT NULL,
         attempt integer NOT NULL, worker_id text, at timestamptz NOT NULL DEFAULT clock_timestamp())",
    "CREATE FUNCTION audit_status() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN
         INSERT INTO status_audit (execution_id, old, new, attempt, worker_id)
         VALUES (NEW.id, OLD.status, NEW.status, NEW.attempt, coalesce(NEW.worker_id, OLD.worker_id));
         RETURN NEW;
     END $$",
    "CREATE TRIGGER status_audit AFTER UPDATE OF status ON script_executions
         FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION audit_status()",
];

/// Servers of the suite and the programs that use them.
pub(crate) struct Cluster {
    pub(crate) services: Services,
    pub(crate) database_link: Link,
    pub(crate) broker_link: Link,
    pub(crate) clock: Clock,
    pub(crate) apis: Vec<Program>,
    pub(crate) workers: Vec<Program>,
    /// Service that scripts call.
    pub(crate) service: Arc<Receiver>,
    pub(crate) topology: Topology,
    /// Broker without the link.
    pub(crate) broker: Broker,
    pub(crate) publisher: Publisher,
    /// Database without the link.
    pub(crate) pool: PgPool,
    /// Clients of the running apis.
    pub(crate) clients: watch::Sender<Vec<Client>>,
    settings: Settings,
    folder: PathBuf,
    key: String,
}

impl Cluster {
    pub(crate) async fn build() -> anyhow::Result<Self> {
        let services = Services::start(CONSUMER_TIMEOUT);
        let database_link = Link::to(services.database_url(), 5432).await;
        let broker_link = Link::to(services.amqp_url(), 5672).await;
        let service = Arc::new(Receiver::start().await);
        let folder = std::env::temp_dir().join(format!("runnerctl-chaos-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir_all(&folder).context("a folder for logs")?;
        let mut settings: Settings = [
            ("DATABASE_URL", services.database_url()),
            ("AMQP_URL", broker_link.url()),
            ("RUNNER_HMAC_SECRET_KEY", "a secret of the tests that is 32 bytes long"),
            ("ENCRYPTION_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
            ("API_BASE_URL", "http://127.0.0.1:9"),
            ("WORKER_CONCURRENCY", "2"),
            ("DRAIN_TIMEOUT_S", "2"),
            ("LOG_FORMAT", "json"),
            ("SANDBOX_ALLOW_PRIVATE_NETWORK", &service.host()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        program::run("api", &["migrate"], &settings).await?;
        let scopes = ["keys", "create", "--workspace", "chaos", "--scopes", "read,write,execute"];
        let key = program::run("api", &scopes, &settings).await?;
        let pool = PgPoolOptions::new()
            .acquire_timeout(Duration::from_secs(30))
            .connect(services.database_url())
            .await
            .context("connect past the link")?;
        for statement in AUDIT {
            sqlx::query(statement).execute(&pool).await.context("the audit")?;
        }
        sqlx::query(faults::FULL).execute(&pool).await?;
        // From here on the programs use the link.
        settings.insert("DATABASE_URL".to_owned(), database_link.url().to_owned());
        let clock = Clock::build(&folder)?;
        settings.extend(
            clock.settings().map(|(name, path)| (name.to_owned(), path.to_string_lossy().into_owned())),
        );
        let broker = Broker::connect(services.amqp_url(), "chaos")?;
        let topology = Topology::default();
        let publisher = Publisher::new(broker.clone(), topology.clone());
        let mut cluster = Self {
            services,
            database_link,
            broker_link,
            clock,
            apis: Vec::new(),
            workers: Vec::new(),
            service,
            topology,
            broker,
            publisher,
            pool,
            clients: watch::Sender::new(Vec::new()),
            settings,
            folder,
            key,
        };
        cluster.complete().await?;
        Ok(cluster)
    }

    /// Starts missing programs and waits until they are ready.
    pub(crate) async fn complete(&mut self) -> anyhow::Result<()> {
        while self.apis.len() < APIS {
            self.apis.push(Program::start("api", &self.settings, &self.folder)?);
        }
        while self.workers.len() < WORKERS {
            self.workers.push(Program::start("worker", &self.settings, &self.folder)?);
        }
        for api in &mut self.apis {
            api.ready(&http(), "/healthz").await?;
        }
        for worker in &mut self.workers {
            worker.ready(&http(), "/health").await?;
        }
        self.publish_clients();
        Ok(())
    }

    /// Publishes the clients of the running apis to the load.
    pub(crate) fn publish_clients(&self) {
        let clients = self.apis.iter().map(|api| Client::new(api.url(), &self.key)).collect();
        self.clients.send_replace(clients);
    }

    /// Ends all faults.
    pub(crate) async fn heal(&mut self) -> anyhow::Result<()> {
        self.database_link.mend();
        self.broker_link.mend();
        self.complete().await
    }

    /// Stops the programs with SIGTERM. Fails if one does not exit successfully.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        for program in self.workers.drain(..).chain(self.apis.drain(..)) {
            let status = program.drain().await?;
            anyhow::ensure!(status.success(), "a program ended with {status}");
        }
        Ok(())
    }

    /// Stops everything and deletes its data.
    pub(crate) async fn tear_down(mut self) -> anyhow::Result<()> {
        self.stop().await?;
        self.broker.close().await;
        std::fs::remove_dir_all(&self.folder).context("remove the logs")?;
        Ok(())
    }
}
