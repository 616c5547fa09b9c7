//! Every metric of the api and the worker: defined here once, recorded and documented from here.
//!
//! Invariant: labels are bounded. Statuses, codes, routes and dependencies are; workspace, script and execution
//! ids are not and never become labels.

use ::metrics::{Key, Label, Level, Metadata, SharedString, with_recorder};
use std::fmt::Write;

/// What a metric does over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by upper bound.
    Histogram { buckets: &'static [f64] },
}

/// Which program records a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Api,
    Worker,
    Both,
}

/// One metric, as it is rendered and documented.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Prometheus name, with its unit.
    pub name: &'static str,
    pub kind: Kind,
    pub program: Program,
    /// Label names, in the order in which values are given.
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

impl Metric {
    fn key<const N: usize>(&self, values: [impl Into<SharedString>; N]) -> Key {
        let labels = self.labels.iter().zip(values).map(|(&name, value)| Label::new(name, value));
        Key::from_parts(self.name, labels.collect::<Vec<_>>())
    }
}

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

macro_rules! typed {
    ($($type:ident, $register:ident;)+) => { $(
        /// A metric with `N` labels.
        #[derive(Debug)]
        pub struct $type<const N: usize>(Metric);

        impl<const N: usize> $type<N> {
            /// The series with these label values, in the order of the definition.
            pub fn with<V: Into<SharedString>>(&self, values: [V; N]) -> ::metrics::$type {
                with_recorder(|recorder| recorder.$register(&self.0.key(values), &METADATA))
            }

            /// Name, help and labels.
            pub const fn definition(&self) -> &Metric {
                &self.0
            }
        }
    )+ };
}
typed! {
    Counter, register_counter;
    Gauge, register_gauge;
    Histogram, register_histogram;
}

macro_rules! metrics {
    (@kind Counter) => { Kind::Counter };
    (@kind Gauge) => { Kind::Gauge };
    (@kind Histogram $buckets:ident) => { Kind::Histogram { buckets: $buckets } };
    ($($program:ident $type:ident $(($buckets:ident))? $id:ident = $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(
            #[doc = concat!("`", $name, "`: ", $help)]
            pub static $id: $type<{ <[&str]>::len(&[$($label),*]) }> = $type(Metric {
                name: $name,
                kind: metrics!(@kind $type $($buckets)?),
                program: Program::$program,
                labels: &[$($label),*],
                help: $help,
            });
        )+

        /// Every metric, in the order of the documentation.
        pub static ALL: &[&Metric] = &[$($id.definition()),+];
    };
}

/// From the shortest fetch-less run to the time limit.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0];
/// Waiting in a queue lasts from a millisecond to an hour of backlog.
const WAITING: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0,
    3600.0,
];
/// From 1 MiB to 256 MiB in powers of two.
const BYTES: &[f64] = &[
    1_048_576.0,
    2_097_152.0,
    4_194_304.0,
    8_388_608.0,
    16_777_216.0,
    33_554_432.0,
    67_108_864.0,
    134_217_728.0,
    268_435_456.0,
];

