//! Configuration of the worker, read from environment variables.

use crate::supervisor::egress::Exceptions;
use packages::PackagesConfig;
use shared::{
    config::{EnvReader, Problems, Secret},
    encryption::Keyring,
    limits::Limits,
    signing::SigningKeys,
};
use std::{sync::Arc, time::Duration};
use url::Url;

/// Maximum time, in minutes, that RabbitMQ waits for the acknowledgement of a message before it closes the channel. Its
/// default `consumer_timeout`.
const BROKER_CONSUMER_TIMEOUT: Duration = Duration::from_mins(30);

/// Settings of `worker serve`.
#[derive(Clone, Debug)]
pub struct Config {
    /// `PORT`: port of the worker's own HTTP endpoints.
    pub port: u16,
    pub database: DatabaseConfig,
    pub amqp: AmqpConfig,
    /// `RUNNER_HMAC_SECRET_KEY`: secrets of signed requests, at least 32 bytes each (`openssl rand -hex 32`), the newest
    /// first, the same as the api's.
    pub signing_keys: Arc<SigningKeys>,
    /// `ENCRYPTION_KEY`: keys that decrypt environment values, the same as the api's.
    pub keyring: Arc<Keyring>,
    /// `WORKER_CONCURRENCY`: maximum number of runs at the same time.
    pub concurrency: u16,
    /// `DRAIN_TIMEOUT_S`: maximum time, in seconds, for which a stopping worker lets its runs go on.
    pub drain_timeout: Duration,
    /// `API_BASE_URL`: base URL of Plane's API.
    pub api_base_url: Url,
    /// `CONTROL_SERVICE_BASE_URL`: base URL of the control service, which issues a workspace's Plane token. Without it, runs have
    /// no token.
    pub control_service: Option<Url>,
    pub limits: Limits,
    /// `SANDBOX_ALLOW_PRIVATE_NETWORK`: addresses that scripts may reach besides the public Internet.
    pub exceptions: Exceptions,
    /// `SANDBOX_STRICT`: refuse to start unless every isolation layer holds.
    pub sandbox_strict: bool,
    /// npm packages that scripts may import. `None` if they may import none.
    pub packages: Option<PackagesConfig>,
}

/// Connections to PostgreSQL.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// `DATABASE_URL`: PostgreSQL, as `postgresql://user:password@host:5432/database`; `sslmode` and `sslrootcert` are supported.
    pub url: Secret,
    /// `DATABASE_POOL_SIZE`: maximum number of connections of this process to PostgreSQL. Runs share them: each needs one for
    /// milliseconds.
    pub pool_size: usize,
}

/// Connection to RabbitMQ.
#[derive(Clone, Debug)]
pub struct AmqpConfig {
    /// `AMQP_URL`: URL of the broker and its virtual host.
    pub url: Secret,
    /// `AMQP_PREFIX`: prefix of the names of exchanges and queues.
    pub prefix: String,
}

impl Config {
    /// Reads the settings of `serve`. An error reports every problem.
    pub fn read(mut environment: EnvReader) -> Result<Self, Problems> {
        let config = Self::read_from(&mut environment);
        environment.finish(|| config)
    }

