//! Loss of the broker, the database or a worker: no execution is lost, and no program needs a restart.

use anyhow::ensure;
use e2e::stack::Stack;
use reqwest::Method;
use serde_json::json;
use shared::amqp::{Broker, Publication, Publisher, Topology};
use std::time::{Duration, Instant};

const TRIVIAL: &str = "export function main({ event }) { return event.number; }";

#[tokio::test]
async fn without_the_broker_an_execution_is_accepted_and_runs_later() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let script = stack.client.create_script("trivial", TRIVIAL).await?;
    stack.broker_link.cut();
    let execution = stack.client.execute(&script, json!({ "number": 1 })).await?;
    assert_eq!(stack.client.get(&format!("/executions/{execution}/")).await?["status"], "queued");
    stack.broker_link.mend();
    let done = stack.client.terminal(&execution, Duration::from_mins(1)).await?;
    assert_eq!(
        (&done["status"], &done["result"], &done["attempt"]),
        (&json!("completed"), &json!(1), &json!(1)),
        "{done}"
    );
    Ok(())
}

#[tokio::test]
async fn without_the_database_the_api_answers_503_and_recovers() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let script = stack.client.create_script("trivial", TRIVIAL).await?;
    stack.database_link.cut();
    let body = json!({ "script_id": script, "trigger_type": "automation", "event": { "number": 2 } });
    let asked = Instant::now();
    let (status, answer) = stack.client.post("/executions/", &body).await?;
    assert_eq!(status, 503, "{answer}");
    assert!(answer["code"].is_string() && answer["detail"].is_string(), "{answer}");
    assert!(asked.elapsed() < Duration::from_secs(15), "answered after {:?}", asked.elapsed());

    stack.database_link.mend();
    let deadline = Instant::now() + Duration::from_secs(30);
    let execution = loop {
        match stack.client.execute(&script, json!({ "number": 2 })).await {
            Ok(execution) => break execution,
            Err(error) => ensure!(Instant::now() < deadline, "no recovery in 30 s: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let done = stack.client.terminal(&execution, Duration::from_mins(1)).await?;
    assert_eq!((&done["status"], &done["result"]), (&json!("completed"), &json!(2)), "{done}");
    Ok(())
}

#[tokio::test]
async fn a_run_of_a_killed_worker_is_run_again_by_another() -> anyhow::Result<()> {
    let stack = Stack::start(&[("EXECUTION_TIMEOUT_MS", "60000")]).await?;
    // The first attempt waits until its worker is killed.
    let script = stack
        .client
        .create_script(
            "again",
            "export async function main({ context }) {
                 console.log('attempt ' + context.attempt);
                 if (context.attempt === 1) { await new Promise(() => setTimeout(() => {}, 50_000)); }
                 return context.attempt;
             }",
        )
        .await?;
    let execution = stack.client.execute(&script, json!({})).await?;
    let logs = format!("/executions/{execution}/logs/");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !stack.client.get(&logs).await?.to_string().contains("attempt 1") {
        ensure!(Instant::now() < deadline, "the first attempt does not begin");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let heir = stack.another("worker").await?;
    let killed = Instant::now();
    stack.worker.kill();
    let done = stack.client.terminal(&execution, Duration::from_mins(1)).await?;
    assert_eq!((&done["status"], &done["result"]), (&json!("completed"), &json!(2)), "{done}");
    assert!(killed.elapsed() < Duration::from_secs(30), "ran again after {:?}", killed.elapsed());
    drop(heir);
    Ok(())
}

#[tokio::test]
async fn without_a_database_the_api_is_alive_but_not_ready() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    stack.database_link.cut();
    let http = e2e::client::http();
    let status = async |path: &str| {
        anyhow::Ok(http.request(Method::GET, format!("{}{path}", stack.api.url())).send().await?.status())
    };
    assert_eq!(status("/healthz").await?, 200, "restarting it would not help");
    // The latest result is cached for 2 s at most.
    let cut = Instant::now();
    while status("/readyz").await? != 503 {
        ensure!(cut.elapsed() < Duration::from_secs(10), "/readyz answers as if the database was there");
    }
    Ok(())
}

#[tokio::test]
async fn a_blocked_log_writer_does_not_delay_the_script() -> anyhow::Result<()> {
    let stack = Stack::start(&[("EXECUTION_TIMEOUT_MS", "3000")]).await?;
    let code = "export async function main() {
        const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
        console.log('begun');
        await pause(1000);
        console.log('nothing is stored now');
        await pause(500);
        for (let i = 0; i < 900; i++) console.log(`line ${i} ${'x'.repeat(200)}`);
        return 'done';
    }";
    let script = stack.client.create_script("talkative", code).await?;
    let execution = stack.client.execute(&script, json!({})).await?;
    let deadline = Instant::now() + Duration::from_secs(10);
    let logs = format!("/executions/{execution}/logs/");
    while stack.client.get(&logs).await?["results"][0]["message"] != "begun" {
        ensure!(Instant::now() < deadline, "the first line is not shown");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pool = stack.database.pool().await;
    let mut holding = pool.begin().await?;
    sqlx::query("LOCK TABLE execution_logs IN ACCESS EXCLUSIVE MODE").execute(&mut *holding).await?;
    // Longer than the run's time limit: a delayed run would end as a timeout.
    tokio::time::sleep(Duration::from_secs(4)).await;
    holding.rollback().await?;
    let done = stack.client.terminal(&execution, Duration::from_mins(1)).await?;
    assert_eq!(
        (&done["status"], &done["result"], &done["attempt"]),
        (&json!("completed"), &json!("done"), &json!(1)),
        "{done}"
    );
    assert_eq!(done["logs"].as_array().map(Vec::len), Some(902));
    Ok(())
}

#[tokio::test]
async fn a_full_disk_refuses_new_runs_and_delays_running_ones() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let patient = "export async function main() {
        console.log('begun');
        await new Promise((resolve) => setTimeout(resolve, 1_500));
        return 'done';
    }";
    let script = stack.client.create_script("patient", patient).await?;
    let execution = stack.client.execute(&script, json!({})).await?;
    let logs = format!("/executions/{execution}/logs/");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !stack.client.get(&logs).await?.to_string().contains("begun") {
        ensure!(Instant::now() < deadline, "the run does not begin");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pool = stack.database.pool().await;
    sqlx::raw_sql(
        "CREATE FUNCTION disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
         CREATE TRIGGER disk_is_full BEFORE INSERT OR UPDATE ON script_executions EXECUTE FUNCTION disk_is_full();
         CREATE TRIGGER disk_is_full BEFORE INSERT ON execution_logs EXECUTE FUNCTION disk_is_full();",
    )
    .execute(&pool)
    .await?;
    let body = json!({ "script_id": script, "trigger_type": "automation", "event": {} });
    let (status, answer) = stack.client.post("/executions/", &body).await?;
    assert_eq!((status.as_u16(), &answer["code"]), (503, &json!("unavailable")), "{answer}");
    // The run has ended, and its worker can't store that.
    let failed = "the end of a run could not be stored yet";
    while !stack.worker.log_text().contains(failed) {
        ensure!(Instant::now() < deadline, "the worker does not meet the full disk");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    sqlx::raw_sql(
        "DROP TRIGGER disk_is_full ON script_executions; DROP TRIGGER disk_is_full ON execution_logs",
    )
    .execute(&pool)
    .await?;
    let done = stack.client.terminal(&execution, Duration::from_mins(1)).await?;
    assert_eq!(
        (&done["status"], &done["result"], &done["attempt"]),
        (&json!("completed"), &json!("done"), &json!(1)),
        "{done}"
    );
    Ok(())
}

#[tokio::test]
async fn an_unreadable_message_is_dead_lettered_with_its_reason() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let broker = Broker::connect(stack.queues.url(), "test")?;
    let topology = Topology::with_prefix(stack.queues.prefix());
    let publisher = Publisher::new(broker.clone(), topology.clone());
    let message = |body: &str| Publication {
        exchange: topology.executions.clone(),
        routing_key: topology.executions.clone(),
        body: body.as_bytes().to_vec(),
        headers: Vec::new(),
    };
    publisher.ready().await;
    let later = r#"{"v":2,"execution_id":"01900000-0000-7000-8000-000000000000"}"#;
    for result in publisher.publish(&["not json", later].map(message)).await {
        result?;
    }
    let pool = stack.database.pool().await;
    let letters = async || {
        sqlx::query_as::<_, (String, String)>("SELECT reason, exchange FROM dead_letters ORDER BY body_bytes")
            .fetch_all(&pool)
            .await
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    let found = loop {
        let found = letters().await?;
        if found.len() == 2 {
            break found;
        }
        ensure!(Instant::now() < deadline, "{found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let reasons =
        ["not an execution message: expected ident at line 1 column 2", "v: 2, this worker reads 1"];
    for ((found, exchange), reason) in found.iter().zip(reasons) {
        assert_eq!((&**found, exchange), (reason, &topology.executions));
    }
    // These messages occupied all slots, and would still if they had not been acknowledged.
    let script = stack.client.create_script("trivial", TRIVIAL).await?;
    let execution = stack.client.execute(&script, json!({ "number": 1 })).await?;
    let done = stack.client.terminal(&execution, Duration::from_mins(1)).await?;
    assert_eq!(done["status"], "completed", "{done}");
    assert_eq!(letters().await?.len(), 2, "each once");
    Ok(())
}

/// Replaces the password in a URL.
fn with_password(url: &str, password: &str) -> anyhow::Result<String> {
    let mut url = reqwest::Url::parse(url)?;
    ensure!(url.set_password(Some(password)).is_ok(), "{url} has no user");
    Ok(url.into())
}

#[tokio::test]
async fn a_program_with_a_wrong_password_ends_and_names_it() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let wrong = [
        ("DATABASE_URL", with_password(stack.database.url(), "wrong")?, "28P01"),
        ("DATABASE_URL", stack.database.url().replace("/test_", "/nowhere_"), "3D000"),
        ("AMQP_URL", with_password(stack.queues.url(), "wrong")?, "ACCESS_REFUSED"),
    ];
    for (name, url, reason) in wrong {
        for program in ["api", "worker"] {
            let began = Instant::now();
            let error = stack.fails_to_serve(program, &[(name, &url)]).await?;
            assert!(error.contains(name) && error.contains(reason), "{program} with {url}: {error}");
            assert!(!error.contains("wrong"), "the password is in the log: {error}");
            assert!(began.elapsed() < Duration::from_secs(20), "{program} took {:?}", began.elapsed());
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_program_with_a_short_signing_secret_does_not_start() -> anyhow::Result<()> {
    const NAME: &str = "RUNNER_HMAC_SECRET_KEY";
    let stack = Stack::start(&[]).await?;
    let (short, long) = ("s3cr".repeat(8)[1..].to_owned(), "l0ng".repeat(8));
    for program in ["api", "worker"] {
        let error = stack.fails_to_serve(program, &[(NAME, &short)]).await?;
        let rule =
            "has a secret of 31 bytes at position 1 of its comma-separated list, and needs at least 32";
        assert!(error.contains(NAME) && error.contains(rule), "{program}: {error}");
        assert!(!error.contains(&short), "the secret is in the log: {error}");
        let error = stack.fails_to_serve(program, &[(NAME, &format!("{long},{short}"))]).await?;
        assert!(error.contains(NAME) && error.contains("31 bytes at position 2"), "{program}: {error}");
        assert!(!error.contains(&short) && !error.contains(&long), "a secret is in the log: {error}");
        drop(stack.another_with(program, &[(NAME, &long)]).await?);
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_without_its_servers_is_alive_but_not_ready() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let ready = format!("{}/readyz", stack.worker.url());
    let http = e2e::client::http();
    let deadline = Instant::now() + Duration::from_secs(20);
    while http.get(&ready).send().await?.status() != 200 {
        ensure!(Instant::now() < deadline, "the worker does not become ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Nothing listens there: the worker starts, and waits for its servers.
    let nowhere = [
        ("DATABASE_URL", "postgresql://user:hidden@127.0.0.1:1/none"),
        ("AMQP_URL", "amqp://user:hidden@127.0.0.1:1/%2f"),
    ];
    let alone = stack.another_with("worker", &nowhere).await?;
    let answer = http.get(format!("{}/readyz", alone.url())).send().await?;
    assert_eq!(answer.status(), 503);
    let answer = answer.text().await?;
    assert!(
        answer.contains("not_ready") && answer.contains("database: ") && answer.contains("broker: "),
        "{answer}"
    );
    assert!(!answer.contains("hidden"), "{answer}");

    // An outage takes no ready worker away.
    stack.database_link.cut();
    let health = format!("{}/health", stack.worker.url());
    let reached = async || {
        let text = http.get(&health).send().await?.text().await?;
        anyhow::Ok(serde_json::from_str::<serde_json::Value>(&text)?["connections"]["database"] != false)
    };
    while reached().await? {
        ensure!(Instant::now() < deadline + Duration::from_secs(30), "the outage is not noticed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(http.get(&ready).send().await?.status(), 200);
    Ok(())
}
