//! Reports of a worker about the isolation layers of its sandboxes.

use anyhow::Context as _;
use e2e::{client::http, stack::Stack};
use serde_json::{Value, json};

#[tokio::test]
async fn health_and_metric_report_the_same_sandbox_layers() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let read = async |path: &str| {
        http().get(format!("{}{path}", stack.worker.url())).send().await?.error_for_status()?.text().await
    };
    let health: Value = serde_json::from_str(&read("/health").await?)?;
    let metrics = read("/metrics").await?;
    let gauge = |layer: &str| {
        let series = format!("runnerctl_sandbox_layer{{layer=\"{layer}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&series)?.parse::<f64>().ok())
    };
    let mut told = 0;
    for (key, value) in [("layers", 1.0), ("missing_layers", 0.0)] {
        for layer in health[key].as_array().context(key)? {
            let layer = layer.as_str().context("a layer has a name")?;
            assert_eq!(gauge(layer), Some(value), "{layer} is among {key}\n{metrics}");
            told += 1;
        }
    }
    let shown = metrics.lines().filter(|line| line.starts_with("runnerctl_sandbox_layer{")).count();
    assert_eq!((told, shown), (11, 11), "{health}");
    for layer in ["descriptors", "environment", "no_new_privs", "rlimits", "memory_rlimit", "seccomp"] {
        assert!(
            health["layers"].as_array().is_some_and(|held| held.contains(&json!(layer))),
            "{layer}: {health}"
        );
    }
    Ok(())
}
