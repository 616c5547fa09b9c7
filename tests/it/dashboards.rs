//! Queries of the dashboards, each sent to a real Prometheus that scrapes a real stack under load.

use crate::{metrics::series, trigger::Trigger};
use anyhow::{Context as _, ensure};
use e2e::{
    client::{Client, http},
    program::free_port,
    stack::Stack,
};
use reqwest::{Method, StatusCode, Url};
use serde_json::{Value, json};
use sqlx::Executor as _;
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../helm/runnerctl/files");
/// Value for Grafana's `$__rate_interval`: ten scrapes.
const RATE_INTERVAL: &str = "10s";

/// Namespace and release for which the rules are written.
const RELEASE: &str = "runnerctl";

/// Prometheus with the rules of the chart, which scrapes a stack every second.
struct Prometheus {
    child: Child,
    url: String,
    folder: PathBuf,
}

impl Prometheus {
    fn start(stack: &Stack) -> anyhow::Result<Self> {
        let port = free_port()?;
        let folder = std::env::temp_dir().join(format!("runnerctl-prometheus-{port}"));
        std::fs::create_dir_all(&folder)?;
        let target = |url: &str| url.trim_start_matches("http://").to_owned();
        let scrape = |job: &str, url: &str| {
            let labels = json!({ "namespace": RELEASE, "release": RELEASE, "component": job });
            json!({ "job_name": job, "static_configs": [{ "targets": [target(url)], "labels": labels }] })
        };
        let config = json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": [format!("{CHART}/rules.yaml")],
            "scrape_configs": [scrape("api", stack.api.url()), scrape("worker", stack.worker.url())],
        });
        let file = folder.join("prometheus.yml");
        // JSON is YAML.
        std::fs::write(&file, config.to_string())?;
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=error")
            .stdout(Stdio::null())
            .spawn()
            .context("start prometheus, which scripts/setup --tests installs")?;
        Ok(Self { child, url: format!("http://127.0.0.1:{port}"), folder })
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        let url = Url::parse_with_params(&format!("{}{path}", self.url), query)?;
        let text = http().get(url).send().await?.text().await?;
        serde_json::from_str(&text).with_context(|| format!("{path}: {text}"))
    }

    /// Runs an instant query and returns its numeric values.
    async fn values(&self, expression: &str) -> anyhow::Result<Vec<f64>> {
        let answer = self.get("/api/v1/query", &[("query", expression)]).await?;
        ensure!(answer["status"] == "success", "{expression}: {answer}");
        let series = answer["data"]["result"].as_array().context("a vector")?;
        let values = series.iter().filter_map(|one| one["value"][1].as_str()?.parse().ok());
        Ok(values.filter(|value: &f64| !value.is_nan()).collect())
    }

    async fn ready(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !http().get(format!("{}/-/ready", self.url)).send().await.is_ok_and(|a| a.status().is_success())
        {
            ensure!(Instant::now() < deadline, "prometheus is not ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

struct Panel {
    name: String,
    expression: Option<String>,
    sql: Option<String>,
}

fn panels() -> anyhow::Result<Vec<Panel>> {
    let mut panels = Vec::new();
    for file in std::fs::read_dir(Path::new(CHART).join("dashboards"))? {
        let board: Value = serde_json::from_slice(&std::fs::read(file?.path())?)?;
        for panel in board["panels"].as_array().context("panels")? {
            for target in panel["targets"].as_array().into_iter().flatten() {
                panels.push(Panel {
                    name: format!("{} / {}", board["title"], panel["title"]),
                    // The default for missing series would hide a query that never finds anything.
                    expression: target["expr"].as_str().map(|text| {
                        text.replace("$__rate_interval", RATE_INTERVAL)
                            .replace("$namespace", RELEASE)
                            .replace("$release", RELEASE)
                            .replace(" or vector(0)", "")
                    }),
                    sql: target["rawSql"].as_str().map(str::to_owned),
                });
            }
        }
    }
    Ok(panels)
}

/// Makes load of every kind: events, successes, errors of scripts, limits, refused fetches, failing requests.
async fn load(client: Client, trigger: Trigger) -> anyhow::Result<()> {
    let scripts = [
        ("fine", "export function main() { console.log('x'); return 1; }"),
        ("thrower", "export function main() { throw new Error('no'); }"),
        ("endless", "export function main() { for (;;) {} }"),
        (
            "curious",
            "export async function main() { await fetch('http://169.254.169.254/').catch(() => 0); }",
        ),
    ];
    let mut ids = Vec::new();
    for (name, code) in scripts {
        ids.push(client.create_script(name, code).await?);
    }
    for round in 0.. {
        for id in &ids {
            let execution = client.execute(id, json!({})).await?;
            client.terminal(&execution, Duration::from_mins(1)).await?;
        }
        trigger.publish(&ids[0], &format!("event {round}"), json!({}), None).await?;
        let build = json!({ "name": format!("half {round}"), "code": "export function main( {", "code_type": "main_fn", "trigger_type": "cron" });
        client.post("/scripts/", &build).await?;
    }
    Ok(())
}

/// Polls a condition until it holds.
async fn until(what: &str, mut ask: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(40);
    while !ask().await? {
        ensure!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Causes failures: invalid events, a lost broker, runs that lose their lease, a client over its rate limit.
async fn trouble(stack: &Stack) -> anyhow::Result<()> {
    const UP: &str = r#"runnerctl_connection_up{dependency="broker",connection="worker"}"#;
    Trigger::connect(stack).await?.publish_text("no event".to_owned(), None).await?;

    let hasty = stack.client_of_workspace("hasty").await?;
    until("a request is rejected by the rate limit", async || {
        let burst = (0..200).map(|_| hasty.send(Method::GET, "/scripts/", String::new()));
        let answers = futures_util::future::try_join_all(burst).await?;
        Ok(answers.iter().any(|(status, _)| *status == StatusCode::TOO_MANY_REQUESTS))
    })
    .await?;

    let pool = stack.database.pool().await;
    for (attempt, outcome) in [("attempt", "requeued"), ("max_attempts", "worker_lost")] {
        let take = format!(
            "UPDATE script_executions SET worker_id = 'gone', lease_expires_at = now(), attempt = {attempt}
             WHERE status = 'running'"
        );
        until("a run is in progress", async || {
            Ok(pool.execute(sqlx::AssertSqlSafe(take.clone())).await?.rows_affected() > 0)
        })
        .await?;
        let reclaimed = format!("runnerctl_reclaimed_total{{outcome=\"{outcome}\"}}");
        until(outcome, async || Ok(series(&stack.worker, &reclaimed).await?.is_some())).await?;
    }

    until("a message is redelivered", async || {
        stack.broker_link.cut();
        until("the worker reports the broker as lost", async || {
            Ok(series(&stack.worker, UP).await? == Some(0.0))
        })
        .await?;
        stack.broker_link.mend();
        until("the worker reports the broker as connected", async || {
            Ok(series(&stack.worker, UP).await? == Some(1.0))
        })
        .await?;
        Ok(series(&stack.worker, "runnerctl_redeliveries_total").await?.is_some())
    })
    .await
}

#[tokio::test]
async fn every_panel_has_data_and_every_rule_evaluates() -> anyhow::Result<()> {
    let stack = Stack::start(&[("EXECUTION_TIMEOUT_MS", "300"), ("RATE_LIMIT_PER_S", "50")]).await?;
    let prometheus = Prometheus::start(&stack)?;
    prometheus.ready().await?;
    let working = tokio::spawn(load(stack.client.clone(), Trigger::connect(&stack).await?));
    trouble(&stack).await?;

    let panels = panels()?;
    let deadline = Instant::now() + Duration::from_mins(1);
    // Rates need several scrapes of every kind of event.
    let (found, empty) = loop {
        let (mut found, mut empty) = (Vec::new(), Vec::new());
        for panel in &panels {
            let Some(expression) = &panel.expression else { continue };
            match prometheus.values(expression).await?.len() {
                0 => empty.push(format!("{}: {expression}", panel.name)),
                series => found.push(format!("{}: {series} series", panel.name)),
            }
        }
        if empty.is_empty() || Instant::now() > deadline {
            break (found, empty);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    assert!(!working.is_finished(), "the load ended: {:?}", working.await);
    assert!(empty.is_empty(), "{} panels without data:\n{}", empty.len(), empty.join("\n"));

    let pool = stack.database.pool().await;
    let mut statements = Vec::new();
    for Panel { name, sql, .. } in panels {
        let Some(statement) = sql else { continue };
        let rows = pool.fetch_all(sqlx::AssertSqlSafe(statement.clone())).await?;
        assert!(!rows.is_empty(), "{statement}");
        statements.push(format!("{name}: {} rows", rows.len()));
    }
    assert!(!statements.is_empty());
    // Shows the values of each panel with --nocapture.
    println!("{}", [found, statements].concat().join("\n"));

    let rules = prometheus.get("/api/v1/rules", &[]).await?;
    for group in rules["data"]["groups"].as_array().context("groups")? {
        for rule in group["rules"].as_array().context("rules")? {
            assert_eq!(rule["health"], "ok", "{rule}");
        }
    }
    working.abort();
    Ok(())
}
