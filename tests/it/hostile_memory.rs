//! Peaks of memory under attack: each program stays below what the chart gives it, and another workspace's runs go on.

use anyhow::ensure;
use e2e::{
    client::{Client, http},
    memory::MemoryWatch,
    stack::{HMAC_SECRET, Stack},
};
use futures_util::future::{join_all, try_join_all};
use serde_json::{Value, json};
use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

/// Memory of a worker's supervisor in the chart, in MiB.
const SUPERVISOR_MIB: u64 = 128;
/// Memory of an api in the chart, in MiB.
const API_MIB: u64 = 256;
/// `EXECUTION_TIMEOUT_MS` of the worker.
const LIMIT_MS: u64 = 3_000;
/// Runs of the attacking workspace at a time: all slots of the worker but one.
const ATTACKS: usize = 3;
/// Number of the other workspace's runs, one after the other.
const VICTIMS: usize = 10;
/// Limits the time of one of them, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(8);

/// Large bodies to a host that never answers.
const REQUESTS: &str = "export async function main({ event }) {
    const body = new Uint8Array(9 * 1024 * 1024).fill(1);
    const send = () => fetch(event.url, { method: 'POST', body }).catch((error) => error.message);
    return Promise.all(Array.from({ length: 10 }, send));
}";
/// Large answers, more than one run may hold.
const RESPONSES: &str = "export async function main({ event }) {
    const ask = async () => (await (await fetch(event.url)).arrayBuffer()).byteLength;
    return Promise.allSettled(Array.from({ length: 10 }, ask)).then((asked) => asked.length);
}";
/// A console line about secrets that need every escape.
const SECRETS: &str = "export function main({ event }, { ENV }) {
    for (let line = 0; line < 5; line += 1) console.log(ENV.SECRET.slice(0, 8).repeat(5_000));
    return ENV.SECRET + 'x'.repeat(40_000);
}";

#[tokio::test]
async fn hostile_scripts_leave_a_supervisor_its_memory() -> anyhow::Result<()> {
    let limit = LIMIT_MS.to_string();
    let settings = [
        ("SANDBOX_ALLOW_PRIVATE_NETWORK", "127.0.0.1"),
        ("WORKER_CONCURRENCY", "4"),
        ("EXECUTION_TIMEOUT_MS", &limit),
    ];
    let stack = Stack::start(&settings).await?;
    let other = stack.client_of_workspace("other").await?;
    let victim = other.create_script("victim", "export function main() { return 1; }").await?;
    // Accepts connections in the kernel, and never reads from one.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let large = large_answers().await?;
    let secret = "\"'\\<>{}|^%é;/?".repeat(2_000);
    for (name, code, host) in [
        ("requests", REQUESTS, silent.local_addr()?.to_string()),
        ("responses", RESPONSES, large),
        ("secrets", SECRETS, "127.0.0.1:9".to_owned()),
    ] {
        let script = json!({
            "name": name, "code": code, "code_type": "main_fn", "trigger_type": "automation",
            "allowed_domains": [host], "env": { "SECRET": secret },
        });
        let (status, script) = stack.client.post("/scripts/", &script).await?;
        ensure!(status == 201, "{script}");
        let script = script["id"].as_str().unwrap_or_default();
        let watch = MemoryWatch::start(stack.worker.pid());
        let attacks = try_join_all((0..ATTACKS).map(|_| attack(&stack.client, script, &host)));
        let (attacks, victims) = tokio::try_join!(attacks, run_victims(&other, &victim))?;
        println!("{name}: peak {} MiB, victims' longest {victims:?}, attacks {attacks:?}", watch.peak_mib());
        assert!(watch.peak_mib() < SUPERVISOR_MIB, "{name}: {} MiB", watch.peak_mib());
        assert!(victims < PATIENCE, "{name}: {victims:?}");
        for took in attacks {
            assert!(took < Duration::from_millis(LIMIT_MS + 500), "{name}: {took:?}");
        }
    }
    Ok(())
}

