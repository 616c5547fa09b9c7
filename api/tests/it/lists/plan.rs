//! Plans of executed statements, as PostgreSQL's `auto_explain` reports them.

use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor, PgPool};
use std::sync::{Arc, Mutex};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::DefaultGuard,
};

const NOTICES: &str = "sqlx::postgres::notice";

/// Makes the database report the plan of every statement, from the next connection on.
pub(super) async fn explain_everything(pool: &PgPool) {
    let name: String = sqlx::query_scalar("SELECT current_database()").fetch_one(pool).await.unwrap();
    for setting in [
        "session_preload_libraries = auto_explain",
        "auto_explain.log_min_duration = 0",
        "auto_explain.log_analyze = on",
        "auto_explain.log_timing = off",
        "auto_explain.log_buffers = on",
        "auto_explain.log_format = json",
        "auto_explain.log_level = notice",
    ] {
        let statement = format!("ALTER DATABASE {name} SET {setting}");
        pool.execute(AssertSqlSafe(statement)).await.unwrap();
    }
}

/// Collects the plans of this thread's statements, until it is dropped.
pub(super) struct Plans {
    told: Arc<Mutex<Vec<Plan>>>,
    _listening: DefaultGuard,
}

impl Plans {
    pub(super) fn listen() -> Self {
        let told = Arc::new(Mutex::default());
        let listener = Listener(Arc::clone(&told));
        Self { told, _listening: tracing::subscriber::set_default(listener) }
    }

    /// Returns the plan of the only statement since the last call. A new connection also reads the clock, which reads
    /// no table.
    pub(super) fn take(&self) -> Plan {
        let mut told = std::mem::take(&mut *self.told.lock().unwrap());
        told.retain(|plan| plan.text.contains("Relation Name") || plan.text.contains("Scan"));
        let [plan] = <[Plan; 1]>::try_from(told).expect("one statement");
        plan
    }
}

/// An executed plan.
#[derive(Debug)]
pub(super) struct Plan {
    root: Value,
    text: String,
}

impl Plan {
    /// Returns its nodes, from the root on.
    fn nodes(&self) -> Vec<&Value> {
        let (mut nodes, mut next) = (Vec::new(), vec![&self.root]);
        while let Some(node) = next.pop() {
            nodes.push(node);
            next.extend(node["Plans"].as_array().into_iter().flatten());
        }
        nodes
    }

    /// Returns the kinds of its nodes.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &str> {
        self.nodes().into_iter().map(|node| node["Node Type"].as_str().unwrap())
    }

    /// Returns the rows read from tables, whether they passed the filters or not.
    pub(super) fn rows_read(&self) -> f64 {
        self.scans().map(|node| times(node, "Actual Rows") + times(node, "Rows Removed by Filter")).sum()
    }

    /// Returns the number of tables that were read; each partition is one.
    pub(super) fn tables(&self) -> usize {
        self.scans().filter(|node| node["Actual Loops"] != 0).count()
    }

    /// Returns the largest number of rows that went into one sort.
    pub(super) fn rows_sorted(&self) -> f64 {
        let sorts = self.nodes().into_iter().filter(|node| node["Node Type"] == "Sort");
        sorts.map(|node| times(&node["Plans"][0], "Actual Rows")).fold(0.0, f64::max)
    }

    /// Returns the blocks of 8 KiB that were read, in memory or not.
    pub(super) fn blocks(&self) -> f64 {
        number(&self.root, "Shared Hit Blocks") + number(&self.root, "Shared Read Blocks")
    }

    fn scans(&self) -> impl Iterator<Item = &Value> {
        self.nodes().into_iter().filter(|node| node.get("Relation Name").is_some())
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

fn number(node: &Value, name: &str) -> f64 {
    node.get(name).map_or(0.0, |number| number.as_f64().unwrap())
}

/// Returns a number that is reported per loop, multiplied by the loops.
fn times(node: &Value, name: &str) -> f64 {
    number(node, name) * number(node, "Actual Loops")
}

struct Listener(Arc<Mutex<Vec<Plan>>>);

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == NOTICES
    }

    fn event(&self, event: &Event<'_>) {
        let mut message = Message::default();
        event.record(&mut message);
        if let Some((_, json)) = message.0.split_once("plan:\n") {
            let told: Value = serde_json::from_str(json).unwrap();
            let plan = Plan { root: told["Plan"].clone(), text: json.to_owned() };
            self.0.lock().unwrap().push(plan);
        }
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
