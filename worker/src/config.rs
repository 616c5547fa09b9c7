//! What the worker is told by its environment.

use crate::supervisor::egress::Exceptions;
use npm::PackagesConfig;
use shared::{
    config::{Environment, Problems, Secret},
    encryption::Keyring,
    limits::Limits,
    signing::Keys,
};
use std::{sync::Arc, time::Duration};
use url::Url;

/// RabbitMQ closes a channel whose message was not acknowledged for this long (its default `consumer_timeout`).
const BROKER_CONSUMER_TIMEOUT: Duration = Duration::from_mins(30);

/// Everything `worker serve` needs.
#[derive(Clone, Debug)]
pub struct Config {
    /// `PORT`: where the worker's own HTTP endpoints are.
    pub port: u16,
    pub database: DatabaseConfig,
    pub amqp: AmqpConfig,
    /// `RUNNER_HMAC_SECRET_KEY`: of requests to and from this worker.
    pub signing_keys: Arc<Keys>,
    /// `ENCRYPTION_KEY`: opens environment values.
    pub keyring: Arc<Keyring>,
    /// `WORKER_CONCURRENCY`: runs at the same time; by default one per processor.
    pub concurrency: u16,
    /// `DRAIN_TIMEOUT_S`: how long a stopping worker lets its runs go on.
    pub drain_timeout: Duration,
    /// `API_BASE_URL`: Plane's API.
    pub api_base_url: Url,
    /// `CONTROL_SERVICE_BASE_URL`: where a workspace's Plane token is asked for; none if not set.
    pub control_service: Option<Url>,
    pub limits: Limits,
    /// `SANDBOX_ALLOW_PRIVATE_NETWORK`: what scripts may reach besides the public Internet.
    pub exceptions: Exceptions,
    /// `SANDBOX_STRICT`: refuse to start unless every isolation layer holds.
    pub sandbox_strict: bool,
    /// Packages that scripts may import; `None` if they may not.
    pub packages: Option<PackagesConfig>,
}

/// Where rows are.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// `DATABASE_URL`.
    pub url: Secret,
    /// `DATABASE_POOL_SIZE`: runs share connections, since each needs one for milliseconds only.
    pub pool_size: usize,
}

/// Where messages come from.
#[derive(Clone, Debug)]
pub struct AmqpConfig {
    /// `AMQP_URL`: broker and virtual host.
    pub url: Secret,
    /// `AMQP_PREFIX`: put before the names of exchanges and queues.
    pub prefix: String,
}

impl Config {
    /// Reads what `serve` needs; every problem is reported.
    pub fn read(mut environment: Environment) -> Result<Self, Problems> {
        let port = environment.parse_or("PORT", 3000);
        let database = DatabaseConfig::read_from(&mut environment);
        let amqp_url = environment.secret("AMQP_URL");
        let prefix = environment.text_or("AMQP_PREFIX", "");
        let signing_keys = environment.required_as("RUNNER_HMAC_SECRET_KEY", Keys::parse);
        let keyring = environment.required_as("ENCRYPTION_KEY", Keyring::parse);
        let concurrency = environment.number_in("WORKER_CONCURRENCY", processors(), 1..=1024);
        let drain_timeout = environment.seconds_or("DRAIN_TIMEOUT_S", Duration::from_secs(25));
        let api_base_url = environment.required_as("API_BASE_URL", http_url);
        let control_service = environment.optional_as("CONTROL_SERVICE_BASE_URL", http_url);
        let limits = read_limits(&mut environment);
        let exceptions = environment.optional_as("SANDBOX_ALLOW_PRIVATE_NETWORK", str::parse::<Exceptions>);
        let sandbox_strict = environment.flag("SANDBOX_STRICT");
        let packages = PackagesConfig::read(&mut environment);

        let longest_hold = limits.init_timeout + limits.execution_timeout + drain_timeout;
        if longest_hold >= BROKER_CONSUMER_TIMEOUT {
            let rule = "must leave a run and the drain less than 30 minutes together: the broker takes messages back then";
            environment.problem("EXECUTION_TIMEOUT_MS", rule);
        }
        environment.finish(|| {
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
        })
    }
}

impl DatabaseConfig {
    fn read_from(environment: &mut Environment) -> Option<Self> {
        let url = environment.secret("DATABASE_URL");
        let pool_size = environment.number_in("DATABASE_POOL_SIZE", 8, 2..=500);
        Some(Self { url: url?, pool_size })
    }
}

fn read_limits(environment: &mut Environment) -> Limits {
    let default = Limits::default();
    let mebibytes = default.memory_bytes / MIB;
    Limits {
        execution_timeout: environment.millis_or("EXECUTION_TIMEOUT_MS", default.execution_timeout),
        init_timeout: environment.millis_or("INIT_TIMEOUT_MS", default.init_timeout),
        memory_bytes: environment.number_in("ISOLATE_MEMORY_MB", mebibytes, 16..=4096) * MIB,
        ..default
    }
}

const MIB: usize = 1024 * 1024;

fn processors() -> u16 {
    std::thread::available_parallelism().ok().and_then(|count| u16::try_from(count.get()).ok()).unwrap_or(1)
}

fn http_url(text: &str) -> Result<Url, &'static str> {
    let rule = "must be an http or https URL";
    let url = Url::parse(text).map_err(|_| rule)?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(url) } else { Err(rule) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: [(&str, &str); 5] = [
        ("DATABASE_URL", "postgres://localhost/runnerctl"),
        ("AMQP_URL", "amqp://localhost"),
        ("RUNNER_HMAC_SECRET_KEY", "secret"),
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
    fn a_run_must_fit_into_the_brokers_patience() {
        let problems = with(&[("EXECUTION_TIMEOUT_MS", "1795000")]).expect_err("too long");
        assert_eq!(problems.0[0].name, "EXECUTION_TIMEOUT_MS");
    }
}