/// Runs a script once. Returns the time that its run took.
async fn attack(client: &Client, script: &str, host: &str) -> anyhow::Result<Duration> {
    let execution = client.execute(script, json!({ "url": format!("http://{host}/") })).await?;
    let done = client.terminal(&execution, Duration::from_mins(2)).await?;
    Ok(Duration::from_millis(done["duration_ms"].as_u64().unwrap_or(u64::MAX)))
}

/// Returns the longest time from a request to the recorded end of its run.
async fn run_victims(client: &Client, script: &str) -> anyhow::Result<Duration> {
    let mut longest = Duration::ZERO;
    for _ in 0..VICTIMS {
        let began = Instant::now();
        let execution = client.execute(script, json!({})).await?;
        let done = client.terminal(&execution, Duration::from_mins(2)).await?;
        ensure!(done["status"] == "completed", "{done}");
        longest = longest.max(began.elapsed());
    }
    Ok(longest)
}

/// Starts a server whose answers have nearly 10 MiB. Returns its address.
async fn large_answers() -> anyhow::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let answer = axum::routing::get(|| async { vec![b'x'; 10_000_000] });
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/", answer)).await });
    Ok(address)
}

#[tokio::test]
async fn hostile_requests_leave_an_api_its_memory() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let other = stack.client_of_workspace("other").await?;
    let watch = MemoryWatch::start(stack.api.pid());
    let code = format!("export function main() {{ return {:?}; }}", "x".repeat(250_000));
    for number in 0..60 {
        stack.client.create_script(&format!("large {number}"), &code).await?;
    }
    println!("saves: peak {} MiB", watch.peak_mib());
    let unknown: Vec<String> =
        (0..3_400).map(|number| format!("await Functions.unknown{number}({{}});")).collect();
    let unknown = json!({
        "name": "unknown", "code_type": "main_fn", "trigger_type": "automation",
        "code": format!("export async function main(input, {{ Functions }}) {{\n{}\n}}", unknown.join("\n")),
    });
    let lists = join_all((0..8).map(|_| list(&stack, "/scripts/?per_page=100")));
    let types = join_all((0..8).map(|_| list(&stack, "/types/")));
    let saves = join_all((0..4).map(|_| stack.client.post("/scripts/", &unknown)));
    let bodies = join_all((0..32).map(|_| unsigned_body(&stack)));
    let victims = async {
        let mut longest = Duration::ZERO;
        for number in 0..VICTIMS {
            let began = Instant::now();
            other.create_script(&format!("victim {number}"), "export function main() { return 1; }").await?;
            longest = longest.max(began.elapsed());
        }
        anyhow::Ok(longest)
    };
    let (_, _, saved, _, victims) = tokio::join!(lists, types, saves, bodies, victims);
    for saved in saved {
        let (status, answer) = saved?;
        ensure!(status == 400 || status == 429, "{status} {answer}");
    }
    let victims = victims?;
    println!("all: peak {} MiB, victims' longest save {victims:?}", watch.peak_mib());
    assert!(watch.peak_mib() < API_MIB * 3 / 4, "{} MiB", watch.peak_mib());
    assert!(victims < PATIENCE, "{victims:?}");
    Ok(())
}

/// Reads a large answer to its end. Being refused is an answer as well.
async fn list(stack: &Stack, path: &str) -> usize {
    let url = format!("{}/api/v1/runnerctl{path}", stack.api.url());
    let answer = http().get(url).header("x-api-key", stack.client.key()).send().await;
    match answer {
        Ok(answer) => answer.bytes().await.map_or(0, |bytes| bytes.len()),
        Err(_) => 0,
    }
}

/// Sends a large body with a signature of the right form that does not match.
async fn unsigned_body(stack: &Stack) -> Option<u16> {
    let headers: [(&str, String); 4] = [
        ("x-runner-timestamp", chrono::Utc::now().timestamp().to_string()),
        ("x-runner-nonce", "0123456789abcdef".to_owned()),
        ("x-workspace-slug", "demo".to_owned()),
        ("x-runner-signature", format!("v1={:064}", HMAC_SECRET.len())),
    ];
    let url = format!("{}/api/runnerctl/scripts/", stack.api.url());
    let body = Value::from("x".repeat(2_000_000)).to_string();
    let mut request = http().post(url).header("content-type", "application/json").body(body);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    Some(request.send().await.ok()?.status().as_u16())
}
