//! Configuration of the api, read from environment variables.

use packages::PackagesConfig;
use shared::{
    config::{EnvReader, Problems, Secret},
    encryption::Keyring,
    signing::SigningKeys,
};
use std::{sync::Arc, time::Duration};

/// Configuration of `api serve`.
#[derive(Clone, Debug)]
pub struct Config {
    /// `PORT`: port of the HTTP server.
    pub port: u16,
    pub database: DatabaseConfig,
    /// `AMQP_URL`: URL of the broker and its virtual host.
    pub amqp_url: Secret,
    /// `AMQP_PREFIX`: prefix for exchange and queue names.
    pub amqp_prefix: String,
    /// `WORKSPACE_CONCURRENCY`: executions of one workspace that may run at a time, unless `api workspaces set` gave it
    /// a number of its own; 0 is no limit.
    pub workspace_concurrency: u32,
    /// `RETENTION_DAYS`: age in days at which executions and their logs are dropped, to the week, and dead letters; 0 keeps
    /// them.
    pub retention_days: u64,
    /// `RUNNER_HMAC_SECRET_KEY`: secrets of signed requests, at least 32 bytes each (`openssl rand -hex 32`), the newest
    /// first.
    pub signing_keys: Arc<SigningKeys>,
    /// `ENCRYPTION_KEY`: keys that encrypt environment values and tokens; the first encrypts, all decrypt.
    pub keyring: Arc<Keyring>,
    pub http: HttpConfig,
    /// Packages that scripts may import; `None` if they may not.
    pub packages: Option<PackagesConfig>,
}

/// Address of the database, and limit on its connections.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// `DATABASE_URL`: PostgreSQL, as `postgresql://user:password@host:5432/database`; `sslmode` and `sslrootcert` are
    /// supported.
    pub url: Secret,
    /// `DATABASE_POOL_SIZE`: connections of this process to PostgreSQL. A quarter of them reads lists, half of those at
    /// most for one workspace.
    pub pool_size: u32,
}

/// Limits of the HTTP API.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// `CORS_ALLOWED_ORIGINS`: origins from which browsers may call the API; none by default.
    pub cors_allowed_origins: Vec<String>,
    /// `RATE_LIMIT_PER_S`: requests per second and workspace in this process; 0 is no limit. A burst of twice as
    /// many is allowed.
    pub rate_limit_per_s: u32,
    /// `QUEUE_QUOTA`: executions of one workspace that may be queued at a time; 0 is no limit.
    pub queue_quota: i64,
    /// `TEST_RUN_WAIT_S`: seconds for which `/scripts/test/` waits before it answers 504.
    pub test_run_wait: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            cors_allowed_origins: Vec::new(),
            rate_limit_per_s: 2_000,
            queue_quota: 100_000,
            test_run_wait: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// Reads the variables of `serve`, and reports every problem.
    pub fn read(mut environment: EnvReader) -> Result<Self, Problems> {
        let config = Self::read_from(&mut environment);
        environment.finish(|| config)
    }

    /// Returns `None` if a problem was recorded in `environment`.
    fn read_from(environment: &mut EnvReader) -> Option<Self> {
        let port = environment.parse_or("PORT", 8000);
        let database = DatabaseConfig::read_from(environment);
        let amqp_url = environment.secret("AMQP_URL");
        let amqp_prefix = environment.text_or("AMQP_PREFIX", "");
        let workspace_concurrency = environment.parse_or("WORKSPACE_CONCURRENCY", 0);
        let retention_days = environment.number_in("RETENTION_DAYS", 90, 0..=36_500);
        let signing_keys = environment.required_as("RUNNER_HMAC_SECRET_KEY", SigningKeys::parse);
        let keyring = environment.required_as("ENCRYPTION_KEY", Keyring::parse);
        let http = HttpConfig::read_from(environment);
        let packages = PackagesConfig::read(environment);
        Some(Self {
            port,
            database: database?,
            amqp_url: amqp_url?,
            amqp_prefix,
            workspace_concurrency,
            retention_days,
            signing_keys: Arc::new(signing_keys?),
            keyring: Arc::new(keyring?),
            http,
            packages,
        })
    }
}

impl DatabaseConfig {
    /// Reads the variables of commands that need the database alone.
    pub fn read(mut environment: EnvReader) -> Result<Self, Problems> {
        let database = Self::read_from(&mut environment);
        environment.finish(|| database)
    }

    fn read_from(environment: &mut EnvReader) -> Option<Self> {
        let url = environment.secret("DATABASE_URL");
        let pool_size = environment.number_in("DATABASE_POOL_SIZE", 10, 2..=500);
        Some(Self { url: url?, pool_size })
    }
}

impl HttpConfig {
    fn read_from(environment: &mut EnvReader) -> Self {
        let default = Self::default();
        Self {
            cors_allowed_origins: environment.list("CORS_ALLOWED_ORIGINS"),
            rate_limit_per_s: environment.parse_or("RATE_LIMIT_PER_S", default.rate_limit_per_s),
            queue_quota: environment.number_in("QUEUE_QUOTA", default.queue_quota, 0..=i64::MAX),
            test_run_wait: environment.seconds_or("TEST_RUN_WAIT_S", default.test_run_wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::{config::reference, telemetry::Settings};
    use std::path::Path;

    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");

    #[test]
    fn the_configuration_page_says_what_is_read() {
        let mut environment = EnvReader::from([]);
        Settings::read_from(&mut environment);
        Config::read_from(&mut environment);
        let sources = [
            include_str!("config.rs"),
            include_str!("../../crates/packages/src/config.rs"),
            include_str!("../../shared/src/telemetry/mod.rs"),
        ];
        assert_eq!(
            reference::check_up_to_date(Path::new(PAGE), "api", environment.declared(), &sources),
            Ok(())
        );
    }
}