    /// Returns `None` if a problem was recorded in `environment`.
    fn read_from(environment: &mut EnvReader) -> Option<Self> {
        let port = environment.parse_or("PORT", 3000);
        let database = DatabaseConfig::read_from(environment);
        let amqp_url = environment.secret("AMQP_URL");
        let prefix = environment.text_or("AMQP_PREFIX", "");
        let signing_keys = environment.required_as("RUNNER_HMAC_SECRET_KEY", SigningKeys::parse);
        let keyring = environment.required_as("ENCRYPTION_KEY", Keyring::parse);
        let concurrency =
            environment.number_or_computed("WORKER_CONCURRENCY", "one per processor", processors(), 1..=1024);
        let drain_timeout = environment.seconds_or("DRAIN_TIMEOUT_S", Duration::from_secs(25));
        let api_base_url = environment.required_as("API_BASE_URL", base_url);
        let control_service = environment.optional_as("CONTROL_SERVICE_BASE_URL", base_url);
        let limits = read_limits(environment);
        let exceptions = environment.optional_as("SANDBOX_ALLOW_PRIVATE_NETWORK", str::parse::<Exceptions>);
        let sandbox_strict = environment.flag("SANDBOX_STRICT");
        let packages = PackagesConfig::read(environment);

        let max_unacknowledged = limits.init_timeout + limits.execution_timeout + drain_timeout;
        if max_unacknowledged >= BROKER_CONSUMER_TIMEOUT {
            let rule = "must leave a run and the drain less than 30 minutes together: the broker takes messages back then";
            environment.problem("EXECUTION_TIMEOUT_MS", rule);
        }
        Some(Self {
            port,
            database: database?,
            amqp: AmqpConfig { url: amqp_url?, prefix },
            signing_keys: Arc::new(signing_keys?),
            keyring: Arc::new(keyring?),
            concurrency,
            drain_timeout,
            api_base_url: api_base_url?,
            control_service,
            limits,
            exceptions: exceptions.unwrap_or_default(),
            sandbox_strict,
            packages,
        })
    }

    /// Returns [`Config::api_base_url`] without its last slash: the SDK appends paths that begin with one.
    #[must_use]
    pub fn sdk_base_url(&self) -> String {
        self.api_base_url.as_str().trim_end_matches('/').to_owned()
    }
}

impl DatabaseConfig {
    fn read_from(environment: &mut EnvReader) -> Option<Self> {
        let url = environment.secret("DATABASE_URL");
        let pool_size = environment.number_in("DATABASE_POOL_SIZE", 3, 2..=500);
        Some(Self { url: url?, pool_size })
    }
}

fn read_limits(environment: &mut EnvReader) -> Limits {
    let default = Limits::default();
    let mebibytes = default.memory_bytes / MIB;
    Limits {
        execution_timeout: environment.millis_or("EXECUTION_TIMEOUT_MS", default.execution_timeout),
        init_timeout: environment.millis_or("INIT_TIMEOUT_MS", default.init_timeout),
        memory_bytes: environment.number_in("ISOLATE_MEMORY_MB", mebibytes, 16..=4096) * MIB,
        // These maxima fit into a frame of 16 MiB on the sandbox's socket, escaped as JSON.
        result_bytes: environment.number_in("MAX_RESULT_BYTES", default.result_bytes, 1..=2 * MIB),
        log_bytes: environment.number_in("MAX_LOG_BYTES", default.log_bytes, 1..=2 * MIB),
        log_lines: environment.number_in("MAX_LOG_LINES", default.log_lines, 1..=100_000),
        fetches: environment.number_in("MAX_FETCHES", default.fetches, 0..=10_000),
        response_bytes: environment.number_in("MAX_RESPONSE_BYTES", default.response_bytes, 1..=11 * MIB),
    }
}

const MIB: usize = 1024 * 1024;

fn processors() -> u16 {
    std::thread::available_parallelism().ok().and_then(|count| u16::try_from(count.get()).ok()).unwrap_or(1)
}