metrics! {
    Worker Counter EXECUTIONS = "runnerctl_executions_total" ["status", "code"]
        "Executions that reached a terminal status, by status and error code (`none` when completed).";
    Worker Histogram(WAITING) EXECUTION_QUEUE = "runnerctl_execution_queue_seconds" ["trigger_type"]
        "From the commit of an execution to its claim by a worker.";
    Worker Histogram(SECONDS) EXECUTION_INIT = "runnerctl_execution_init_seconds" []
        "Evaluating the top level of a script and its functions.";
    Worker Histogram(SECONDS) EXECUTION_RUN = "runnerctl_execution_run_seconds" []
        "From the call of `main` until its result is bytes.";
    Worker Histogram(SECONDS) EXECUTION_PERSIST = "runnerctl_execution_persist_seconds" []
        "Writing an outcome to the database.";
    Worker Histogram(SECONDS) EXECUTION_CPU = "runnerctl_execution_cpu_seconds" []
        "Processor time of a run.";
    Worker Histogram(BYTES) EXECUTION_MEMORY_PEAK = "runnerctl_execution_memory_peak_bytes" []
        "Largest heap and array buffer total of a run.";
    Worker Gauge SLOTS = "runnerctl_slots" [] "Sandboxes this worker runs side by side.";
    Worker Gauge SLOTS_BUSY = "runnerctl_slots_busy" [] "Sandboxes with a run in them.";
    Worker Counter SANDBOX_RESTARTS = "runnerctl_sandbox_restarts_total" ["reason"]
        "Sandbox processes replaced, by reason.";
    Worker Gauge SANDBOX_LAYER = "runnerctl_sandbox_layer" ["layer"]
        "1 for each isolation layer in force, 0 for each that the host forbids.";
    Worker Counter FETCHES = "runnerctl_fetches_total" ["outcome"]
        "Requests made for scripts: response class (`2xx` to `5xx`), `refused` by policy, `failed` or `aborted`.";
    Worker Histogram(SECONDS) FETCH_DURATION = "runnerctl_fetch_seconds" []
        "From a script's request to the last byte of its answer.";
    Worker Counter DELIVERIES = "runnerctl_deliveries_total" ["settled"]
        "Messages taken from the queue, by how they were settled.";
    Worker Counter REDELIVERIES = "runnerctl_redeliveries_total" []
        "Messages the broker delivered for more than the first time.";
    Worker Counter RECLAIMED = "runnerctl_reclaimed_total" ["outcome"]
        "Runs whose worker stopped answering: `requeued`, or `worker_lost` after the last attempt.";
    Worker Counter LEASES_LOST = "runnerctl_leases_lost_total" []
        "Outcomes this worker could not write because the run was given to another.";
    Both Histogram(SECONDS) BUILD_DURATION = "runnerctl_build_seconds" ["unit", "outcome"]
        "Building a script or function: `built` or `refused`.";
    Api Gauge OUTBOX_ROWS = "runnerctl_outbox_rows" [] "Outbox rows that are due and not yet published.";
    Api Gauge OUTBOX_AGE = "runnerctl_outbox_oldest_seconds" [] "Age of the oldest due outbox row.";
    Api Histogram(WAITING) OUTBOX_LAG = "runnerctl_outbox_lag_seconds" []
        "From the moment an outbox row is due to the broker's confirm.";
    Both Counter PUBLISHES = "runnerctl_publishes_total" ["outcome"]
        "Messages published: `confirmed`, `returned`, `nacked` or `failed`.";
    Both Histogram(SECONDS) PUBLISH_CONFIRM = "runnerctl_publish_confirm_seconds" []
        "From a publish to the broker's confirm.";
    Both Counter DEAD_LETTERS = "runnerctl_dead_letters_total" ["reason"] "Messages sent to the dead-letter queue.";
    Both Gauge CONNECTION_UP = "runnerctl_connection_up" ["dependency", "connection"]
        "1 while the connection to `database` or `broker` stands; one series per connection.";
    Both Counter RECONNECTS = "runnerctl_reconnects_total" ["dependency", "connection"] "Connections that were made again.";
    Both Gauge DATABASE_CONNECTIONS = "runnerctl_database_connections" ["state"]
        "Connections of the database pool: `idle` or `in_use`.";
    Api Counter EVENTS_INGESTED = "runnerctl_events_ingested_total" ["outcome"]
        "Events of triggers: `accepted`, `duplicate` or `refused`.";
    Api Histogram(WAITING) INGEST_LAG = "runnerctl_ingest_lag_seconds" []
        "From an event's publish, as its AMQP timestamp tells, else from its arrival, to the commit of its execution.";
    Api Gauge QUEUE_DEPTH = "runnerctl_queue_depth" ["queue"] "Messages ready in the broker's queues.";
    Api Gauge WORKERS = "runnerctl_workers" [] "Workers seen in the last 30 seconds.";
    Api Gauge LIVE_CLIENTS = "runnerctl_live_clients" ["kind"]
        "Clients that hold a request open for news of an execution: `wait` or `events`.";
    Api Counter RATE_LIMITED = "runnerctl_rate_limited_total" ["limit"] "Requests answered 429, by the limit they met.";
    Both Counter HTTP_REQUESTS = "runnerctl_http_requests_total" ["method", "route", "status"]
        "Requests answered, by route pattern.";
    Both Histogram(SECONDS) HTTP_REQUEST_DURATION = "runnerctl_http_request_seconds" ["method", "route"]
        "From a request's head to its answer's head.";
    Both Gauge BUILD_INFO = "runnerctl_build_info" ["version"] "Always 1; the label names the running version.";
}

/// The text of `docs/metrics.md`.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(
        "# Metrics\n\n\
         Written from `shared/src/telemetry/metrics.rs` by its test; edit there.\n\
         The api and each worker serve them at `/metrics`, without authentication.\n\n\
         | name | kind | labels | from | meaning |\n|---|---|---|---|---|\n",
    );
    for metric in ALL {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram { .. } => "histogram",
        };
        let program = match metric.program {
            Program::Api => "api",
            Program::Worker => "worker",
            Program::Both => "api, worker",
        };
        let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        let Metric { name, help, .. } = metric;
        writeln!(text, "| `{name}` | {kind} | {labels} | {program} | {help} |")
            .expect("a String takes any text");
    }
    text.push_str("\n## Histogram bounds\n\n");
    for (buckets, unit) in [(SECONDS, "seconds"), (WAITING, "seconds"), (BYTES, "bytes")] {
        let users = ALL.iter().filter(|metric| metric.kind == Kind::Histogram { buckets });
        let names = users.map(|metric| format!("`{}`", metric.name)).collect::<Vec<_>>().join(", ");
        let bounds = buckets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        writeln!(text, "- {bounds} {unit}: {names}").expect("a String takes any text");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");

    /// `UPDATE_DOCS=1 cargo test -p shared metrics` writes the document anew.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a switch of the test, not configuration")]
    fn the_document_says_what_the_code_records() {
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(DOCUMENT, reference()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(DOCUMENT).unwrap(), reference());
    }

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        let mut names = BTreeSet::new();
        for metric in ALL {
            assert!(names.insert(metric.name), "{} is defined twice", metric.name);
            assert!(metric.name.starts_with("runnerctl_"));
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
            if let Kind::Histogram { buckets } = metric.kind {
                assert!(
                    metric.name.ends_with("_seconds") || metric.name.ends_with("_bytes"),
                    "{}",
                    metric.name
                );
                assert!(buckets.is_sorted(), "{}", metric.name);
            }
        }
    }

    #[test]
    fn no_label_is_unbounded() {
        for metric in ALL {
            for label in metric.labels {
                assert!(!label.ends_with("_id") && !label.contains("workspace"), "{}: {label}", metric.name);
            }
        }
    }
}
