//! Servers of one test, which it can stop and start again.

use std::{path::PathBuf, process::Command, time::Duration};
use uuid::Uuid;

/// PostgreSQL and RabbitMQ for one test only. They take seconds to start, so they are for tests that stop a server. For
/// tests that lose a connection, [`crate::Link`] is enough.
pub struct Services {
    folder: PathBuf,
    consumer_timeout: Duration,
    database_url: String,
    amqp_url: String,
}

impl Services {
    /// Starts both servers. A consumer that acknowledges nothing for `consumer_timeout` loses its channel (RabbitMQ's
    /// default is 30 minutes).
    ///
    /// # Panics
    /// If a server does not start. The output of the script is on standard error.
    pub fn start(consumer_timeout: Duration) -> Self {
        let folder = std::env::temp_dir().join(format!("runnerctl-services-{}", Uuid::now_v7().simple()));
        let (database_url, amqp_url) = (String::new(), String::new());
        let mut services = Self { folder, consumer_timeout, database_url, amqp_url };
        let urls = services.script("start", &[]);
        let value = |key: &str| urls.lines().find_map(|line| line.strip_prefix(key)).expect(key).to_owned();
        services.database_url = value("DATABASE_URL=");
        services.amqp_url = value("AMQP_URL=");
        services
    }

    /// Returns the URL for `DATABASE_URL`, which a restart does not change.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Returns the URL for `AMQP_URL`, which a restart does not change.
    pub fn amqp_url(&self) -> &str {
        &self.amqp_url
    }

    /// Stops `postgres` or `rabbitmq`.
    ///
    /// # Panics
    /// If the script fails.
    pub fn stop_one(&self, name: &str) {
        self.script("stop", &[name]);
    }

    /// Starts `postgres` or `rabbitmq` again, with the same data and port.
    ///
    /// # Panics
    /// If the script fails.
    pub fn start_one(&self, name: &str) {
        self.script("start", &[name]);
    }

    fn script(&self, command: &str, arguments: &[&str]) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/services");
        let output = Command::new(script)
            .arg(command)
            .arg(&self.folder)
            .arg("--fast")
            .arg(format!("--consumer-timeout={}", self.consumer_timeout.as_millis()))
            .args(arguments)
            .stderr(std::process::Stdio::inherit())
            .output()
            .expect("scripts/services runs");
        assert!(output.status.success(), "scripts/services {command} failed");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.script("stop", &[]);
        } else if let Err(panic) =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.script("stop", &[])))
        {
            drop(panic);
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
