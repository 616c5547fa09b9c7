//! Migrated database of one test.

use crate::server_url;
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool, migrate::Migrator,
    postgres::PgPoolOptions,
};
use url::Url;
use uuid::Uuid;

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// Advisory lock that serialises the creation of templates across all test processes of a server.
const TEMPLATE_LOCK: i64 = 0x52_43_54_4c;

/// Database of one test with the current schema, copied from a template that is migrated once per server.
///
/// Dropped with the value, even if the test panics.
pub struct TestDatabase {
    url: Url,
    server: Url,
    name: String,
}

impl TestDatabase {
    /// # Panics
    /// If there is no server, or if it returns an error.
    pub async fn create() -> Self {
        let server = Url::parse(&server_url("TEST_DATABASE_URL")).expect("TEST_DATABASE_URL is a URL");
        let mut connection = connect(&server).await;
        let template = template(&server, &mut connection).await;
        let name = format!("test_{}", Uuid::now_v7().simple());
        execute(&mut connection, format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        Self { url: with_database(&server, &name), server, name }
    }

    /// Returns the URL of this database for `DATABASE_URL`.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Makes commits of new connections wait for the disk, as everywhere except in tests.
    ///
    /// # Panics
    /// If the server returns an error.
    pub async fn wait_for_disk(&self) {
        let statement = format!("ALTER DATABASE {} SET synchronous_commit = on", self.name);
        execute(&mut connect(&self.server).await, statement).await;
    }

    /// Makes a pool of connections to this database.
    ///
    /// # Panics
    /// If the server returns an error.
    pub async fn pool(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(8)
            .connect(self.url())
            .await
            .expect("connect to the test's database")
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let server = self.server.clone();
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // `drop` is not async and may run while a runtime unwinds. A thread with its own runtime works in both cases. A
        // database that is not dropped is removed with the temporary server.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async {
                let mut connection = PgConnection::connect(server.as_str()).await.ok()?;
                connection.execute(AssertSqlSafe(statement)).await.ok()
            })
        })
        .join();
        if !matches!(dropped, Ok(Some(_))) {
            eprintln!("database {} was not dropped", self.name);
        }
    }
}

/// Returns the name of the template for the current migrations. Creates it if this server does not have it.
async fn template(server: &Url, connection: &mut PgConnection) -> String {
    let name = format!("template_{:016x}", schema_fingerprint());
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut *connection)
        .await
        .expect("lock");
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(&name)
        .fetch_one(&mut *connection)
        .await
        .expect("look for the template");
    if !exists {
        // Renamed when complete, so that a killed test run leaves no partly migrated template.
        let draft = format!("draft_{}", Uuid::now_v7().simple());
        execute(connection, format!("CREATE DATABASE {draft}")).await;
        let mut migrating = connect(&with_database(server, &draft)).await;
        MIGRATOR.run(&mut migrating).await.expect("migrations run on an empty database");
        migrating.close().await.expect("close the template, or it can't be copied");
        execute(connection, format!("ALTER DATABASE {draft} RENAME TO {name}")).await;
    }
    sqlx::query("SELECT pg_advisory_unlock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut *connection)
        .await
        .expect("unlock");
    name
}

/// Computes FNV-1a over the checksums of the migrations, so that each schema has its own template.
fn schema_fingerprint() -> u64 {
    MIGRATOR
        .iter()
        .flat_map(|migration| migration.checksum.iter())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
}

async fn connect(url: &Url) -> PgConnection {
    PgConnection::connect(url.as_str()).await.expect("connect to the test server")
}

/// Executes a statement without parameters. All names in it are generated here.
async fn execute(connection: &mut PgConnection, statement: String) {
    connection.execute(AssertSqlSafe(statement)).await.expect("statement on the test server");
}

fn with_database(server: &Url, name: &str) -> Url {
    let mut url = server.clone();
    url.set_path(name);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_test_database_has_the_schema_and_no_other_rows() {
        let (one, other) = tokio::join!(TestDatabase::create(), TestDatabase::create());
        let insert = "INSERT INTO workspaces (id, slug) VALUES (gen_random_uuid(), 'demo')";
        sqlx::query(insert).execute(&one.pool().await).await.unwrap();
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM workspaces")
            .fetch_one(&other.pool().await)
            .await
            .unwrap();
        assert_eq!(count, 0);
    }

    #[tokio::test]
    async fn a_test_database_is_dropped_with_its_value_even_in_a_panic() {
        let database = TestDatabase::create().await;
        let (name, server) = (database.name.clone(), database.server.clone());
        let open_connection = database.pool().await;
        let panicked = tokio::spawn(async move {
            let _database = database;
            panic!("the test fails");
        })
        .await;
        assert!(panicked.is_err());
        let left: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(&name)
            .fetch_one(&mut connect(&server).await)
            .await
            .unwrap();
        assert!(!left, "{name} is still there");
        drop(open_connection);
    }
}
