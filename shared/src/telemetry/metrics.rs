//! Metrics of the api and the worker: defined, recorded and documented from one list.
//!
//! Invariant: labels are bounded. Statuses, codes, routes and dependencies are bounded. Ids of workspaces, scripts and
//! executions are not and never become labels. A label has only the values listed with it, so that no alert can wait
//! for a value that never occurs.

use ::metrics::{Key, Level, Metadata, SharedString, with_recorder};
use LabelValues::{Any, Only};
use std::fmt::Write;

/// Type of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MetricKind {
    /// Value that only grows.
    Counter,
    /// Value that goes up and down.
    Gauge,
    /// Counts of observations by upper bound.
    Histogram { buckets: &'static [f64] },
}

/// Program that records a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Api,
    Worker,
    Both,
}

/// Allowed values of a label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LabelValues {
    /// Exactly these values.
    Only(&'static [&'static str]),
    /// Values that this text describes.
    Any(&'static str),
}

/// Label of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Label {
    pub name: &'static str,
    pub values: LabelValues,
}

/// Definition of a metric, as it is rendered and documented.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Prometheus name, with its unit.
    pub name: &'static str,
    pub kind: MetricKind,
    pub program: Program,
    /// Labels, in the order in which their values are passed.
    pub labels: &'static [Label],
    pub help: &'static str,
}

impl Label {
    fn allows(&self, value: &str) -> bool {
        match self.values {
            Only(values) => values.contains(&value),
            Any(_) => true,
        }
    }
}

impl Metric {
    fn key<const N: usize>(&self, values: [impl Into<SharedString>; N]) -> Key {
        let labels = self.labels.iter().zip(values).map(|(label, value)| {
            let value = value.into();
            debug_assert!(label.allows(&value), "{}: {} is never {value:?}", self.name, label.name);
            ::metrics::Label::new(label.name, value)
        });
        Key::from_parts(self.name, labels.collect::<Vec<_>>())
    }
}

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