/// Parses a URL to which paths are appended.
fn base_url(text: &str) -> Result<Url, &'static str> {
    let rule = "must be an http or https URL";
    let url = Url::parse(text).map_err(|_| rule)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(rule);
    }
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if bare { Ok(url) } else { Err("must have no credentials, query or fragment: paths are appended to it") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::{config::reference, telemetry::Settings};
    use std::path::Path;

    const REQUIRED: [(&str, &str); 5] = [
        ("DATABASE_URL", "postgres://localhost/runnerctl"),
        ("AMQP_URL", "amqp://localhost"),
        ("RUNNER_HMAC_SECRET_KEY", "a secret of the tests that is 32 bytes long"),
        ("ENCRYPTION_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("API_BASE_URL", "https://plane.example"),
    ];

    fn with(more: &[(&'static str, &'static str)]) -> Result<Config, Problems> {
        Config::read(REQUIRED.into_iter().chain(more.iter().copied()).collect())
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let config = with(&[]).expect("complete");
        assert_eq!(config.port, 3000);
        assert_eq!(config.limits, Limits::default());
        assert_eq!(config.control_service, None);
    }

    #[test]
    fn every_problem_is_reported() {
        let problems = Config::read([("API_BASE_URL", "ftp://plane"), ("WORKER_CONCURRENCY", "0")].into());
        let names: Vec<_> = problems.expect_err("incomplete").0.iter().map(|problem| problem.name).collect();
        let expected = [
            "DATABASE_URL",
            "AMQP_URL",
            "RUNNER_HMAC_SECRET_KEY",
            "ENCRYPTION_KEY",
            "WORKER_CONCURRENCY",
            "API_BASE_URL",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn the_sdk_base_url_has_no_trailing_slash() {
        for (set, base) in [
            ("http://plane:8000", "http://plane:8000"),
            ("http://plane:8000/", "http://plane:8000"),
            ("https://example.com/plane/", "https://example.com/plane"),
        ] {
            assert_eq!(with(&[("API_BASE_URL", set)]).expect("complete").sdk_base_url(), base);
        }
    }

    #[test]
    fn every_run_limit_is_configurable_up_to_the_frame_limit() {
        let set = [
            ("EXECUTION_TIMEOUT_MS", "1"),
            ("INIT_TIMEOUT_MS", "2"),
            ("ISOLATE_MEMORY_MB", "16"),
            ("MAX_RESULT_BYTES", "3"),
            ("MAX_LOG_BYTES", "4"),
            ("MAX_LOG_LINES", "5"),
            ("MAX_FETCHES", "6"),
            ("MAX_RESPONSE_BYTES", "7"),
        ];
        let limits = Limits {
            execution_timeout: Duration::from_millis(1),
            init_timeout: Duration::from_millis(2),
            memory_bytes: 16 * MIB,
            result_bytes: 3,
            log_bytes: 4,
            log_lines: 5,
            fetches: 6,
            response_bytes: 7,
        };
        assert_eq!(with(&set).expect("complete").limits, limits);
        for name in ["MAX_RESULT_BYTES", "MAX_LOG_BYTES", "MAX_RESPONSE_BYTES"] {
            let problems = with(&[(name, "16000000")]).expect_err("more than a frame holds");
            assert_eq!(problems.0[0].name, name);
        }
    }

    #[test]
    fn an_api_base_url_has_no_credentials_query_or_fragment() {
        for set in
            ["https://user:secret@plane.example", "https://plane.example/?a=1", "https://plane.example/#a"]
        {
            let problems = with(&[("API_BASE_URL", set)]).expect_err("refused");
            assert_eq!(problems.0[0].name, "API_BASE_URL");
            assert!(!format!("{problems:?}").contains("secret"));
        }
    }

    #[test]
    fn the_run_timeout_must_be_below_the_consumer_timeout() {
        let problems = with(&[("EXECUTION_TIMEOUT_MS", "1795000")]).expect_err("too long");
        assert_eq!(problems.0[0].name, "EXECUTION_TIMEOUT_MS");
    }

    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");

    #[test]
    fn the_configuration_page_says_what_is_read() {
        let mut environment = EnvReader::from([]);
        Settings::read_from(&mut environment);
        Config::read_from(&mut environment);
        let sources = [
            include_str!("config.rs"),
            include_str!("../../crates/packages/src/config.rs"),
            include_str!("../../shared/src/limits.rs"),
            include_str!("../../shared/src/telemetry/mod.rs"),
        ];
        assert_eq!(
            reference::check_up_to_date(Path::new(PAGE), "worker", environment.declared(), &sources),
            Ok(())
        );
    }
}
