//! Rolling upgrade under load: new programs run next to old ones, with a migration in between, and nothing is lost.

use crate::trigger::Trigger;
use anyhow::{Context as _, ensure};
use e2e::{client::Client, stack::Stack};
use serde_json::json;
use sqlx::migrate::Migrator;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use test_support::{Receiver, TestDatabase};

/// Number of runs that must end before each step of the upgrade, so that it happens under load.
const RUNS: usize = 30;

/// Script that posts its number to the receiver, so that runs without a stored row are noticed, too.
const SCRIPT: &str = "export async function main({ event }) {
    await fetch(event.hook, { method: 'POST', body: String(event.number) });
    return event.number;
}";

/// Load that alternately posts executions and publishes events until it is stopped. Returns the ids of executions that
/// the API accepted, by number, and the next number.
struct Load {
    clients: [Client; 2],
    trigger: Trigger,
    script: String,
    hook: String,
    stop: Arc<AtomicBool>,
}

impl Load {
    async fn run(self) -> anyhow::Result<(BTreeMap<u64, String>, u64)> {
        let mut accepted = BTreeMap::new();
        let mut tick = tokio::time::interval(Duration::from_millis(25));
        let mut number = 0_u64;
        while !self.stop.load(Ordering::Relaxed) {
            tick.tick().await;
            let event = json!({ "number": number, "hook": self.hook });
            if number.is_multiple_of(2) {
                accepted.insert(number, self.post(event, number).await?);
            } else {
                self.trigger.publish(&self.script, &format!("event {number}"), event, None).await?;
            }
            number += 1;
        }
        Ok((accepted, number))
    }

    /// Posts an execution like a load balancer: switches to the other API when one shuts down. Repeats a request whose
    /// response was lost with the same key.
    async fn post(&self, event: serde_json::Value, number: u64) -> anyhow::Result<String> {
        let body = json!({ "script_id": self.script, "trigger_type": "automation", "event": event });
        let mut last = None;
        for client in &self.clients {
            match client.post_with_key("/executions/", &body, &format!("request {number}")).await {
                Ok((status, answer)) if status == 202 => {
                    return answer["id"].as_str().map(str::to_owned).context("an id");
                }
                other => last = Some(other),
            }
        }
        anyhow::bail!("request {number} was refused by both: {last:?}")
    }
}

/// Applies a migration like that of a next version: old programs must work with a column and an index that they do not
/// use.
async fn expand(database: &TestDatabase) -> anyhow::Result<()> {
    const SQL: &str = "ALTER TABLE script_executions ADD COLUMN rehearsal text;
        CREATE INDEX rehearsal ON script_executions (rehearsal);";
    let folder = std::env::temp_dir().join(format!("runnerctl-rehearsal-{}", uuid::Uuid::now_v7().simple()));
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("9999_rehearsal.sql"), SQL)?;
    let mut migrator = Migrator::new(Path::new(&folder)).await?;
    migrator.set_ignore_missing(true).run(&database.pool().await).await?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Waits until `count` more numbers are posted.
async fn more(receiver: &Receiver, count: usize) -> anyhow::Result<()> {
    let wanted = receiver.posted().len() + count;
    until(receiver, wanted).await
}

async fn until(receiver: &Receiver, wanted: usize) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_mins(1);
    while receiver.posted().len() < wanted {
        ensure!(Instant::now() < deadline, "{} of {wanted} runs were heard of", receiver.posted().len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_rolling_upgrade_loses_no_run_and_repeats_none() -> anyhow::Result<()> {
    let stack = Stack::start(&[("SANDBOX_ALLOW_PRIVATE_NETWORK", "127.0.0.1/32")]).await?;
    let receiver = Receiver::start().await;
    let script = json!({
        "name": "numbers", "code": SCRIPT, "code_type": "main_fn", "trigger_type": "automation",
        "allowed_domains": [receiver.host()],
    });
    let (status, answer) = stack.client.post("/scripts/", &script).await?;
    ensure!(status.is_success(), "{answer}");
    let new_api = stack.another("api").await?;
    let new_client = stack.client_of(&new_api);
    let stop = Arc::new(AtomicBool::new(false));
    let load = Load {
        clients: [stack.client.clone(), new_client.clone()],
        trigger: Trigger::connect(&stack).await?,
        script: answer["id"].as_str().context("an id")?.to_owned(),
        hook: receiver.hook("numbers"),
        stop: Arc::clone(&stop),
    };
    let load = tokio::spawn(load.run());
    more(&receiver, RUNS).await?;

    expand(&stack.database).await?;
    // A rollback is possible: the old version accepts the newer schema.
    stack.migrate().await?;
    let new_worker = stack.another("worker").await?;
    let (old_worker, old_api) = tokio::join!(stack.worker.drain(), stack.api.drain());
    assert!(old_worker?.success() && old_api?.success(), "both ended of their own will");
    more(&receiver, RUNS).await?;
    stop.store(true, Ordering::Relaxed);
    let (accepted, count) = load.await??;

    for (number, id) in &accepted {
        let done = new_client.terminal(id, Duration::from_mins(1)).await?;
        assert_eq!((&done["status"], &done["result"]), (&json!("completed"), &json!(number)), "{done}");
        assert_eq!(done["attempt"], 1, "a drained worker hands back only what it has not begun: {done}");
    }
    until(&receiver, usize::try_from(count)?).await?;
    let mut heard = BTreeMap::<u64, usize>::new();
    for posted in receiver.posted() {
        *heard.entry(posted.text.parse()?).or_default() += 1;
    }
    assert!(heard.values().all(|&times| times == 1), "a run happened twice: {heard:?}");
    assert_eq!(
        heard.into_keys().collect::<Vec<_>>(),
        (0..count).collect::<Vec<_>>(),
        "every number was heard of"
    );
    drop(new_worker);
    Ok(())
}