macro_rules! typed {
    ($($type:ident, $register:ident;)+) => { $(
        /// Metric with `N` labels.
        #[derive(Debug)]
        pub struct $type<const N: usize>(Metric);

        impl<const N: usize> $type<N> {
            /// Returns the series with these label values, in the order of the definition.
            pub fn with<V: Into<SharedString>>(&self, values: [V; N]) -> ::metrics::$type {
                with_recorder(|recorder| recorder.$register(&self.0.key(values), &METADATA))
            }

            /// Returns the definition of the metric.
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
    (@kind Counter) => { MetricKind::Counter };
    (@kind Gauge) => { MetricKind::Gauge };
    (@kind Histogram $buckets:ident) => { MetricKind::Histogram { buckets: $buckets } };
    ($($program:ident $type:ident $(($buckets:ident))? $id:ident = $name:literal [$($label:literal: $values:expr),*] $help:literal;)+) => {
        $(
            #[doc = concat!("`", $name, "`: ", $help)]
            pub static $id: $type<{ <[&str]>::len(&[$($label),*]) }> = $type(Metric {
                name: $name,
                kind: metrics!(@kind $type $($buckets)?),
                program: Program::$program,
                labels: &[$(Label { name: $label, values: $values }),*],
                help: $help,
            });
        )+

        /// All metrics, in the order of the documentation.
        pub static ALL: &[&Metric] = &[$($id.definition()),+];
    };
}

/// Bounds of durations in seconds, from the shortest run without `fetch` to the time limit.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0];
/// Bounds of waiting times in a queue in seconds, from a millisecond to a backlog of an hour.
const WAIT_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0,
    3600.0,
];
/// Bounds of memory in bytes, from 1 MiB to 256 MiB in powers of two.
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

const STATUS: LabelValues = Only(&["completed", "errored", "cancelled"]);
const CODE: LabelValues = Only(&[
    "none",
    "script_error",
    "timeout",
    "init_timeout",
    "memory_limit",
    "invalid_result",
    "result_too_large",
    "build_failed",
    "sandbox_crashed",
    "worker_lost",
    "cancelled",
]);
const TRIGGER_TYPE: LabelValues = Only(&["automation", "workflow_transition", "cron", "test", "api"]);
const RESTART_REASON: LabelValues = Only(&[
    "timeout",
    "init_timeout",
    "memory_limit",
    "cancelled",
    "crashed",
    "protocol",
    "not_ready",
    "died_idle",
    "abandoned",
]);
const LAYER: LabelValues = Only(&[
    "descriptors",
    "environment",
    "no_new_privs",
    "network_namespace",
    "landlock",
    "capabilities",
    "not_dumpable",
    "rlimits",
    "memory_rlimit",
    "process_rlimit",
    "seccomp",
]);
const CONNECTION: LabelValues =
    Any("`pool` and `listener` for the database, `api publisher`, `api consumer` or `worker` for the broker");
const DEPENDENCY: LabelValues = Only(&["database", "broker"]);
const METHOD: LabelValues = Only(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"]);
const ROUTE: LabelValues = Any("patterns of routes, or `unmatched`");

metrics! {
    Both Counter EXECUTIONS = "runnerctl_executions_total" ["status": STATUS, "code": CODE]
        "Executions that reached a terminal status, by status and error code (`none` when completed). The api counts those cancelled before a worker claimed them.";
    Worker Histogram(WAIT_SECONDS) EXECUTION_QUEUE = "runnerctl_execution_queue_seconds" ["trigger_type": TRIGGER_TYPE]
        "Time from the commit of an execution to its claim by a worker.";
    Worker Histogram(SECONDS) EXECUTION_INIT = "runnerctl_execution_init_seconds" []
        "Time for evaluating the top level of a script and its functions.";
    Worker Histogram(SECONDS) EXECUTION_RUN = "runnerctl_execution_run_seconds" []
        "Time from the call of `main` until its result is serialised.";
    Worker Histogram(SECONDS) EXECUTION_PERSIST = "runnerctl_execution_persist_seconds" []
        "Time for writing an outcome to the database.";
    Worker Histogram(SECONDS) EXECUTION_CPU = "runnerctl_execution_cpu_seconds" []
        "Processor time of a run.";
    Worker Histogram(BYTES) EXECUTION_MEMORY_PEAK = "runnerctl_execution_memory_peak_bytes" []
        "Largest heap and array buffer total of a run.";
    Worker Gauge SLOTS = "runnerctl_slots" [] "Maximum number of concurrent sandboxes of this worker.";
    Worker Gauge SLOTS_BUSY = "runnerctl_slots_busy" [] "Sandboxes with an active run.";
    Worker Counter SLOTS_BUSY_SECONDS = "runnerctl_slots_busy_seconds_total" []
        "Time for which slots were taken, summed over slots: from the receipt of a message to its settlement, and for the run of an `execute-sync`.";
    Worker Counter SANDBOX_RESTARTS = "runnerctl_sandbox_restarts_total" ["reason": RESTART_REASON]
        "Sandbox processes that did not end in order with their run, by reason.";
    Worker Gauge SANDBOX_LAYER = "runnerctl_sandbox_layer" ["layer": LAYER]
        "1 for each isolation layer in force, 0 for each that the host does not allow.";
    Worker Counter FETCHES = "runnerctl_fetches_total" ["outcome": Only(&["2xx", "3xx", "4xx", "5xx", "refused", "failed", "aborted"])]
        "Requests made for scripts: response class (`2xx` to `5xx`), `refused` by policy, `failed` or `aborted`.";
    Worker Histogram(SECONDS) FETCH_DURATION = "runnerctl_fetch_seconds" []
        "Time from a script's request to the last byte of its response.";
    Worker Counter DELIVERIES = "runnerctl_deliveries_total" ["settled": Only(&["ack", "requeue", "reject"])]
        "Messages taken from the queue, by how they were settled.";
    Worker Counter REDELIVERIES = "runnerctl_redeliveries_total" []
        "Messages that the broker delivered more than once.";
    Worker Counter RECLAIMED = "runnerctl_reclaimed_total" ["outcome": Only(&["requeued", "worker_lost", "cancelled"])]
        "Runs whose worker stopped responding: `requeued`, `worker_lost` after the last attempt, or `cancelled` if that was requested.";
    Worker Counter LEASES_LOST = "runnerctl_leases_lost_total" []
        "Runs whose end this worker did not write because it had lost the lease.";
    Both Histogram(SECONDS) BUILD_DURATION = "runnerctl_build_seconds" ["unit": Only(&["script", "function"]), "outcome": Only(&["built", "refused"])]
        "Time for building a script or function: `built` or `refused`.";
    Api Gauge OUTBOX_ROWS = "runnerctl_outbox_rows" []
        "Outbox rows that are due, not yet published, and not held back by a limit of their workspace.";
    Api Gauge OUTBOX_AGE = "runnerctl_outbox_oldest_seconds" []
        "Age of the oldest of these rows. In a workspace with a limit, time for which its next row could have been published.";
    Api Gauge OUTBOX_HELD_BACK_ROWS = "runnerctl_outbox_held_back_rows" []
        "Due outbox rows that wait until running executions of their workspace end, because of its limit.";
    Api Gauge OUTBOX_HELD_BACK_AGE = "runnerctl_outbox_held_back_oldest_seconds" []
        "Age of the oldest row of a workspace that has such rows.";
    Api Histogram(WAIT_SECONDS) OUTBOX_LAG = "runnerctl_outbox_lag_seconds" []
        "Time from the moment an outbox row is due to the broker's confirm.";
    Api Counter PUBLISHES = "runnerctl_publishes_total" ["outcome": Only(&["confirmed", "returned", "nacked", "failed"])]
        "Messages published: `confirmed`, `returned`, `nacked` or `failed`.";
    Api Histogram(SECONDS) PUBLISH_CONFIRM = "runnerctl_publish_confirm_seconds" []
        "Time from a publish to the broker's confirm.";
    Both Counter DEAD_LETTERS = "runnerctl_dead_letters_total" ["reason": Only(&["malformed", "version", "invalid", "unknown_script", "unstorable"])] "Messages sent to the dead-letter queue.";
    Both Gauge CONNECTION_UP = "runnerctl_connection_up" ["dependency": DEPENDENCY, "connection": CONNECTION]
        "1 while the connection to `database` or `broker` is up; one series per connection.";
    Both Counter RECONNECTS = "runnerctl_reconnects_total" ["dependency": DEPENDENCY, "connection": CONNECTION] "Number of reconnections.";
    Api Gauge PARTITIONS_AHEAD = "runnerctl_partitions_ahead_seconds" []
        "Time from now to the end of the weeks for which executions and logs have partitions without a gap; at most 70 days.";
    Api Gauge MAINTENANCE_AGE = "runnerctl_maintenance_age_seconds" []
        "Time since all steps of table maintenance last succeeded, in any process.";
    Both Gauge DATABASE_CONNECTIONS = "runnerctl_database_connections" ["state": Only(&["idle", "in_use"])]
        "Connections of the database pool: `idle` or `in_use`.";
    Api Counter EVENTS_INGESTED = "runnerctl_events_ingested_total" ["outcome": Only(&["accepted", "duplicate", "refused"])]
        "Events of triggers: `accepted`, `duplicate` or `refused`.";
    Api Histogram(WAIT_SECONDS) INGEST_LAG = "runnerctl_ingest_lag_seconds" []
        "Time from an event's publish (its AMQP timestamp, else its arrival) to the commit of its execution.";
    Api Gauge QUEUE_DEPTH = "runnerctl_queue_depth" ["queue": Only(&["executions", "events", "dead"])] "Messages ready in the broker's queues.";
    Api Gauge WORKERS = "runnerctl_workers" [] "Workers seen in the last 30 seconds.";
    Api Gauge LIVE_CLIENTS = "runnerctl_live_clients" ["kind": Only(&["wait", "events"])]
        "Clients with an open request for updates of an execution: `wait` or `events`.";
    Api Counter RATE_LIMITED = "runnerctl_rate_limited_total" ["limit": Only(&["rate", "queue", "share", "streams"])] "Requests answered 429, by the exceeded limit.";
    Both Counter HTTP_REQUESTS = "runnerctl_http_requests_total" ["method": METHOD, "route": ROUTE, "status": Any("HTTP status codes")]
        "Requests answered, by route pattern.";
    Both Histogram(SECONDS) HTTP_REQUEST_DURATION = "runnerctl_http_request_seconds" ["method": METHOD, "route": ROUTE]
        "Time from the head of a request to the head of its response.";
    Both Gauge BUILD_INFO = "runnerctl_build_info" ["version": Any("versions of RunnerCtl")] "Always 1; the label names the running version.";
}

/// Renders `docs/metrics.md`.
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
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram { .. } => "histogram",
        };
        let program = match metric.program {
            Program::Api => "api",
            Program::Worker => "worker",
            Program::Both => "api, worker",
        };
        let labels =
            metric.labels.iter().map(|label| format!("`{}`", label.name)).collect::<Vec<_>>().join(", ");
        let Metric { name, help, .. } = metric;
        writeln!(text, "| `{name}` | {kind} | {labels} | {program} | {help} |")
            .expect("a String takes any text");
    }
    text.push_str("\n## Label values\n\n| metric | label | values |\n|---|---|---|\n");
    for metric in ALL {
        for label in metric.labels {
            let values = match label.values {
                Only(values) => {
                    values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ")
                }
                Any(what) => what.to_owned(),
            };
            writeln!(text, "| `{}` | `{}` | {values} |", metric.name, label.name)
                .expect("a String takes any text");
        }
    }
    text.push_str("\n## Histogram bounds\n\n");
    for (buckets, unit) in [(SECONDS, "seconds"), (WAIT_SECONDS, "seconds"), (BYTES, "bytes")] {
        let users = ALL.iter().filter(|metric| metric.kind == MetricKind::Histogram { buckets });
        let names = users.map(|metric| format!("`{}`", metric.name)).collect::<Vec<_>>().join(", ");
        let bounds = buckets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        writeln!(text, "- {bounds} {unit}: {names}").expect("a String takes any text");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::{ErrorCode, Status, TriggerType};
    use std::collections::BTreeSet;

    const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");

    /// Updates the page with `UPDATE_DOCS=1 cargo test -p shared metrics`.
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
            assert_eq!(
                metric.name.ends_with("_total"),
                metric.kind == MetricKind::Counter,
                "{}",
                metric.name
            );
            assert!(metric.help.ends_with('.'), "{}", metric.name);
            if let MetricKind::Histogram { buckets } = metric.kind {
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
    fn labels_hold_no_ids_and_no_workspaces() {
        for metric in ALL {
            for label in metric.labels {
                let name = label.name;
                assert!(!name.ends_with("_id") && !name.contains("workspace"), "{}: {name}", metric.name);
            }
        }
    }

    #[test]
    fn labels_list_every_status_error_code_and_trigger() {
        for status in Status::ALL.iter().filter(|status| status.is_terminal()) {
            assert!(EXECUTIONS.definition().labels[0].allows(status.as_str()), "{status}");
        }
        for code in ErrorCode::ALL {
            assert!(EXECUTIONS.definition().labels[1].allows(code.as_str()), "{code}");
        }
        for trigger in TriggerType::ALL {
            assert!(EXECUTION_QUEUE.definition().labels[0].allows(trigger.as_str()), "{trigger}");
        }
    }

    #[test]
    #[should_panic(expected = "reason is never \"crash\"")]
    fn an_unlisted_label_value_panics() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        ::metrics::with_local_recorder(&recorder, || SANDBOX_RESTARTS.with(["crash"]).increment(1));
    }
}
