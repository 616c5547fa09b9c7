//! Stack of one test: database, queues, one api, one worker.

use crate::{
    client::{Client, http},
    program::{self, Program, Settings},
};
use anyhow::Context as _;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use test_support::{Link, TestDatabase, TestQueues};

const POSTGRES_PORT: u16 = 5432;
const AMQP_PORT: u16 = 5672;
/// `RUNNER_HMAC_SECRET_KEY` of every stack.
pub const HMAC_SECRET: &str = "a secret of the tests that is 32 bytes long";

/// Real programs and servers, and links between them that a test can cut.
pub struct Stack {
    pub api: Program,
    pub worker: Program,
    /// Client of the api.
    pub client: Client,
    /// Link between the programs and PostgreSQL.
    pub database_link: Link,
    /// Link between the programs and RabbitMQ.
    pub broker_link: Link,
    /// Database without the link, for the test's own queries.
    pub database: TestDatabase,
    /// Queues without the link, for tests that publish.
    pub queues: TestQueues,
    settings: Settings,
    folder: Folder,
}

impl Stack {
    /// Starts a stack with additional settings and waits until it is ready.
    ///
    /// # Errors
    /// If a program does not start. The error contains its log.
    pub async fn start(extra: &[(&str, &str)]) -> anyhow::Result<Self> {
        let (database, queues) = (TestDatabase::create().await, TestQueues::create());
        let database_link = Link::to(database.url(), POSTGRES_PORT).await;
        let broker_link = Link::to(queues.url(), AMQP_PORT).await;
        let folder = Folder::create(queues.prefix())?;

        let mut settings: Settings = [
            ("DATABASE_URL", database_link.url()),
            ("AMQP_URL", broker_link.url()),
            ("AMQP_PREFIX", queues.prefix()),
            ("RUNNER_HMAC_SECRET_KEY", HMAC_SECRET),
            ("ENCRYPTION_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
            ("API_BASE_URL", "http://127.0.0.1:9"),
            ("CONTROL_SERVICE_BASE_URL", "http://127.0.0.1:9"),
            ("WORKER_CONCURRENCY", "2"),
            ("LOG_FORMAT", "pretty"),
        ]
        .into_iter()
        .chain(extra.iter().copied())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();

        let mut api = Program::start("api", &settings, folder.path())?;
        settings.insert("CONTROL_SERVICE_BASE_URL".to_owned(), api.url().to_owned());
        let mut worker = Program::start("worker", &settings, folder.path())?;
        let client = Client::new(api.url(), &create_key("demo", &settings).await?);
        api.ready(&http(), "/readyz").await?;
        worker.ready(&http(), "/health").await?;
        Ok(Self { api, worker, client, database_link, broker_link, database, queues, settings, folder })
    }

    /// Starts one more `api` or `worker`.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn another(&self, name: &'static str) -> anyhow::Result<Program> {
        self.ready(Program::start(name, &self.settings, self.folder.path())?, name).await
    }

    /// Starts one more `api` or `worker` with other settings. It is alive when this returns, perhaps not ready.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn another_with(&self, name: &'static str, other: &[(&str, &str)]) -> anyhow::Result<Program> {
        let mut program = Program::start(name, &self.settings_with(other), self.folder.path())?;
        program.ready(&http(), if name == "api" { "/healthz" } else { "/health" }).await?;
        Ok(program)
    }

    /// Starts `name serve` with other settings, and returns its standard error when it has ended with a failure.
    ///
    /// # Errors
    /// If it serves for 30 s, or ends with success.
    pub async fn fails_to_serve(&self, name: &'static str, other: &[(&str, &str)]) -> anyhow::Result<String> {
        let port = program::free_port()?.to_string();
        let mut settings = self.settings_with(other);
        settings.insert("PORT".to_owned(), port);
        let served = program::run(name, &["serve"], &settings);
        let served = tokio::time::timeout(Duration::from_secs(30), served).await;
        match served.with_context(|| format!("{name} serves instead of failing"))? {
            Ok(_) => anyhow::bail!("{name} ended with success"),
            Err(error) => Ok(format!("{error:#}")),
        }
    }

    fn settings_with(&self, other: &[(&str, &str)]) -> Settings {
        let mut settings = self.settings.clone();
        settings.extend(other.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        settings
    }

    /// Starts one more `api` or `worker` as the leader of a process group.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn another_group(&self, name: &'static str) -> anyhow::Result<Program> {
        self.ready(Program::start_group(name, &self.settings, self.folder.path())?, name).await
    }

    async fn ready(&self, mut program: Program, name: &str) -> anyhow::Result<Program> {
        program.ready(&http(), if name == "api" { "/readyz" } else { "/health" }).await?;
        Ok(program)
    }

    /// Makes a client of another workspace.
    ///
    /// # Errors
    /// If no key can be created.
    pub async fn client_of_workspace(&self, slug: &str) -> anyhow::Result<Client> {
        Ok(Client::new(self.api.url(), &create_key(slug, &self.settings).await?))
    }

    /// Loads the system functions and scripts.
    ///
    /// # Errors
    /// If one of them is rejected.
    pub async fn load_fixtures(&self) -> anyhow::Result<()> {
        const FUNCTIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/system_functions.json");
        const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/system_scripts.json");
        program::run("api", &["loaddata", FUNCTIONS, SCRIPTS], &self.settings).await.map(drop)
    }

    /// Migrates the database, like an installation of this version.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn migrate(&self) -> anyhow::Result<()> {
        program::run("api", &["migrate"], &self.settings).await.map(drop)
    }

    /// Runs `api ARGUMENTS` with this stack and returns its standard output.
    ///
    /// # Errors
    /// If it fails.
    pub async fn command(&self, arguments: &str) -> anyhow::Result<String> {
        let arguments: Vec<_> = arguments.split(' ').collect();
        program::run("api", &arguments, &self.settings).await
    }

    /// Makes a client of another api of this stack, with the same key.
    pub fn client_of(&self, api: &Program) -> Client {
        self.client.at(api.url())
    }
}

async fn create_key(workspace: &str, settings: &Settings) -> anyhow::Result<String> {
    program::run(
        "api",
        &["keys", "create", "--workspace", workspace, "--scopes", "read,write,execute"],
        settings,
    )
    .await
}

/// Folder of the logs, removed when the value is dropped.
struct Folder(PathBuf);

impl Folder {
    fn create(name: &str) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("runnerctl-{name}"));
        std::fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The logs of a failing test are kept.
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
