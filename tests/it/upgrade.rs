//! A rolling upgrade under load: new programs beside old ones, a migration between, and nothing is lost.

use e2e::{client::Client, stack::Stack};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Posts executions until told to stop; returns their ids and what each should answer.
async fn load(clients: [Client; 2], script: String, stop: Arc<AtomicBool>) -> Vec<(String, u64)> {
    let mut accepted = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    for number in 0_u64.. {
        tick.tick().await;
        if stop.load(Ordering::Relaxed) {
            break;
        }
        // As behind a load balancer: an API that is going away is asked no more, the other answers.
        for client in &clients {
            if let Ok(id) = client.execute(&script, json!({ "number": number })).await {
                accepted.push((id, number));
                break;
            }
        }
    }
    accepted
}

#[tokio::test]
async fn a_rolling_upgrade_under_load_loses_nothing_and_runs_nothing_twice() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let script = stack
        .client
        .create_script("trivial", "export function main({ event }) { return event.number; }")
        .await?;
    let new_api = stack.another("api").await?;
    let stop = Arc::new(AtomicBool::new(false));
    let clients = [stack.client.clone(), stack.client_of(&new_api)];
    let new_client = clients[1].clone();
    let posting = tokio::spawn(load(clients, script, Arc::clone(&stop)));
    tokio::time::sleep(Duration::from_secs(1)).await;

    // Expand: old programs must not mind a column and an index that only new ones know.
    let pool = stack.database.pool().await;
    sqlx::query("ALTER TABLE script_executions ADD COLUMN rehearsal text").execute(&pool).await?;
    sqlx::query("CREATE INDEX rehearsal ON script_executions (rehearsal)").execute(&pool).await?;
    let new_worker = stack.another("worker").await?;
    let (old_worker, old_api) = tokio::join!(stack.worker.drain(), stack.api.drain());
    assert!(old_worker?.success() && old_api?.success(), "both ended of their own will");
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::Relaxed);

    let accepted = posting.await?;
    assert!(accepted.len() > 20, "only {} were accepted in more than two seconds", accepted.len());
    for (id, number) in accepted {
        let done = new_client.terminal(&id, Duration::from_mins(1)).await?;
        assert_eq!((&done["status"], &done["result"]), (&json!("completed"), &json!(number)), "{done}");
        assert_eq!(done["attempt"], 1, "a drained worker hands back only what it has not begun: {done}");
    }
    drop(new_worker);
    Ok(())
}
